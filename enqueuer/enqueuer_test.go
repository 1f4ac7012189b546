package enqueuer_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/tasks"
)

type bench struct {
	*testing.T
	docs   string
	ledger *ledger.Ledger
	queue  *tasks.Queue
	*enqueuer.Enqueuer
}

func setUp(t *testing.T, n int) *bench {
	t.Helper()
	return setUpAt(t, n, nil)
}

// setUpAt uses a ledger with the given clock.
func setUpAt(t *testing.T, n int, now func() time.Time) *bench {
	t.Helper()
	b := &bench{T: t, docs: t.TempDir()}
	for i := range n {
		b.write(fmt.Sprintf("doc%03d.txt", i), fmt.Sprint("text ", i))
	}
	var err error
	b.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{Now: now})
	b.ok(err)
	t.Cleanup(func() { b.ok(b.ledger.Close()) })
	client, err := tasks.Dial("redis://" + miniredis.RunT(t).Addr())
	b.ok(err)
	t.Cleanup(func() { b.ok(client.Close()) })
	b.queue = tasks.NewQueue(client, "documents")
	b.Enqueuer, err = enqueuer.New(enqueuer.Config{Ledger: b.ledger, Queue: b.queue})
	b.ok(err)
	return b
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) write(name, text string) {
	b.Helper()
	path := filepath.Join(b.docs, name)
	b.ok(os.MkdirAll(filepath.Dir(path), 0o750))
	b.ok(os.WriteFile(path, []byte(text), 0o600))
}

func (b *bench) request(o source.Options) enqueuer.Request {
	b.Helper()
	src, err := source.Open(b.Context(), b.docs, o)
	b.ok(err)
	b.Cleanup(func() { b.ok(src.Close()) })
	return enqueuer.Request{
		Source: src, Profile: "hash", Model: "m", ProfileBody: "{}", Partial: o.Limit > 0,
		Size: ledger.PartitionSize{Documents: 5, Bytes: 1 << 20},
	}
}

// plan plans the documents, and the test publishes or refuses it.
func (b *bench) plan(o source.Options) *enqueuer.Plan {
	b.Helper()
	p, err := b.Plan(b.Context(), b.request(o))
	b.ok(err)
	return p
}

func (b *bench) enqueue(o source.Options) *enqueuer.Plan {
	b.Helper()
	p := b.plan(o)
	defer p.Close()
	b.ok(p.Publish(b.Context()))
	return p
}

func (b *bench) pending() int64 {
	b.Helper()
	c, err := b.queue.Count(b.Context())
	b.ok(err)
	return c.Pending
}

func TestEachPartitionHasOneTask(t *testing.T) {
	t.Parallel()
	b := setUp(t, 12)
	p := b.enqueue(source.Options{})
	if p.Enqueued != 3 || b.pending() != 3 || p.Run.State != ledger.Running {
		t.Errorf("%d enqueued, %d pending, run %s", p.Enqueued, b.pending(), p.Run.State)
	}
	b.write("new.txt", "more")
	again := b.enqueue(source.Options{})
	if again.Run.ID != p.Run.ID || !again.Continued || again.Enqueued != 1 || b.pending() != 4 {
		t.Errorf("continued: %d enqueued, %d pending", again.Enqueued, b.pending())
	}
}

// A plan is noted in the ledger, even if it found nothing new. A failed plan is not noted.
func TestPlansAreNoted(t *testing.T) {
	t.Parallel()
	b := setUp(t, 1)
	last := func() time.Time {
		t.Helper()
		f, err := report.New(b.ledger).Stats(t.Context())
		b.ok(err)
		if len(f.Planned) > 1 {
			t.Fatalf("planned %v", f.Planned)
		}
		for _, at := range f.Planned {
			return at
		}
		return time.Time{}
	}
	refused := b.plan(source.Options{})
	b.ok(refused.Refuse(t.Context()))
	refused.Close()
	if !last().IsZero() {
		t.Errorf("a plan that was refused is noted: %s", last())
	}
	b.enqueue(source.Options{})
	first := last()
	if time.Since(first) > time.Minute {
		t.Errorf("planned at %s", first)
	}
	for now := first; !now.After(first); { // ledger time is in milliseconds
		var err error
		now, err = b.ledger.Now(t.Context())
		b.ok(err)
	}
	b.enqueue(source.Options{})
	if !last().After(first) {
		t.Errorf("a plan that found nothing new is not noted: %s after %s", last(), first)
	}
}

func TestPreviewWritesNothing(t *testing.T) {
	t.Parallel()
	b := setUp(t, 7)
	p, err := b.Preview(t.Context(), b.request(source.Options{}))
	b.ok(err)
	if p.Count.Pending != 7 || len(p.Sample) != 7 {
		t.Errorf("preview %+v", p.Count)
	}
	if _, err := b.ledger.Run(t.Context(), ""); !errors.Is(err, ledger.ErrNotFound) || b.pending() != 0 {
		t.Errorf("a preview left a run or a task: %v", err)
	}
}

func TestSecondPlannerIsRefused(t *testing.T) {
	t.Parallel()
	b := setUp(t, 2)
	p := b.plan(source.Options{})
	defer p.Close()
	if _, err := b.Plan(t.Context(), b.request(source.Options{})); !errors.Is(err, ledger.ErrPlanning) {
		t.Errorf("the second planner got %v", err)
	}
	b.ok(p.Publish(t.Context()))
}

// The next planner waits until the lease of a dead planner has lapsed, and no longer.
func TestDeadPlannerIsWaitedOut(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	b := setUpAt(t, 2, func() time.Time { return time.Now().Add(time.Duration(late.Load())) })
	r := b.request(source.Options{})
	source, err := b.ledger.PutSource(t.Context(), r.Source.URL())
	b.ok(err)
	profile, err := b.ledger.PutProfile(t.Context(), r.Profile, r.Model, r.ProfileBody)
	b.ok(err)
	b.ok(b.ledger.LockPlan(t.Context(), source, profile, "killed"))
	waited := writer(func() { late.Store(int64(ledger.PlanLease + time.Second)) })
	e, err := enqueuer.New(enqueuer.Config{Ledger: b.ledger, Queue: b.queue, Log: slog.New(slog.NewTextHandler(waited, nil))})
	b.ok(err)
	p, err := e.Plan(t.Context(), r)
	b.ok(err)
	p.Close()
	if late.Load() == 0 {
		t.Error("the killed planner's lease did not block the next planner")
	}
}

// writer calls a function for each line of a log.
type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

func TestUnconfirmedPlanWaits(t *testing.T) {
	t.Parallel()
	b := setUp(t, 2)
	refused := b.plan(source.Options{})
	b.ok(refused.Refuse(t.Context()))
	refused.Close()
	run, err := b.ledger.Run(t.Context(), "")
	b.ok(err)
	if run.State != ledger.Stopped || b.pending() != 0 {
		t.Errorf("run is %s, %d tasks", run.State, b.pending())
	}
	if p := b.enqueue(source.Options{}); p.Run.ID != run.ID || !p.Resumed || b.pending() != 1 {
		t.Errorf("continued as %+v", p.Run)
	}
}

func TestOnlyMatchingMissingDocumentsAreGone(t *testing.T) {
	t.Parallel()
	b := setUp(t, 4)
	b.write("notes/a.md", "a")
	b.enqueue(source.Options{})
	b.ok(os.Remove(filepath.Join(b.docs, "doc000.txt")))
	b.ok(os.Remove(filepath.Join(b.docs, "notes/a.md")))
	for name, test := range map[string]struct {
		o    source.Options
		gone int64
	}{
		"limited":  {source.Options{Limit: 2}, 0},
		"filtered": {source.Options{Include: []string{"*.md"}}, 1},
	} {
		if p := b.enqueue(test.o); p.Gone != test.gone {
			t.Errorf("%s: %d gone, want %d", name, p.Gone, test.gone)
		}
	}
	if p := b.enqueue(source.Options{}); p.Gone != 1 {
		t.Errorf("full: %d gone, want the other one", p.Gone)
	}
}

func TestTooLongPathIsDead(t *testing.T) {
	t.Parallel()
	b := setUp(t, 1)
	deep := strings.Repeat(strings.Repeat("d", 200)+"/", 12) + "x.txt"
	b.write(deep, "deep")
	p := b.enqueue(source.Options{})
	if p.Count.Dead != 1 || p.Count.Pending != 1 {
		t.Errorf("count %+v", p.Count)
	}
}
