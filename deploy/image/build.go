// Package image makes container images of one static program, without Docker: the program, the
// trusted certificates, a working folder and one for temporary files. It knows no registry;
// deploy/image/command builds gistmill's image with it.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user runs the program. It is a number, so that Kubernetes can tell that it is not root.
const user = 65532

// Builder makes the images of a program. Equal fields and programs give equal images, digests
// included.
type Builder struct {
	Name              string // of the program, which is in / and is the entry point
	Version, Revision string // for the labels
	Created           time.Time
	Certificates      []byte // a PEM bundle; none: the program trusts no server
	// Program returns the program for a platform.
	Program func(ctx context.Context, p v1.Platform) ([]byte, error)
}

// Index returns one image for each platform, under one name.
func (b *Builder) Index(ctx context.Context, platforms []v1.Platform) (v1.ImageIndex, error) {
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

func (b *Builder) image(ctx context.Context, p v1.Platform) (v1.Image, error) {
	program, err := b.Program(ctx, p)
	if err != nil {
		return nil, err
	}
	// Hardly ever changes.
	stable := []file{{name: "tmp/", mode: 0o1777}, {name: "work/", mode: 0o755, owner: user}}
	if len(b.Certificates) > 0 {
		stable = append(stable, file{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: b.Certificates})
	}
	files := [][]file{stable, {{name: b.Name, mode: 0o755, content: program}}}
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
	config.OS, config.Architecture, config.Variant, config.Created = p.OS, p.Architecture, p.Variant, v1.Time{Time: b.Created}
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", user, user), WorkingDir: "/work", Entrypoint: []string{"/" + b.Name},
		Labels: map[string]string{
			"org.opencontainers.image.title":    b.Name,
			"org.opencontainers.image.version":  b.Version,
			"org.opencontainers.image.revision": b.Revision,
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

func (b *Builder) layer(files []file) (v1.Layer, error) {
	var body bytes.Buffer
	archive := tar.NewWriter(&body)
	for _, f := range files {
		header := &tar.Header{
			Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: b.Created,
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
