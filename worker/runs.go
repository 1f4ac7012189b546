package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/tasks"
)

// openRun is what the partitions of one run share.
type openRun struct {
	run         ledger.Run
	profile     summarize.Profile
	summaryName func(summarize.Document) string
	engine      summarize.Engine
	source      *source.Source
	stopped     stopFlag    // set as soon as this worker learns that the run is not running
	capped      atomic.Bool // the run has a budget
	flex        atomic.Bool // the run's calls ask for the flex tier
	fallback    atomic.Bool // they may use the standard price where it has no capacity
}

// stopFlag is set once. Make one with [newStopFlag]. It is safe for concurrent use.
type stopFlag struct {
	ctx context.Context //nolint:containedctx // ends when the flag is set
	end context.CancelFunc
}

// newStopFlag returns a flag that is not set. The end of ctx does not set it.
func newStopFlag(ctx context.Context) stopFlag {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	return stopFlag{ctx, end}
}

func (f stopFlag) set() { f.end() }

func (f stopFlag) isSet() bool { return f.ctx.Err() != nil }

// newOpenRun returns a run that is not opened yet.
func newOpenRun(ctx context.Context, run ledger.Run) *openRun {
	return &openRun{run: run, stopped: newStopFlag(ctx)}
}

// refresh takes over what may change about a run while the worker works on it.
func (r *openRun) refresh(run ledger.Run) {
	r.capped.Store(run.BudgetNano != nil || run.Tokens != nil)
	r.flex.Store(run.Service == string(llm.TierFlex))
	r.fallback.Store(run.FlexFallback)
}

// tier returns the service tier that the run's calls ask for.
func (r *openRun) tier() llm.Tier {
	if r.flex.Load() {
		return llm.TierFlex
	}
	return ""
}

// openRuns opens runs and keeps them open. Its methods are safe for concurrent use.
type openRuns struct {
	config Config

	mu  sync.Mutex
	all map[ledger.RunID]*openRun
}

func newOpenRuns(c Config) *openRuns { return &openRuns{config: c, all: map[ledger.RunID]*openRun{}} }

// get returns the run of a task, and opens it if necessary. It fails with a *haltError if this
// worker cannot work on the run, and with [ledger.ErrNotFound] if the run is not in this
// ledger.
func (rs *openRuns) get(ctx context.Context, p tasks.Partition) (*openRun, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	c, id := rs.config, ledger.RunID(p.RunID)
	if r, ok := rs.all[id]; ok && r.run.Name == p.Run && !r.stopped.isSet() {
		return r, nil
	}
	run, err := c.Ledger.RunByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if run.Name != p.Run { // another ledger has a run with this id
		return nil, fmt.Errorf("run %s: %w", p.Run, ledger.ErrNotFound)
	}
	r := newOpenRun(ctx, run)
	r.refresh(run)
	if run.State != ledger.Running {
		r.stopped.set()
		return r, nil
	}
	body, err := c.Ledger.Profile(ctx, run.Profile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(body), &r.profile); err != nil {
		return nil, fmt.Errorf("read the profile of run %s: %w", run.Name, err)
	}
	r.summaryName = r.profile.Namer()
	model := r.profile.Model
	window := cmp.Or(c.ContextTokens, c.Prices.SmallestWindow(c.Endpoints.Models(model)...))
	if r.engine, err = summarize.New(r.profile, window, summarize.WithMinWords(c.MinWords), summarize.WithThinking(c.Endpoints.Headroom(model, r.profile.ReasoningEffort))); err != nil {
		return nil, &haltError{fmt.Sprintf("this worker can't work with the run's profile: %v", err)}
	}
	if model != summarize.Extractive && len(c.Endpoints) == 0 {
		return nil, &haltError{fmt.Sprintf("model %s needs an endpoint: set OPENAI_API_KEY, or --base-url for a server of your own", model)}
	}
	if err := rs.checkPrices(run, r); err != nil {
		return nil, err
	}
	if old, ok := rs.all[id]; ok { // it was stopped, and is running again
		r.source = old.source
	} else if r.source, err = c.Open(ctx, run.Source); err != nil {
		if errors.Is(err, source.ErrNoSource) {
			return nil, &haltError{fmt.Sprintf("the source can't be reached from this worker: %v", err)}
		}
		return nil, fmt.Errorf("open the source: %w", err)
	}
	rs.all[id] = r
	return r, nil
}

// checkPrices refuses a run with a budget in USD if a model has no known price: the worker
// could not tell when the budget is used up.
func (rs *openRuns) checkPrices(run ledger.Run, r *openRun) error {
	c, p := rs.config, r.profile
	if p.Model == summarize.Extractive || run.BudgetNano == nil && c.DayCapNano == nil {
		return nil
	}
	if unknown := c.Prices.Unknown(r.tier(), c.Endpoints.Models(p.Model)...); len(unknown) > 0 {
		return &haltError{(&llm.UnpricedError{Models: unknown, Tier: r.tier()}).Error()}
	}
	return nil
}

func (rs *openRuns) list() []*openRun {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	list := make([]*openRun, 0, len(rs.all))
	for _, r := range rs.all {
		list = append(list, r)
	}
	return list
}

// forget closes the source of a finished run, because a worker may live for years.
func (rs *openRuns) forget(r *openRun) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.all[r.run.ID] != r {
		return nil
	}
	delete(rs.all, r.run.ID)
	return r.source.Close()
}

// close closes all sources. No other method may be called after it.
func (rs *openRuns) close() error {
	var errs []error
	for _, r := range rs.all {
		errs = append(errs, r.source.Close())
	}
	return errors.Join(errs...)
}

// refreshRuns reads the states of the open runs, and learns which were stopped by another process.
func (w *Worker) refreshRuns(ctx context.Context) error {
	var errs []error
	for _, r := range w.runs.list() {
		run, err := w.ledger.RunByID(ctx, r.run.ID)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.refresh(run)
		if run.State != ledger.Running && !r.stopped.isSet() {
			r.stopped.set()
			w.log.Info("run no longer running", "run", run.Name, "state", run.State, "reason", run.Reason)
		}
		if run.State == ledger.Finished {
			if err := w.runs.forget(r); err != nil {
				w.log.Warn("source not closed", "run", run.Name, "error", err)
			}
		}
	}
	return errors.Join(errs...)
}

// stopRun stops a run for all workers. Only the first call does anything.
func (w *Worker) stopRun(ctx context.Context, r *openRun, why ledger.Stop) {
	r.stopped.set()
	first, err := w.ledger.Stop(ctx, r.run.ID, why)
	if err != nil {
		w.log.Warn("run not stopped", "run", r.run.Name, "error", err)
		return
	}
	if !first {
		return
	}
	level := slog.LevelError
	if w.config.SaysStops {
		level = slog.LevelInfo
	}
	w.log.Log(ctx, level, "run stopped", "run", r.run.Name, "reason", why.Reason, "message", why.Message)
	if err := w.recovery.Withdraw(ctx, r.run); err != nil {
		w.log.Warn("tasks of the stopped run stay in the queue until a worker takes them", "run", r.run.Name, "error", err)
	}
}

// haltError is why this worker cannot work on a run, although no document is at fault.
type haltError struct{ message string }

func (e *haltError) Error() string { return e.message }
