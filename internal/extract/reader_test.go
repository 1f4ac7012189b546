package extract

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gistmill/gistmill/internal/source"
)

// While suspects are read no document is read in this process, and the other way round.
func TestGateSeparatesDocumentsAndSuspects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for range 2 {
			if !g.tryEnter() {
				t.Fatal("two documents cannot be read at the same time")
			}
		}
		closed := make(chan error, 2)
		for range 2 {
			go func() { closed <- g.close(t.Context()) }()
		}
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("a suspect is read while documents are read in this process")
		}
		if g.tryEnter() {
			t.Error("a further document is read in this process while suspects wait")
		}
		g.leave()
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("a suspect is read while a document is read in this process")
		}
		g.leave()
		for range 2 {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		g.open()
		if g.tryEnter() {
			t.Error("a document is read in this process together with a suspect")
		}
		g.open()
		if !g.tryEnter() {
			t.Error("no document is read in this process after the suspects")
		}
	})
}

// A suspect whose context ends stops waiting for the gate and does not keep it closed.
func TestGateOpensWhenASuspectGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.tryEnter()
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan error)
		go func() { closed <- g.close(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-closed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if !g.tryEnter() {
			t.Error("no document is read in this process any more")
		}
		g.leave()
		g.leave()
		if err := g.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// newReader returns a Reader, and a folder with a.txt. The child processes of the Reader run in the
// given mode, see TestMain.
func newReader(t *testing.T, mode string) (*Reader, *source.Source) {
	t.Helper()
	r := NewReader(Limits{}, os.Args[0], mode)
	t.Cleanup(func() { _ = r.Close() })
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "Some text."})
	return r, openFolder(t, dir)
}

func TestReaderReadsInChildrenWhileOneIsStuck(t *testing.T) {
	t.Parallel()
	ref := source.Ref{URI: "a.txt"}
	r, s := newReader(t, "child-silent") // its answer tells where a document was read
	crash := (*CrashError)(nil)
	read := func() error {
		_, doc, err := r.Read(t.Context(), s, ref)
		if err == nil && doc.Text != "Some text." {
			t.Errorf("got %+v", doc)
		}
		return err
	}
	if err := read(); err != nil {
		t.Errorf("not read in this process: %v", err)
	}
	r.extractor.stuck.Add(1)
	if err := read(); !errors.As(err, &crash) {
		t.Errorf("not read in a child while a reader is stuck: %v", err)
	}
	r.extractor.stuck.Add(-1)
	if err := r.gate.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.As(err, &crash) {
		t.Errorf("not read in a child while a suspect is read: %v", err)
	}
	r.gate.open()
	if err := read(); err != nil {
		t.Errorf("not read in this process again: %v", err)
	}
}

func TestReadIsolatedCountsACrash(t *testing.T) {
	t.Parallel()
	ref, ctx := source.Ref{URI: "a.txt"}, t.Context()
	var counts []int64
	count := func(delta int64) error { counts = append(counts, delta); return nil }
	expect := func(want ...int64) {
		t.Helper()
		if !slices.Equal(counts, want) {
			t.Errorf("counted %v, want %v", counts, want)
		}
		counts = nil
	}
	r, s := newReader(t, "child-serve")
	if raw, doc, err := r.ReadIsolated(ctx, s, ref, count); err != nil || doc.Text != "Some text." || raw.SHA256 == "" {
		t.Errorf("got %+v %+v %v", raw, doc, err)
	}
	expect(1, -1)
	r.extractor.stuck.Add(1)
	if _, _, err := r.ReadIsolated(ctx, s, ref, count); err != nil {
		t.Error(err)
	}
	r.extractor.stuck.Add(-1)
	expect() // the stuck reader could be what kills this process
	if _, _, err := r.ReadIsolated(ctx, s, source.Ref{URI: "none.txt"}, count); !errors.Is(err, source.ErrGone) {
		t.Errorf("got %v", err)
	}
	expect()
	refused := errors.New("refused")
	if _, doc, err := r.ReadIsolated(ctx, s, ref, func(int64) error { return refused }); !errors.Is(err, refused) || doc != nil {
		t.Errorf("got %+v %v", doc, err)
	}
	dying, s := newReader(t, "child-signal")
	crash := (*CrashError)(nil)
	if _, _, err := dying.ReadIsolated(ctx, s, ref, count); !errors.As(err, &crash) {
		t.Errorf("got %v", err)
	}
	expect(1, -1)
	if !r.gate.tryEnter() || !dying.gate.tryEnter() {
		t.Error("the gate stayed closed")
	}
}
