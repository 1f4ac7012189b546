//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/gistmill/gistmill/test/e2e/cluster"
)

const bucketName = "papers"

// bucket is an S3-compatible server with one bucket, at the node's address.
type bucket struct {
	t       *testing.T
	address string
	backend *s3mem.Backend
	lists   atomic.Int64 // requested objects
	held    atomic.Pointer[heldList]
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{t: t, backend: s3mem.New()}
	if err := b.backend.CreateBucket(bucketName); err != nil {
		t.Fatal(err)
	}
	s3 := gofakes3.New(b.backend).Server()
	b.address = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			if held := b.held.Load(); b.lists.Add(1) == held.of() {
				close(held.reached)
				select {
				case <-held.release:
				case <-r.Context().Done():
				}
			}
		}
		s3.ServeHTTP(w, r)
	}))
	return b
}

// heldList is a list request that waits until it is released.
type heldList struct {
	number           int64 // number of the list request, from 1
	reached, release chan struct{}
}

// of is the number, 0 for none.
func (h *heldList) of() int64 {
	if h == nil {
		return 0
	}
	return h.number
}

// holdPlan holds the first planner at its list of the documents, while it has its planning
// lease. Before it has the lease, it lists twice: when it opens the source, and to look at the
// fields of the first documents. reached is closed at that point; release lets the planner
// continue.
func (b *bucket) holdPlan() (reached <-chan struct{}, release func()) {
	h := &heldList{number: b.lists.Load() + 3, reached: make(chan struct{}), release: make(chan struct{})}
	b.held.Store(h)
	release = sync.OnceFunc(func() { close(h.release) })
	b.t.Cleanup(release) // or the server would not end
	return h.reached, release
}

// put stores an object.
func (b *bucket) put(key string, data []byte) {
	b.t.Helper()
	if _, err := b.backend.PutObject(bucketName, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		b.t.Fatalf("put %s: %v", key, err)
	}
}

// notes stores the notes first to last-1 below a prefix, one object each.
func (b *bucket) notes(prefix string, first, last int) {
	b.t.Helper()
	for n := first; n < last; n++ {
		b.put(fmt.Sprintf("%snote-%05d.txt", prefix, n), []byte(note(n)))
	}
}

// url returns the source with all objects of a prefix.
func (b *bucket) url(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?region=us-east-1&use_path_style=true&endpoint=%s", bucketName, prefix, url.QueryEscape(b.address))
}

// note returns a short document, a different one for each number.
func note(n int) string {
	return fmt.Sprintf(`Log of the lock-keeper, page %[1]d

Barge %[1]d passed the lower gate at %[2]d minutes past nine with a load of %[3]d tons of gravel for the new embankment. The
water was %[4]d centimetres above the mark. The keeper noted that the left paddle still leaks, and that the repair which
was promised for spring has not been begun. Page %[1]d was copied to the office of the canal company the same evening.
`, n, n%60, n%90+20, n%170)
}

// serve serves a handler at the node's address, which pods and the test reach, and returns its
// URL.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(cluster.NodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	// Of clients that are killed on purpose.
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL
}
