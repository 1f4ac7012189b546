// Package enqueuer turns a source into work: it lists the source, records the difference in
// the ledger as a run, and enqueues a task for each partition. It also estimates the calls,
// tokens and cost of a plan.
//
// It refuses to own how documents are read (internal/source, internal/extract), what counts as
// unchanged (internal/ledger), how tasks enter the queue (internal/recovery) and what they do
// (worker).
package enqueuer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// batchSize is the number of entries in one transaction of a plan. It bounds the memory,
	// and the work that is repeated after a crash.
	batchSize = 20_000
	// sampleSize is the largest number of documents that an estimate reads.
	sampleSize = 1000
)

// Config of an [Enqueuer]. Only Ledger is needed.
type Config struct {
	Ledger *ledger.Ledger
	Queue  *tasks.Queue // nil: published plans are not enqueued
	Log    *slog.Logger // nil: nothing is logged
}

// Enqueuer plans runs and enqueues their tasks. It is safe for concurrent use.
type Enqueuer struct {
	ledger   *ledger.Ledger
	recovery *recovery.Recovery // nil: there is no queue
	log      *slog.Logger
}

// New returns an Enqueuer. It fails without a ledger.
func New(c Config) (*Enqueuer, error) {
	if c.Ledger == nil {
		return nil, errors.New("an enqueuer needs a ledger")
	}
	e := &Enqueuer{ledger: c.Ledger, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler))}
	if c.Queue != nil {
		e.recovery = recovery.New(c.Ledger, c.Queue, e.log)
	}
	return e, nil
}

// Request describes a plan.
type Request struct {
	Source       *source.Source
	Profile      string // the profile's hash
	Model        string
	ProfileBody  string // the profile as JSON, stored under the hash
	Force        bool   // work on every document again
	Wait         bool   // wait for a live planner of the same pair; otherwise ledger.ErrPlanning
	Partial      bool   // the listing is cut (--limit): documents missing from it are not gone
	BudgetNano   *int64
	BudgetTokens *int64
	Size         ledger.PartitionSize
	// Listed, if not nil, counts the entries while they are listed. It may be read meanwhile.
	Listed *atomic.Int64
}

// Plan is a plan that waits for confirmation: its run is recorded, and no worker can begin what the
// plan adds or continues. It holds the planning lease of its source and profile. Either publish or
// refuse it, and close it in any case.
type Plan struct {
	Run       ledger.Run
	Continued bool // the run existed before
	Resumed   bool // the run was stopped before
	Count     ledger.PlanCount
	Gone      int64 // documents that the listing no longer has
	Remaining int64 // documents of the run that remain, including those of earlier plans
	Planned   int64 // of the remaining ones, those that were never published
	Enqueued  int   // tasks, after [Plan.Publish]
	// Sample is a uniform sample of the remaining documents, at most 1,000.
	Sample []ledger.Entry
	// Service and FlexFallback replace those of the run when the plan is published, unless nil.
	Service      *string
	FlexFallback *bool

	enqueuer *Enqueuer
	lease    *lease
	newest   ledger.PartitionID // that the plan covers
	listed   bool               // the source was listed
	closed   bool
	nano     *int64
	tokens   *int64
}

// Plan lists a source and records the difference in the ledger. If it is killed, the next call with
// the same source and profile continues the plan. It fails with [ledger.ErrPlanning] if a live
// process plans the pair and the request does not wait, and with a *[QuotaError] before the quota
// has reset that stopped the run. The source is open, and the caller closes it.
func (e *Enqueuer) Plan(ctx context.Context, r Request) (*Plan, error) {
	source, err := e.ledger.PutSource(ctx, r.Source.URL())
	if err != nil {
		return nil, fmt.Errorf("record the source: %w", err)
	}
	profile, err := e.ledger.PutProfile(ctx, r.Profile, r.Model, r.ProfileBody)
	if err != nil {
		return nil, fmt.Errorf("record the profile: %w", err)
	}
	held, err := e.lock(ctx, source, profile, r.Wait)
	if err != nil {
		return nil, err
	}
	p := &Plan{enqueuer: e, lease: held, listed: true, nano: r.BudgetNano, tokens: r.BudgetTokens}
	// Continue the pair's open run, or begin a new one.
	if p.Run, p.Continued, err = e.ledger.OpenRun(held.ctx, source, profile, r.Force); err == nil {
		err = e.checkQuota(held.ctx, p.Run)
	}
	if err == nil {
		err = e.list(held.ctx, r, p)
	}
	if err == nil {
		err = p.countRemaining()
	}
	return p.opened(ctx, err)
}

// Reopen prepares an unfinished run to continue, without a new listing. The budgets replace those
// of the run, unless nil. It fails with [ledger.ErrPlanning] if a live process plans the run's
// source and profile, and with [ledger.ErrState] if the run is finished, cancelled, or was never
// planned to its end.
func (e *Enqueuer) Reopen(ctx context.Context, run ledger.Run, budgetNano, budgetTokens *int64) (*Plan, error) {
	held, err := e.lock(ctx, run.SourceID, run.ProfileID, false)
	if err != nil {
		return nil, err
	}
	p := &Plan{enqueuer: e, lease: held, Continued: true, nano: budgetNano, tokens: budgetTokens}
	if p.Run, err = e.ledger.RunByID(held.ctx, run.ID); err == nil {
		if p.Run.State != ledger.Running && (p.Run.State != ledger.Stopped || p.Run.Reason == ledger.Cancelled) {
			err = ledger.ErrState
		} else if err = e.checkQuota(held.ctx, p.Run); err == nil {
			err = p.countRemaining()
		}
	}
	return p.opened(ctx, err)
}

// QuotaError refuses to continue a run before a quota of its endpoint has reset.
type QuotaError struct {
	Run   ledger.Run
	Until time.Time
	Left  time.Duration
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("the endpoint's quota (%s) is used up until %s, in %s: no call is made before; the same command goes on then. "+
		"If the quota was raised, `gistmill cancel %s` and the same command begin at once",
		e.Run.Quota, ledger.ClockTime(e.Until), e.Left, e.Run.Name)
}

// checkQuota fails with a *[QuotaError] if the run is stopped until a quota resets. The ledger's
// clock decides.
func (e *Enqueuer) checkQuota(ctx context.Context, run ledger.Run) error {
	if run.State != ledger.Stopped || run.Reason != ledger.Quota || run.Until.IsZero() {
		return nil
	}
	now, err := e.ledger.Now(ctx)
	if err != nil {
		return err
	}
	if left := run.Until.Sub(now); left > 0 {
		return &QuotaError{Run: run, Until: run.Until, Left: left.Round(time.Second)}
	}
	return nil
}

// opened returns the plan. If err is why it could not be prepared, it closes the plan and fails.
func (p *Plan) opened(ctx context.Context, err error) (*Plan, error) {
	if err != nil {
		err = p.lost(ctx, err)
		p.Close()
		return nil, err
	}
	return p, nil
}

// Publish makes the plan visible to workers and enqueues its tasks. Call it after the plan was
// confirmed. It fails with [ledger.ErrState] if the run was stopped or cancelled meanwhile, and
// with [ledger.ErrPlanning] if the lease was lost. ctx bounds the enqueueing.
func (p *Plan) Publish(ctx context.Context) error { return p.publish(ctx, 0) }

// PublishSample is [Plan.Publish] for n of the remaining documents, chosen at random. When they are
// done, the run is stopped; [Enqueuer.Reopen] continues it. It fails with [ledger.ErrWorkers] if
// live workers may be working on the run. n is positive.
func (p *Plan) PublishSample(ctx context.Context, n int) error { return p.publish(ctx, n) }

// publish publishes a sample, or all if sample is 0.
func (p *Plan) publish(ctx context.Context, sample int) error {
	e := p.enqueuer
	if err := e.ledger.Publish(p.lease.ctx, ledger.Publication{
		Run: p.Run.ID, Holder: p.lease.holder, Resume: p.Resumed, Newest: p.newest, Sample: sample, BudgetNano: p.nano, BudgetTokens: p.tokens,
		Service: p.Service, FlexFallback: p.FlexFallback,
	}); err != nil {
		if errors.Is(err, ledger.ErrState) {
			err = fmt.Errorf("run %s was stopped while it was planned: %w", p.Run.Name, err)
		}
		return p.lost(ctx, err)
	}
	// Finish a run that has nothing to do.
	if _, err := e.ledger.FinishRun(ctx, p.Run.ID); err != nil {
		return err
	}
	var err error
	if p.Run, err = e.ledger.RunByID(ctx, p.Run.ID); err != nil {
		return err
	}
	if e.recovery != nil {
		if p.Enqueued, err = e.recovery.EnqueueMissing(ctx, p.Run, p.Continued); err != nil {
			return err
		}
	}
	if !p.listed || sample > 0 {
		return nil
	}
	return e.ledger.RecordPlan(ctx, p.Run.SourceID)
}

// Flex reports whether the calls of the plan's run ask for the flex tier.
func (p *Plan) Flex() bool {
	service := p.Run.Service
	if p.Service != nil {
		service = *p.Service
	}
	return service == string(llm.TierFlex)
}

// CapsTokens reports whether the plan's run has, or gets, a cap on its tokens.
func (p *Plan) CapsTokens() bool { return p.tokens != nil || p.Run.Tokens != nil }

// Refuse notes that the plan was not confirmed: see [ledger.Ledger.Refuse].
func (p *Plan) Refuse(ctx context.Context) error {
	e := p.enqueuer
	stopped, err := e.ledger.Refuse(ctx, p.Run.ID)
	if err != nil || !stopped || e.recovery == nil {
		return err
	}
	return e.recovery.Withdraw(ctx, p.Run)
}

// Close returns the planning lease, once. A run that has only partitions of a refused plan left is
// stopped.
func (p *Plan) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.lease.release()
	e := p.enqueuer
	if p.Run.ID == 0 {
		return
	}
	if _, err := e.ledger.FinishRun(context.WithoutCancel(p.lease.ctx), p.Run.ID); err != nil {
		e.log.Warn("cannot settle the run", "run", p.Run.Name, "error", err)
	}
}

// countRemaining sets what remains of the run. Without earlier work, that is what the listing has
// found.
func (p *Plan) countRemaining() error {
	p.Resumed = p.Run.State == ledger.Stopped
	want := sampleSize
	if !p.Continued {
		want = 0
	}
	open, err := p.enqueuer.ledger.Remaining(p.lease.ctx, p.Run.ID, want)
	if err != nil {
		return err
	}
	p.Remaining, p.Planned, p.newest = open.Documents, open.Planned, open.Newest
	if p.Continued {
		p.Sample = open.Sample
	}
	return nil
}

// lost returns the reason why the lease ended, if it did before ctx, instead of err.
func (p *Plan) lost(ctx context.Context, err error) error {
	if cause := context.Cause(p.lease.ctx); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// list lists the source into the run, under the planning lease.
func (e *Enqueuer) list(ctx context.Context, r Request, p *Plan) (err error) {
	// Record each entry: new, changed, unchanged or unreadable.
	var unread unlisted
	if err := e.planEntries(ctx, r, p.lease.holder, p, &unread); err != nil {
		return err
	}
	if err := e.ledger.ForgetUnlisted(ctx, p.Run.ID); err != nil {
		return err
	}
	// Mark documents gone that a complete listing did not meet.
	if !r.Partial {
		p.Gone, err = e.ledger.MarkGone(ctx, p.Run, p.Count.Listed, func(uri string, modified time.Time) bool {
			return r.Source.Matches(uri, modified) && !unread.covers(uri)
		})
	}
	return err
}

// planEntries records the listing batch by batch, while the next batch is listed.
func (e *Enqueuer) planEntries(ctx context.Context, r Request, holder string, p *Plan, unread *unlisted) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type listed struct {
		batch []ledger.Entry
		err   error
	}
	batches := make(chan listed)
	go func() {
		defer close(batches)
		for batch, err := range inBatches(counted(r.Source.Entries(ctx), r.Listed)) {
			select {
			case batches <- listed{batch, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range batches { // wait for the lister to end
		}
	}()
	sample := reservoir{}
	for b := range batches {
		if b.err != nil {
			return fmt.Errorf("list the source: %w", b.err)
		}
		unread.add(b.batch)
		count, err := e.ledger.Plan(ctx, p.Run, holder, b.batch, r.Size, sample.add)
		if err != nil {
			return err
		}
		p.Count.Add(count)
	}
	p.Sample = sample.kept
	return ctx.Err()
}

// counted passes entries on and counts them; a nil counter counts nothing.
func counted(entries iter.Seq2[source.Entry, error], n *atomic.Int64) iter.Seq2[source.Entry, error] {
	if n == nil {
		return entries
	}
	return func(yield func(source.Entry, error) bool) {
		for entry, err := range entries {
			if err == nil {
				n.Add(1)
			}
			if !yield(entry, err) {
				return
			}
		}
	}
}

// inBatches groups entries into batches for the ledger. It ends after an error.
func inBatches(entries iter.Seq2[source.Entry, error]) iter.Seq2[[]ledger.Entry, error] {
	return func(yield func([]ledger.Entry, error) bool) {
		batch := make([]ledger.Entry, 0, batchSize)
		for entry, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			batch = append(batch, toLedger(entry))
			if len(batch) == batchSize {
				if !yield(batch, nil) {
					return
				}
				batch = make([]ledger.Entry, 0, batchSize)
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// longestURI is in bytes. PostgreSQL's index on URIs accepts about 2,700.
const longestURI = 2000

func toLedger(entry source.Entry) ledger.Entry {
	e := ledger.Entry{
		URI: entry.URI, Locator: entry.Locator, Version: entry.Version,
		Size: entry.Size, Modified: entry.Modified, Problem: entry.Problem,
	}
	if len(e.URI) > longestURI {
		e.Problem = fmt.Sprintf("its path of %d bytes is too long, the limit is %d: move or rename it", len(e.URI), longestURI)
		e.URI = fmt.Sprintf("%s~%x", strings.ToValidUTF8(e.URI[:longestURI/2], ""), sha256.Sum256([]byte(e.URI)))
	}
	return e
}

// unlisted are entries that could not be read. One may be a folder or a file of lines: documents
// in it were not listed, and are not gone.
type unlisted struct{ uris []string }

// maxUnlisted bounds the memory. With more unreadable entries, no document counts as gone.
const maxUnlisted = 10_000

func (u *unlisted) add(batch []ledger.Entry) {
	for _, e := range batch {
		if e.Problem != "" && !strings.Contains(e.URI, "#") && len(u.uris) <= maxUnlisted {
			u.uris = append(u.uris, e.URI)
		}
	}
}

func (u *unlisted) covers(uri string) bool {
	return len(u.uris) > maxUnlisted || slices.ContainsFunc(u.uris, func(unread string) bool {
		rest, ok := strings.CutPrefix(uri, unread)
		return ok && rest != "" && (rest[0] == '/' || rest[0] == '#')
	})
}

// reservoir keeps a uniform sample of a stream (Vitter's algorithm R, 1985).
type reservoir struct {
	seen int
	kept []ledger.Entry
}

func (s *reservoir) add(e ledger.Entry) {
	s.seen++
	if len(s.kept) < sampleSize {
		s.kept = append(s.kept, e)
	} else if i := rand.IntN(s.seen); i < sampleSize {
		s.kept[i] = e
	}
}

// lease is a planning lease that this process holds.
type lease struct {
	ctx     context.Context // ends when the lease is lost
	holder  string
	release func()
}

// lock takes the planning lease of a pair and renews it. If another planner has the lease,
// lock waits for it if wait is set. Otherwise it waits only until it has seen whether that
// planner is alive: a planner that was killed, or met a full disk, could not give its lease
// back.
func (e *Enqueuer) lock(ctx context.Context, source ledger.SourceID, profile ledger.ProfileID, wait bool) (*lease, error) {
	host, _ := os.Hostname()
	holder := fmt.Sprintf("%s-%d-%x", cmp.Or(host, "host"), os.Getpid(), rand.Uint32())
	var seen time.Time // end of the other planner's lease
	for {
		err := e.ledger.LockPlan(ctx, source, profile, holder)
		if err == nil {
			break
		}
		if !errors.Is(err, ledger.ErrPlanning) {
			return nil, err
		}
		if !wait {
			until, err := e.ledger.PlanLeaseUntil(ctx, source, profile)
			switch {
			case err != nil:
				return nil, err
			case seen.IsZero():
				e.log.Info("another process plans this source, checking whether it is alive")
			case until.After(seen):
				return nil, ledger.ErrPlanning
			}
			seen = until
		}
		if err := loop.Sleep(ctx, ledger.PlanRenew/4); err != nil {
			return nil, err
		}
	}
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for loop.Sleep(held, ledger.PlanRenew) == nil {
			if err := e.ledger.LockPlan(held, source, profile, holder); errors.Is(err, ledger.ErrPlanning) {
				cancel(err)
			} else if err != nil && held.Err() == nil {
				e.log.Warn("planning lease not renewed", "error", err)
			}
		}
	}()
	return &lease{ctx: held, holder: holder, release: func() {
		cancel(nil)
		<-done
		if err := e.ledger.UnlockPlan(context.WithoutCancel(ctx), source, profile, holder); err != nil {
			e.log.Warn("planning lease not released", "error", err)
		}
	}}, nil
}

// Preview lists a source and returns what [Enqueuer.Plan] would find. It writes nothing. Only Count
// and Sample of the plan are set, and there is nothing to close.
func (e *Enqueuer) Preview(ctx context.Context, r Request) (Plan, error) {
	var p Plan
	sample := reservoir{}
	for batch, err := range inBatches(counted(r.Source.Entries(ctx), r.Listed)) {
		if err != nil {
			return p, fmt.Errorf("list the source: %w", err)
		}
		count, err := e.ledger.Preview(ctx, r.Source.URL(), r.Profile, r.Force, batch, sample.add)
		if err != nil {
			return p, err
		}
		p.Count.Add(count)
	}
	p.Sample = sample.kept
	return p, nil
}
