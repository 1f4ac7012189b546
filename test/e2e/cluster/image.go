package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gistmill/gistmill/deploy/image"
)

// An Image contains one static program as gistmill's own does, but no trusted certificates:
// nothing in the cluster reaches the outside.
type Image struct {
	Ref     string // in full: docker.io/local/NAME:TAG
	Program string // file; it is in / and is the entry point
}

func (c *Cluster) containerdSocket() string { return filepath.Join(c.dir, "containerd.sock") }

// Load loads images into the node. Pods name them with imagePullPolicy Never.
func (c *Cluster) Load(ctx context.Context, images ...Image) error {
	for _, i := range images {
		archive := filepath.Join(c.dir, "image.tar")
		if err := i.write(ctx, archive); err != nil {
			return fmt.Errorf("write image %s: %w", i.Ref, err)
		}
		_, err := run(ctx, c.dir, nil, c.binaries.file("containerd", "ctr"), "--address", c.containerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
		if err != nil {
			return fmt.Errorf("load image %s: %w", i.Ref, err)
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) loadPause(ctx context.Context) error {
	return c.Load(ctx, Image{Ref: pauseImage, Program: c.binaries.pause})
}

func (i Image) write(ctx context.Context, archive string) error {
	b := image.Builder{
		Name:    filepath.Base(i.Program),
		Program: func(context.Context, v1.Platform) ([]byte, error) { return os.ReadFile(i.Program) },
	}
	index, err := b.Index(ctx, []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}})
	if err != nil {
		return err
	}
	return image.WriteArchive(archive, i.Ref, index)
}
