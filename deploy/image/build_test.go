package image_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/gistmill/gistmill/deploy/image"
)

func built(t *testing.T) v1.ImageIndex {
	t.Helper()
	b := image.Builder{
		Name: "gistmill", Version: "v1", Revision: "abc", Created: time.Unix(1_700_000_000, 0).UTC(), Certificates: []byte("trusted"),
		Program: func(_ context.Context, p v1.Platform) ([]byte, error) {
			return []byte("program for " + p.String()), nil
		},
	}
	index, err := b.Index(t.Context(), []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestImage(t *testing.T) {
	t.Parallel()
	index := built(t)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		one, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := one.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != m.Platform.Architecture || config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1" ||
			!cmp.Equal(config.Config.Entrypoint, []string{"/gistmill"}) {
			t.Errorf("%s has %+v", m.Platform, config)
		}
		want := map[string]entry{
			"etc/ssl/certs/ca-certificates.crt": {Mode: 0o644, Content: "trusted"},
			"tmp/":                              {Mode: 0o1777},
			"work/":                             {Mode: 0o755, Owner: 65532},
			"gistmill":                          {Mode: 0o755, Content: "program for " + m.Platform.String()},
		}
		if diff := cmp.Diff(want, filesOf(t, one)); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", m.Platform, diff)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Error(diff)
	}
}

type entry struct {
	Mode    int64
	Owner   int
	Content string
}

func filesOf(t *testing.T, of v1.Image) map[string]entry {
	t.Helper()
	stream := mutate.Extract(of)
	defer stream.Close()
	files := map[string]entry{}
	for archive := tar.NewReader(stream); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		name := h.Name
		if h.Typeflag == tar.TypeDir {
			name = strings.TrimSuffix(name, "/") + "/"
		}
		files[name] = entry{Mode: h.Mode, Owner: h.Uid, Content: string(content)}
	}
}

func TestSameSourcesGiveTheSameImage(t *testing.T) {
	t.Parallel()
	first, err := built(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := built(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("%s and %s", first, second)
	}
}

func TestArchiveNamesTheImage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := image.WriteArchive(path, "docker.io/local/gistmill:v1", built(t)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if err != nil {
			t.Fatalf("the archive has no index: %v", err)
		}
		if h.Name != "index.json" {
			continue
		}
		var index v1.IndexManifest
		if err := json.NewDecoder(archive).Decode(&index); err != nil {
			t.Fatal(err)
		}
		if len(index.Manifests) != 1 || index.Manifests[0].Annotations["io.containerd.image.name"] != "docker.io/local/gistmill:v1" {
			t.Errorf("%+v", index.Manifests)
		}
		return
	}
}
