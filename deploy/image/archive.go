package image

import (
	"archive/tar"
	"errors"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// WriteArchive writes an OCI layout as one tar file (OCI image specification 1.1,
// image-layout). name is the image's name in containerd, Docker and kind once it is loaded.
func WriteArchive(path, name string, index v1.ImageIndex) (err error) {
	folder, err := os.MkdirTemp("", "gistmill-layout-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	all, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	annotations := map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
	if err := all.AppendIndex(index, layout.WithAnnotations(annotations)); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := tar.NewWriter(f)
	if err := archive.AddFS(os.DirFS(folder)); err != nil {
		return err
	}
	return archive.Close()
}
