package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob/memblob"
)

func gz(tb testing.TB, data string) string {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(data)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func zst(tb testing.TB, data string) string {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(data), nil))
}

func jsonLines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `{"id":"%d","text":"text %d %x"}`+"\n", i, i, i*i*7919)
	}
	return b.String()
}

func TestPackedLines(t *testing.T) {
	t.Parallel()
	all := jsonLines(0, 3000)
	for name, data := range map[string]string{
		"d.jsonl.gz": gz(t, all), "d.NDJSON.GZ": gz(t, all), "d.jsonl.zst": zst(t, all),
		"members.jsonl.gz":  gz(t, all[:len(all)/3]) + gz(t, all[len(all)/3:]),
		"frames.ndjson.zst": zst(t, all[:500]) + zst(t, all[500:]),
		"plain.jsonl.gz":    all, // as decompressive transcoding of a bucket gives it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{name: data})
			for _, place := range []string{dir, filepath.Join(dir, name)} {
				s := open1(t, place, Options{})
				refs := list(t, s)
				if len(refs) != 3000 || refs[7].URI != name+"#7" {
					t.Fatalf("%d documents, %v", len(refs), refs[:min(len(refs), 3)])
				}
				// Another process has only the reference.
				worker := open1(t, s.URL(), Options{})
				var fetching sync.WaitGroup
				for at := 0; at < len(refs); at += 50 {
					fetching.Go(func() {
						raw, err := worker.Fetch(t.Context(), refs[at].Ref)
						if err != nil || string(raw.Data) != fmt.Sprintf("text %d %x", at, at*at*7919) {
							t.Errorf("%v %v", raw, err)
						}
					})
				}
				fetching.Wait()
			}
			if s := open1(t, dir, Options{Include: []string{name + "#12"}}); len(list(t, s)) != 1 {
				t.Error("a glob on a line")
			}
		})
	}
}

func TestPackedFileChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"d.jsonl.gz": gz(t, jsonLines(0, 100))})
	s := open1(t, dir, Options{})
	refs := list(t, s)
	if _, err := s.Fetch(t.Context(), refs[99].Ref); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"d.jsonl.gz": gz(t, "\n"+jsonLines(50, 200))})
	raw, err := s.Fetch(t.Context(), refs[99].Ref)
	if err != nil || !strings.HasPrefix(string(raw.Data), "text 99 ") || raw.Locator == refs[99].Locator {
		t.Errorf("a line that moved: %+v %v", raw, err)
	}
	if _, err := s.Fetch(t.Context(), refs[3].Ref); !errors.Is(err, ErrGone) {
		t.Errorf("a removed line: %v", err)
	}
	if n := len(s.unpacked.files); n != 1 {
		t.Errorf("%d versions are kept", n)
	}
	if err := os.Remove(filepath.Join(dir, "d.jsonl.gz")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), refs[60].Ref); !errors.Is(err, ErrGone) {
		t.Errorf("a removed file: %v", err)
	}
}

func TestDamagedPackedLines(t *testing.T) {
	t.Parallel()
	whole := gz(t, jsonLines(0, 5000))
	wrong := []byte(whole)
	wrong[len(wrong)/2] ^= 0xff
	bomb := gz(t, jsonLines(0, 2)+strings.Repeat("\x00", ratioFrom+4<<20))
	for name, c := range map[string]struct {
		data, want string
		lines      bool // some lines before the damage
	}{
		"cut":       {whole[:len(whole)/2], "its gzip data ends too early, after line ", true},
		"no end":    {whole[:len(whole)-3], "its gzip data ends too early, after line 5000", true},
		"wrong":     {string(wrong), "its gzip data is damaged, after line ", true},
		"garbage":   {whole + "a good deal of garbage", "its gzip data is damaged, after line 5000", true},
		"empty":     {"", "its gzip data ends too early", false},
		"no gzip":   {"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", "its gzip data is damaged", false},
		"a bomb":    {bomb, "it unpacks to more than 500 times its size, after line 2", true},
		"too large": {gz(t, jsonLines(0, 20_000)), "too large: 213 KiB, the limit for a compressed file is 64 KiB: divide it", false},
		"too much":  {gz(t, jsonLines(0, 30_000)), "it unpacks to more than 1.0 MiB: unpack or divide it, after line ", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{"d.jsonl.gz": c.data, "e.txt": "E"})
			s := open1(t, dir, Options{})
			switch name {
			case "too much":
				s.maxUnpacked = 1 << 20
			case "too large":
				s.maxPacked = 64 << 10
			}
			all := list(t, s)
			n := len(all)
			if n < 2 || all[n-1].URI != "e.txt" || all[n-2].URI != "d.jsonl.gz" || !strings.HasPrefix(all[n-2].Problem, c.want) {
				t.Fatalf("%v", all[max(0, n-2):])
			}
			if c.lines != (n > 2) {
				t.Fatalf("%d entries", n)
			}
			if !c.lines {
				return
			}
			good := n - 3
			for all[good].Problem != "" { // the damage may be inside a line
				good--
			}
			raw, err := s.Fetch(t.Context(), all[good].Ref)
			if err != nil || name != "wrong" && !strings.HasPrefix(string(raw.Data), "text ") {
				t.Errorf("the last line before the damage: %v", err)
			}
		})
	}
}

// A connection that breaks off is no damage: documents after it would look gone.
func TestPackedLinesOfABrokenConnection(t *testing.T) {
	t.Parallel()
	data := gz(t, jsonLines(0, 5000))
	u, err := unpack(readCloser{strings.NewReader(data[:len(data)/2])}, item{name: "d.jsonl.gz", size: int64(len(data))}, maxUnpacked)
	if err != nil {
		t.Fatal(err)
	}
	scan := newLineReader(u, DefaultMaxBytes)
	for err == nil {
		_, err = scan.next()
	}
	if bad := (*InputError)(nil); errors.As(err, &bad) || atEnd(err) {
		t.Errorf("%v", err)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestUnpackedFilesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 4 {
		write(t, dir, map[string]string{fmt.Sprintf("%d.jsonl.gz", i): gz(t, jsonLines(0, 1000))})
	}
	s := open1(t, dir, Options{})
	all := list(t, s)
	if _, err := s.Fetch(t.Context(), all[0].Ref); err != nil {
		t.Fatal(err)
	}
	s.maxPacked = 2*s.unpacked.files[0].onDisk() + 10
	for i := range 40 {
		if _, err := s.Fetch(t.Context(), all[(i*997)%len(all)].Ref); err != nil {
			t.Fatal(err)
		}
		if n := len(s.unpacked.files); n > 2 {
			t.Fatalf("%d files are kept", n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fetch(ctx, all[0].Ref); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPackedLinesOfABucket(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	defer b.Close()
	fill(t, b, map[string]string{"in/d.jsonl.gz": gz(t, jsonLines(0, 10)), "in/e.txt": "E"})
	s, err := memSource(t, b, "in", Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := list(t, s)
	if len(all) != 11 {
		t.Fatalf("%v", all)
	}
	if raw, err := s.Fetch(t.Context(), all[9].Ref); err != nil || !strings.HasPrefix(string(raw.Data), "text 9 ") {
		t.Errorf("%v %v", raw, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
