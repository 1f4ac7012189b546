package source

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
)

func fill(t *testing.T, b *blob.Bucket, objects map[string]string) {
	t.Helper()
	for key, data := range objects {
		if err := b.WriteAll(t.Context(), key, []byte(data), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func memSource(t *testing.T, b *blob.Bucket, path string, o Options) (*Source, error) {
	t.Helper()
	f, err := newFilter(o)
	if err != nil {
		t.Fatal(err)
	}
	l := address{scheme: "mem", bucket: "b", path: path}
	tree, l, err := newBucketTree(t.Context(), b, l)
	if err != nil {
		return nil, err
	}
	return newSource(tree, l, f, o), nil
}

// bucketBehaviour checks what every bucket must do. reopen opens the source at a path of it.
func bucketBehaviour(t *testing.T, b *blob.Bucket, reopen func(path string, o Options) (*Source, error)) {
	t.Helper()
	fill(t, b, map[string]string{"docs/a.txt": "A", "docs/sub/b.txt": "B", "docs/sub/": "", "docs/.hidden": "h", "docs/big.txt": strings.Repeat("x", 3000),
		"docs/d.jsonl": `{"id":"1","text":"one"}` + "\n" + `broken` + "\n" + `{"id":"2","text":"two"}`, "other.txt": "O"})
	must := func(path string, o Options) *Source {
		t.Helper()
		s, err := reopen(path, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	o := Options{MaxBytes: 2000}
	s := must("docs", o)
	want := []string{"a.txt", "big.txt !too large: 3.0 kB, the limit is 2.0 KiB (--max-document-bytes)", "d.jsonl#1", "d.jsonl#L2 !not valid JSON at byte 1", "d.jsonl#2", "sub/b.txt"}
	same(t, describe(t, s), want)
	same(t, describe(t, must("docs/", o)), want)
	if !strings.Contains(s.URL(), "/docs/") {
		t.Errorf("a folder's URL is %s", s.URL())
	}
	refs := map[string]Ref{}
	for _, e := range list(t, s) {
		refs[e.URI] = e.Ref
		raw, err := s.Fetch(t.Context(), e.Ref)
		if e.Problem != "" {
			if bad := (*InputError)(nil); !errors.As(err, &bad) {
				t.Errorf("%s: %v", e.URI, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if raw.Version != e.Version || raw.Locator != e.Locator {
			t.Errorf("%s: fetched version %q at %q, listed %q at %q", e.URI, raw.Version, raw.Locator, e.Version, e.Locator)
		}
	}
	single := must("docs/d.jsonl", o)
	same(t, describe(t, single), []string{"d.jsonl#1", "d.jsonl#L2 !not valid JSON at byte 1", "d.jsonl#2"})
	fill(t, b, map[string]string{"docs/d.jsonl": `{"id":"2","text":"TWO"}`, "docs/a.txt": "changed"})
	if raw, err := s.Fetch(t.Context(), refs["d.jsonl#2"]); err != nil || string(raw.Data) != "TWO" {
		t.Errorf("after a change: %v %v", raw, err)
	}
	if raw, err := s.Fetch(t.Context(), refs["a.txt"]); err != nil || raw.Version == refs["a.txt"].Version {
		t.Errorf("a changed object has its old version: %v %v", raw, err)
	}
	for _, uri := range []string{"d.jsonl#1", "sub/none.txt"} {
		ref := refs[uri]
		ref.URI = uri
		if _, err := s.Fetch(t.Context(), ref); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if _, err := reopen("nothing", o); !errors.Is(err, ErrNoSource) {
		t.Errorf("a path without objects: %v", err)
	}
	if empty := must("nothing/", o); len(list(t, empty)) != 0 {
		t.Error("an empty folder lists documents")
	}
}

func TestMemoryBucket(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	defer b.Close()
	bucketBehaviour(t, b, func(path string, o Options) (*Source, error) { return memSource(t, b, path, o) })
}

func TestS3Bucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	defer server.Close()
	query := "?region=us-east-1&use_path_style=true&endpoint=" + server.URL
	b, err := blob.OpenBucket(t.Context(), "s3://bucket"+query)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	bucketBehaviour(t, b, func(path string, o Options) (*Source, error) {
		s, err := Open(t.Context(), "s3://bucket/"+path+query, o)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
		}
		return s, err
	})
	if _, err := Open(t.Context(), "s3://missing/"+query, Options{}); !errors.Is(err, ErrNoSource) {
		t.Errorf("a missing bucket: %v", err)
	}
}
