package worker

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	w, now := newWaits(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	want := func(seconds float64, reason ledger.WaitReason) *ledger.Wait {
		t.Helper()
		got := w.current(at(seconds))
		if got == nil && reason != "" || got != nil && got.Reason != reason {
			t.Fatalf("after %v s: %+v, want %q", seconds, got, reason)
		}
		return got
	}
	want(0, "")
	limit := ledger.Wait{Reason: ledger.WaitRateLimit, Endpoint: "a", Until: at(60)}
	w.set(1, limit, at(0))
	want(0.5, "") // each call waits for a moment
	want(1, ledger.WaitRateLimit)
	// With one call after the other it is one wait.
	w.clear(1, at(1.5))
	limit.Until = at(30)
	w.set(2, limit, at(2))
	if got := want(2.5, ledger.WaitRateLimit); !got.Since.Equal(at(0)) || !got.Until.Equal(at(30)) {
		t.Errorf("got %+v", got)
	}
	// An outage is more than a limit, and is shown at once.
	w.set(3, ledger.Wait{Reason: ledger.WaitEndpoint, Endpoint: "a", Since: at(-60)}, at(3))
	if got := want(3, ledger.WaitEndpoint); !got.Since.Equal(at(-60)) {
		t.Errorf("got %+v", got)
	}
	w.clear(3, at(4))
	w.clear(2, at(4))
	want(4, "")
	// A document that was given back waits too, until its time.
	w.released(ledger.Wait{Reason: ledger.WaitEndpoint, Until: at(10)}, at(5))
	want(9, ledger.WaitEndpoint)
	want(11, "")

	write, changed := w.due(nil, at(11))
	if write || changed {
		t.Error("nothing has changed")
	}
	if write, changed = w.due(&limit, at(11)); !write || !changed {
		t.Error("a new wait is written")
	}
	w.wrote(&limit, at(11))
	later := limit
	later.Until = at(40)
	if write, _ = w.due(&later, at(12)); write {
		t.Error("only the end has changed, a moment ago")
	}
	if write, changed = w.due(&later, at(17)); !write || changed {
		t.Error("the new end is written, and not logged")
	}
	if write, changed = w.due(nil, at(17)); !write || !changed {
		t.Error("the end of the wait is written")
	}
}

// A wait that could not be written is written at a later turn, although nothing has changed since.
func TestWaitIsWrittenAgain(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	open := func(access ledger.Access) *ledger.Ledger {
		l, err := ledger.Open(t.Context(), url, ledger.Options{Access: access})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	up := open(ledger.AccessCreate)
	down := open(ledger.AccessRead) // every write fails
	id, err := up.Register(t.Context(), ledger.WorkerProcess{Name: "host"})
	if err != nil {
		t.Fatal(err)
	}
	w := &Worker{id: id, log: slog.New(slog.DiscardHandler), waits: newWaits()}
	check := func(when string, to *ledger.Ledger, want bool) {
		t.Helper()
		w.ledger = to
		w.reportWaits(t.Context())
		workers, err := up.Workers(t.Context(), 1)
		if err != nil || len(workers) != 1 {
			t.Fatalf("%s: %d workers, %v", when, len(workers), err)
		}
		if got := workers[0].Wait != nil; got != want {
			t.Errorf("%s: the ledger has a wait: %t, want %t", when, got, want)
		}
	}
	now := time.Now()
	w.waits.set(1, ledger.Wait{Reason: ledger.WaitEndpoint, Since: now}, now)
	check("when it was not written", down, false)
	check("at the next turn", up, true)
	w.waits.clear(1, now)
	check("when its end was not written", down, true)
	check("at the next turn", up, false)
}
