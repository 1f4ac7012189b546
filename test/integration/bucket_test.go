//go:build integration

package integration

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/gistmill/gistmill/test/program/programtest"
)

const bucketName = "papers"

// bucket is an S3-compatible server with one bucket. A test can hold its transfers.
type bucket struct {
	t       *testing.T
	server  *httptest.Server
	backend *s3mem.Backend
	hold    atomic.Pointer[hold]
	ranges  atomic.Int64 // requests for a part of an object
	whole   atomic.Int64 // requests for a whole object
}

// hold stops an object's transfer after a number of bytes until it is released.
type hold struct {
	key     string
	after   int64
	release chan struct{}
}

// newBucket adds a bucket to a site: the programs' environment names it.
func (s *site) newBucket() *bucket {
	s.t.Helper()
	b := &bucket{t: s.t, backend: s3mem.New()}
	if err := b.backend.CreateBucket(bucketName); err != nil {
		s.t.Fatal(err)
	}
	s3 := gofakes3.New(b.backend).Server()
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := strings.CutPrefix(r.URL.Path, "/"+bucketName+"/")
		if ok && key != "" && r.Method == http.MethodGet {
			if r.Header.Get("Range") != "" {
				b.ranges.Add(1)
			} else {
				b.whole.Add(1)
			}
			if h := b.hold.Load(); h != nil && h.key == key {
				w = &heldWriter{ResponseWriter: w, hold: h, gone: r.Context().Done()}
			}
		}
		s3.ServeHTTP(w, r)
	}))
	// Of clients that are killed on purpose.
	b.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	b.server.Start()
	s.t.Cleanup(b.server.Close)
	s.t.Cleanup(b.server.CloseClientConnections)
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	return b
}

// put stores an object.
func (b *bucket) put(key string, data []byte) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, b.server.URL+"/"+bucketName+"/"+key, strings.NewReader(string(data)))
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		b.t.Fatalf("put %s: %s: %s", key, response.Status, text)
	}
}

// url returns the source with all objects of a prefix.
func (b *bucket) url(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?region=us-east-1&use_path_style=true&endpoint=%s", bucketName, prefix, url.QueryEscape(b.server.URL))
}

// holdAfter holds the next transfers of an object.
func (b *bucket) holdAfter(key string, bytes int64) *hold {
	h := &hold{key: key, after: bytes, release: make(chan struct{})}
	b.hold.Store(h)
	return h
}

// release ends a hold.
func (b *bucket) release(h *hold) {
	b.hold.CompareAndSwap(h, nil)
	close(h.release)
}

type heldWriter struct {
	http.ResponseWriter
	hold *hold
	sent int64
	gone <-chan struct{}
}

func (w *heldWriter) Write(p []byte) (int, error) {
	if w.sent >= w.hold.after {
		select {
		case <-w.hold.release:
		case <-w.gone:
			return 0, io.ErrClosedPipe
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	return n, err
}

// Documents in a bucket: objects, and lines that are read by their range.
func TestBucket(t *testing.T) {
	t.Parallel()
	const objects, linesOf = 60, 140
	s := newSite(t, "", latency(t, "5ms"))
	b := s.newBucket()
	for n := range objects {
		b.put(fmt.Sprintf("in/%02d/note-%d.txt", n%7, n), []byte(note(n)))
	}
	b.put("in/more.jsonl", lines(1000, 1000+linesOf))
	b.put("elsewhere/other.txt", []byte(note(7777)))
	p := s.enqueue(b.url("in/"))[0]
	if p.Listed != objects+linesOf || p.New != objects+linesOf {
		t.Fatalf("enqueue prints %s", describe(p))
	}
	worker := s.worker()
	s.finish(p.Run, patience, programtest.Totals{Total: objects + linesOf, Done: objects + linesOf})
	s.paidOnce(objects + linesOf)
	if n := b.ranges.Load(); n < linesOf {
		t.Errorf("%d requests by range for %d lines", n, linesOf)
	}
	if n := b.whole.Load(); n > objects+5 {
		t.Errorf("%d requests for whole objects, want at most one for each of %d objects and one for the file of lines", n, objects)
	}

	p = s.enqueue(b.url("in/"))[0]
	if p.New != 0 || p.Skipped != objects+linesOf || p.Tasks != 0 {
		t.Errorf("the second enqueue prints %s", describe(p))
	}
	b.put("in/03/note-3.txt", []byte(note(3333)))
	p = s.enqueue(b.url("in/"))[0]
	if p.New != 1 || p.Skipped != objects+linesOf-1 {
		t.Errorf("with one object changed enqueue prints %s", describe(p))
	}
	s.finish(p.Run, patience, programtest.Totals{Total: objects + linesOf, Done: 1, Skipped: objects + linesOf - 1})
	b.put("in/more.jsonl", append(lines(1000, 1000+linesOf), line("new", note(4444))...))
	p = s.enqueue(b.url("in/"))[0]
	if p.New != 1 || p.Skipped != objects+linesOf {
		t.Errorf("with one line more enqueue prints %s", describe(p))
	}
	s.finish(p.Run, patience, programtest.Totals{Total: objects + linesOf + 1, Done: 1, Skipped: objects + linesOf})
	s.paidOnce(objects + linesOf + 2)
	worker.Stop()
}
