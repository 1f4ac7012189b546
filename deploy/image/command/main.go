// Command builds gistmill's container image without Docker, for several platforms: one static
// program, the trusted certificates, a working folder and one for temporary files. The
// Dockerfile in the repository's root builds the same with Docker.
//
// An OCI archive, for docker load, kind, ctr and skopeo:
//
//	go run ./deploy/image/command -version v1.2.3 -out gistmill.tar
//
// To a registry, with docker's logins:
//
//	go run ./deploy/image/command -version v1.2.3 -push ghcr.io/o/gistmill
//
// The same sources, Go and certificates give the same image, digest included.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gistmill/gistmill/deploy/image"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	version := flags.String("version", "dev", "version to stamp, and the tag")
	revision := flags.String("revision", "", "commit, for the labels")
	created := flags.Int64("created", 0, "Unix time of the image, as of the commit")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "platforms, separated by commas")
	certificates := flags.String("certificates", "/etc/ssl/certs/ca-certificates.crt", "bundle of certificates to trust")
	reference := flags.String("ref", "docker.io/library/gistmill", "name of the image in the archive")
	out := flags.String("out", "", "file to write, an OCI archive")
	push := flags.String("push", "", "repository to push to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (*out == "") == (*push == "") || flags.NArg() > 0 {
		return errors.New("say either -out FILE or -push REPOSITORY, and nothing else")
	}
	folder, err := os.MkdirTemp("", "gistmill-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	b := image.Builder{
		Name: "gistmill", Version: *version, Revision: *revision, Created: time.Unix(*created, 0).UTC(),
		Program: func(ctx context.Context, p v1.Platform) ([]byte, error) { return compile(ctx, *version, p, folder) },
	}
	if b.Certificates, err = os.ReadFile(*certificates); err != nil {
		return fmt.Errorf("%w (apt-get install ca-certificates, or name a bundle with -certificates)", err)
	}
	var list []v1.Platform
	for text := range strings.SplitSeq(*platforms, ",") {
		p, err := v1.ParsePlatform(text)
		if err != nil || p.OS == "" || p.Architecture == "" {
			return fmt.Errorf("%q is no platform: give e.g. linux/amd64", text)
		}
		list = append(list, *p)
	}
	index, err := b.Index(ctx, list)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if *push != "" {
		tag, err := name.NewTag(*push + ":" + tagOf(*version))
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
		fmt.Printf("%s@%s\n", tag, digest)
		return nil
	}
	tag := *reference + ":" + tagOf(*version)
	if _, err := name.NewTag(tag); err != nil {
		return err
	}
	if err := image.WriteArchive(*out, tag, index); err != nil {
		return fmt.Errorf("write %s: %w", *out, err)
	}
	fmt.Printf("%s: %s@%s for %s\n", *out, tag, digest, *platforms)
	return nil
}

// compile builds the program as the Makefile does.
func compile(ctx context.Context, version string, p v1.Platform, folder string) ([]byte, error) {
	file := filepath.Join(folder, "gistmill-"+p.OS+"-"+p.Architecture)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+version,
		"-o", file, "./cmd/gistmill")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// tagOf makes a tag of a version: a plus is not allowed in one.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "-") }
