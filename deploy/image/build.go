package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user runs the program, as a number, so that Kubernetes can tell that it is not root.
const user = 65532

// builder makes the images.
type builder struct {
	version, revision string
	created           time.Time
	folder            string // for what is built on the way
	certificates      []byte
	program           func(ctx context.Context, p v1.Platform, to string) error
}

// compile builds the program as the Makefile does.
func compile(ctx context.Context, version string, p v1.Platform, to string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+version,
		"-o", to, "./cmd/gistmill")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture)
	command.Stderr = os.Stderr
	return command.Run()
}

// index is one image a platform, under one name.
func (b *builder) index(ctx context.Context, platforms []v1.Platform) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, err := b.image(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("build for %s: %w", p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index, nil
}

func (b *builder) image(ctx context.Context, p v1.Platform) (v1.Image, error) {
	binary := filepath.Join(b.folder, "gistmill-"+p.OS+"-"+p.Architecture)
	if err := b.program(ctx, p, binary); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	files := [][]file{
		{ // hardly ever changes
			{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: b.certificates},
			{name: "tmp/", mode: 0o1777},
			{name: "work/", mode: 0o755, owner: user},
		},
		{{name: "gistmill", mode: 0o755, content: program}},
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, content := range files {
		layer, err := b.layer(content)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, MediaType: types.OCILayer}); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = p.OS, p.Architecture, p.Variant, v1.Time{Time: b.created}
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", user, user), WorkingDir: "/work", Entrypoint: []string{"/gistmill"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "gistmill",
			"org.opencontainers.image.version":  b.version,
			"org.opencontainers.image.revision": b.revision,
			"org.opencontainers.image.source":   "https://github.com/gistmill/gistmill",
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}

// file is an entry of a layer; a name that ends with a slash is a folder.
type file struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

func (b *builder) layer(files []file) (v1.Layer, error) {
	var body bytes.Buffer
	archive := tar.NewWriter(&body)
	for _, f := range files {
		header := &tar.Header{
			Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: b.created,
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if f.name[len(f.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
}
