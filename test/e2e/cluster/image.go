package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// An Image is one static program in an otherwise empty image.
type Image struct {
	Ref     string // in full: docker.io/local/NAME:TAG
	Program string // file; it lies in / and is the entry point
	User    string // numeric, e.g. 65532:65532
}

func (c *Cluster) containerdSocket() string { return filepath.Join(c.dir, "containerd.sock") }

// Load gives images to the node; pods name them with imagePullPolicy Never.
func (c *Cluster) Load(ctx context.Context, images ...Image) error {
	for _, image := range images {
		archive := filepath.Join(c.dir, "image.tar")
		if err := image.write(archive); err != nil {
			return fmt.Errorf("write image %s: %w", image.Ref, err)
		}
		_, err := run(ctx, c.dir, nil, c.binaries.file("containerd", "ctr"), "--address", c.containerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
		if err != nil {
			return fmt.Errorf("load image %s: %w", image.Ref, err)
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) loadPause(ctx context.Context) error {
	return c.Load(ctx, Image{Ref: pauseImage, Program: c.binaries.pause, User: "65535:65535"})
}

// Media types and files of the OCI image specification, version 1.1.
const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// write writes the image as the archive of an OCI image layout.
func (i Image) write(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	archive := tar.NewWriter(file)
	layer, err := i.layer()
	if err != nil {
		return err
	}
	blob := func(mediaType string, data []byte) (descriptor, error) {
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: len(data)}, add(archive, "blobs/sha256/"+digest, 0o644, data)
	}
	layerBlob, err := blob(mediaLayer, layer)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": runtime.GOARCH,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerBlob.Digest}},
		"config": map[string]any{"Entrypoint": []string{"/" + filepath.Base(i.Program)}, "User": i.User, "WorkingDir": "/work", "Env": []string{"PATH=/", "HOME=/tmp"}},
	})
	if err != nil {
		return err
	}
	configBlob, err := blob(mediaConfig, config)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaManifest, "config": configBlob, "layers": []descriptor{layerBlob}})
	if err != nil {
		return err
	}
	manifestBlob, err := blob(mediaManifest, manifest)
	if err != nil {
		return err
	}
	manifestBlob.Annotations = map[string]string{"io.containerd.image.name": i.Ref, "org.opencontainers.image.ref.name": i.Ref}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaIndex, "manifests": []descriptor{manifestBlob}})
	if err != nil {
		return err
	}
	if err := add(archive, "index.json", 0o644, index); err != nil {
		return err
	}
	if err := add(archive, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return file.Close()
}

// layer has the program, and the folders that a program expects.
func (i Image) layer() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, mode := range map[string]int64{"tmp/": 0o1777, "work/": 0o755} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}); err != nil {
			return nil, err
		}
	}
	program, err := os.ReadFile(i.Program)
	if err != nil {
		return nil, err
	}
	if err := add(w, filepath.Base(i.Program), 0o755, program); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

func add(w *tar.Writer, name string, mode int64, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := io.Copy(w, bytes.NewReader(data))
	return err
}
