package ledger_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gistmill/gistmill/internal/ledger"
)

// lives is the default number of random lives: each takes some tens of transactions.
const lives = "12"

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(lives)
	}
	os.Exit(m.Run())
}

// Random events happen to documents, and their state is always that of a small model.
func testLifeOfADocument(t *testing.T, db database) {
	l := db.open(t)
	source := 0
	rapid.Check(t, func(rt *rapid.T) {
		source++
		newLife(t.Context(), rt, l, db.clock, fmt.Sprintf("file:///docs-%d", source)).live()
	})
}

// life is a model of a source's documents, with the ledger that has them.
type life struct {
	*rapid.T
	ctx     context.Context
	ledger  *ledger.Ledger
	clock   *clock
	source  ledger.SourceID
	profile ledger.ProfileID
	entries []ledger.Entry

	run       ledger.Run
	forcedAt  time.Time
	running   bool
	documents map[string]*modelled // by URI
	workers   []ledger.WorkerID
	claims    []heldClaim // all claims ever made, the newest last
}

// modelled is a document in the model: its state in the run, and its last result.
type modelled struct {
	state                    string // pending, claimed, done, dead, skipped
	epoch                    int64
	worker                   ledger.WorkerID
	attempts, tries, crashes int64
	suspect                  bool
	due                      time.Time
	result, resultVersion    string // done, dead, retry, dropped; empty: none
	resultAt                 time.Time
	resultAttempts           int64
}

type heldClaim struct {
	worker ledger.WorkerID
	ledger.Claimed
}

func newLife(ctx context.Context, rt *rapid.T, l *ledger.Ledger, c *clock, url string) *life {
	f := &life{T: rt, ctx: ctx, ledger: l, clock: c, documents: map[string]*modelled{}, entries: entries(3)}
	for _, e := range f.entries {
		f.documents[e.URI] = &modelled{}
	}
	f.source = drawn(f, l.PutSource)(ctx, url)
	var err error
	f.profile, err = l.PutProfile(ctx, "hash", "model", "{}")
	f.ok(err)
	for range 2 {
		f.workers = append(f.workers, f.register())
	}
	f.plan(false)
	return f
}

// drawn makes an error of a method fail the life.
func drawn[In, Out any](f *life, method func(context.Context, In) (Out, error)) func(context.Context, In) Out {
	return func(ctx context.Context, in In) Out {
		out, err := method(ctx, in)
		f.ok(err)
		return out
	}
}

func (f *life) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *life) now() time.Time { return f.clock.now().UTC() }

func (f *life) register() ledger.WorkerID {
	return drawn(f, f.ledger.Register)(f.ctx, ledger.WorkerProcess{Name: "worker"})
}

// live lets random events happen, and then finishes everything.
func (f *life) live() {
	f.Repeat(map[string]func(*rapid.T){
		"claim": func(*rapid.T) { f.claim(rapid.SampledFrom([]int{1, 2, 1000}).Draw(f.T, "limit")) },
		"book":  func(*rapid.T) { f.bookOne() },
		"wait": func(*rapid.T) {
			f.wait(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second}).Draw(f.T, "time"))
		},
		"lapse":   func(*rapid.T) { f.lapse(f.someWorker()) },
		"leave":   func(*rapid.T) { f.leave(f.someWorker()) },
		"close":   func(*rapid.T) { f.close() },
		"plan":    func(*rapid.T) { f.plan(false) },
		"force":   func(*rapid.T) { f.plan(true) },
		"change":  func(*rapid.T) { f.change() },
		"redrive": func(*rapid.T) { f.redrive() },
		"drop":    func(*rapid.T) { f.drop() },
		"undrop":  func(*rapid.T) { f.undrop() },
		"":        func(*rapid.T) { f.compare() },
	})
	f.lapse(0)
	f.lapse(1)
	f.wait(10 * time.Second)
	f.claim(1000)
	for _, c := range slices.Clone(f.claims) {
		f.book(c, "done", 0)
	}
	f.close()
	f.compare()
	if f.running {
		f.Error("the run is not finished")
	}
}

// compare compares the totals of the run with the model.
func (f *life) compare() {
	want := ledger.Totals{Total: int64(len(f.documents))}
	for _, d := range f.documents {
		switch d.state {
		case "done":
			want.Done++
		case "dead":
			want.Dead++
		case "skipped":
			want.Skipped++
		default:
			want.Remaining++
		}
	}
	got, _, err := f.ledger.Totals(f.ctx, f.run.ID)
	f.ok(err)
	if got != want {
		f.Fatalf("totals %+v, want %+v", got, want)
	}
	if run := drawn(f, f.ledger.RunByID)(f.ctx, f.run.ID); (run.State == ledger.Running) != f.running {
		f.Fatalf("the run is %s, running should be %v", run.State, f.running)
	}
}

func (f *life) someWorker() int { return rapid.IntRange(0, len(f.workers)-1).Draw(f.T, "worker") }

func (f *life) partitions() (ids []ledger.PartitionID) {
	f.ok(f.ledger.OpenPartitions(f.ctx, f.run.ID, func(page []ledger.Partition) error {
		for _, p := range page {
			ids = append(ids, p.ID)
		}
		return nil
	}))
	return ids
}

// claim claims up to limit documents of each partition. A large limit gets all that are due.
func (f *life) claim(limit int) {
	worker := f.workers[f.someWorker()]
	due := 0
	for _, d := range f.documents {
		if d.state == "pending" && !d.due.After(f.now()) {
			due++
		}
	}
	got := 0
	for _, p := range f.partitions() {
		claimed, err := f.ledger.Claim(f.ctx, worker, p, limit)
		f.ok(err)
		for _, c := range claimed {
			d := f.documents[c.URI]
			if d.state != "pending" || d.due.After(f.now()) {
				f.Fatalf("%s was claimed while it was %s, due at %s of %s", c.URI, d.state, d.due, f.now())
			}
			d.state, d.worker = "claimed", worker
			d.epoch++
			want := [...]any{d.epoch, d.attempts, d.tries, d.crashes, d.suspect}
			if got := [...]any{c.Epoch, c.Attempts, c.Tries, c.Crashes, c.Suspect}; got != want {
				f.Fatalf("%s was claimed with epoch, attempts, tries, crashes, suspect %v, want %v", c.URI, got, want)
			}
			f.claims = append(f.claims, heldClaim{worker, c})
			got++
		}
	}
	if limit >= len(f.documents) && got != due {
		f.Fatalf("%d of %d documents that were due were claimed", got, due)
	}
}

func (f *life) bookOne() {
	if len(f.claims) == 0 {
		f.Skip("nothing was claimed so far")
	}
	newest := f.claims[max(0, len(f.claims)-6):]
	f.book(rapid.SampledFrom(newest).Draw(f.T, "claim"), rapid.SampledFrom([]string{"done", "failed", "crashed", "dead", "release"}).Draw(f.T, "outcome"),
		rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(f.T, "after"))
}

// book books an outcome. The ledger must refuse it unless the claim is current.
func (f *life) book(c heldClaim, kind string, after time.Duration) {
	d := f.documents[c.URI]
	live := d.state == "claimed" && c.Run == f.run.ID && d.epoch == c.Epoch && d.worker == c.worker
	var err error
	next := *d
	switch kind {
	case "done":
		err = f.ledger.Done(f.ctx, c.worker, c.Claimed, ledger.Read{Version: c.Version},
			ledger.Summary{Name: c.URI + c.Version, Text: "text", Model: "model", Chunks: 1})
		next.state, next.suspect = "done", false
		next.attempts, next.tries = d.attempts+1, d.tries+1
		next.result, next.resultVersion, next.resultAt, next.resultAttempts = "done", c.Version, f.now(), d.attempts+1
	case "failed":
		err = f.ledger.Failed(f.ctx, c.worker, c.Claimed, "transient", "status 500", after)
		next.state, next.due = "pending", f.now().Add(after)
		next.attempts, next.tries = d.attempts+1, d.tries+1
	case "crashed":
		err = f.ledger.Crashed(f.ctx, c.worker, c.Claimed, "killed")
		next.state, next.suspect, next.crashes, next.due = "pending", true, d.crashes+1, time.Time{}
	case "dead":
		err = f.ledger.Dead(f.ctx, c.worker, c.Claimed, ledger.Read{}, "exhausted", "status 500")
		next.state = "dead"
		next.attempts, next.tries = d.attempts+1, d.tries+1
		next.result, next.resultVersion, next.resultAt, next.resultAttempts = "dead", c.Version, f.now(), d.attempts+1
	default:
		f.ok(f.ledger.Release(f.ctx, c.worker, c.Claimed, after)) // accepted also when the claim is stale
		next.state, next.due = "pending", f.now().Add(after)
		if live {
			*d = next
		}
		return
	}
	switch {
	case live:
		f.ok(err)
		*d = next
	case !errors.Is(err, ledger.ErrStale):
		f.Fatalf("%s of %s under epoch %d of worker %d: %v; it is %s under epoch %d of worker %d", kind, c.URI, c.Epoch, c.worker, err, d.state, d.epoch, d.worker)
	}
}

func (f *life) wait(d time.Duration) {
	f.clock.advance(d)
	for _, w := range f.workers {
		f.ok(f.ledger.Renew(f.ctx, w, nil))
	}
}

// lapse lets a worker's lease lapse, and registers another in its place.
func (f *life) lapse(which int) {
	f.clock.advance(ledger.Lease + time.Second)
	for i, w := range f.workers {
		if i != which {
			f.ok(f.ledger.Renew(f.ctx, w, nil))
		}
	}
	_, err := f.ledger.RecoverLapsed(f.ctx, dead)
	f.ok(err)
	f.free(which, func(d *modelled) { d.suspect, d.due = true, time.Time{} })
}

func (f *life) leave(which int) {
	f.ok(f.ledger.Leave(f.ctx, f.workers[which], nil))
	f.free(which, func(*modelled) {})
}

func (f *life) free(which int, change func(*modelled)) {
	for _, d := range f.documents {
		if d.state == "claimed" && d.worker == f.workers[which] {
			d.state = "pending"
			change(d)
		}
	}
	f.workers[which] = f.register()
}

// close closes partitions without open documents, and with the last one the run.
func (f *life) close() {
	for _, p := range f.partitions() {
		f.ok(f.ledger.ClosePartition(f.ctx, p))
	}
	f.running = slices.ContainsFunc(f.states(), func(s string) bool { return s == "pending" || s == "claimed" })
}

func (f *life) states() (all []string) {
	for _, d := range f.documents {
		all = append(all, d.state)
	}
	return all
}

// change gives a document new content, for the next plan.
func (f *life) change() {
	e := &f.entries[rapid.IntRange(0, len(f.entries)-1).Draw(f.T, "document")]
	e.Version += "x"
}

// plan plans the source. It continues an unfinished run, or starts a new one.
func (f *life) plan(force bool) {
	f.ok(f.ledger.LockPlan(f.ctx, f.source, f.profile, "planner"))
	run, continued, err := f.ledger.OpenRun(f.ctx, f.source, f.profile, force)
	f.ok(err)
	if continued != f.running {
		f.Fatalf("continued is %v, a run is unfinished: %v", continued, f.running)
	}
	_, err = f.ledger.Plan(f.ctx, run, "planner", f.entries, size, nil)
	f.ok(err)
	f.ok(f.ledger.UnlockPlan(f.ctx, f.source, f.profile, "planner"))
	f.ok(f.ledger.Publish(f.ctx, ledger.Publication{Run: run.ID}))
	_, err = f.ledger.FinishRun(f.ctx, run.ID)
	f.ok(err)
	f.run = run
	if !continued {
		f.forcedAt = time.Time{}
	}
	if force && f.forcedAt.IsZero() {
		f.forcedAt = f.now()
	}
	for _, e := range f.entries {
		f.documents[e.URI].plan(e.Version, continued, f.forcedAt)
	}
	f.close()
}

// plan is the effect of a listing on a document.
func (d *modelled) plan(version string, continued bool, forcedAt time.Time) {
	current := d.result != "" && d.result != "retry" && d.resultVersion == version && !d.resultAt.Before(forcedAt)
	switch {
	case continued && (d.state == "pending" || d.state == "claimed" || current):
	case continued:
		d.state, d.tries, d.due = "pending", 0, time.Time{}
	default:
		result := modelled{result: d.result, resultVersion: d.resultVersion, resultAt: d.resultAt, resultAttempts: d.resultAttempts}
		*d = result
		d.state = "pending"
		if current {
			d.state = cmp.Or(map[string]string{"dead": "dead"}[d.result], "skipped")
			d.attempts = d.resultAttempts
		}
	}
}

func (f *life) redrive() {
	_, err := f.ledger.Redrive(f.ctx, ledger.DeadFilter{Run: f.run.ID}, size, true)
	f.ok(err)
	for _, d := range f.documents {
		if d.state == "dead" {
			d.state, d.tries, d.suspect, d.crashes, d.due, d.result = "pending", 0, d.suspect || d.crashes > 0, 0, time.Time{}, "retry"
			f.running = true
		}
	}
}

func (f *life) drop() {
	_, err := f.ledger.Drop(f.ctx, ledger.DeadFilter{Run: f.run.ID})
	f.ok(err)
	for _, d := range f.documents {
		if d.state == "dead" {
			d.state, d.result = "skipped", "dropped"
		}
	}
}

// undrop redrives the documents whose dead letters were dropped.
func (f *life) undrop() {
	redriven, err := f.ledger.Redrive(f.ctx, ledger.DeadFilter{Run: f.run.ID, Dropped: true}, size, true)
	f.ok(err)
	var want int64
	for _, d := range f.documents {
		if d.state == "skipped" && d.result == "dropped" {
			want++
			d.state, d.tries, d.suspect, d.crashes, d.due, d.result = "pending", 0, d.suspect || d.crashes > 0, 0, time.Time{}, "retry"
			f.running = true
		}
	}
	if redriven[f.run.ID] != want {
		f.Fatalf("redrove %v, want %d documents of run %d", redriven, want, f.run.ID)
	}
}
