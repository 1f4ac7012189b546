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

// job is what the partitions of one run share: its source, profile and engine. stopped is set as soon as this worker
// learns that the run is not to be worked on, capped when the run has a budget.
type job struct {
	run     ledger.Run
	profile summarize.Profile
	name    func(summarize.Document) string // of its summary
	engine  summarize.Engine
	source  *source.Source
	stopped atomic.Bool
	capped  atomic.Bool
}

// jobs keeps the runs in work open.
type jobs struct {
	mu  sync.Mutex
	all map[ledger.RunID]*job
}

// job opens what a task needs.
func (w *Worker) job(ctx context.Context, p tasks.Partition) (*job, error) {
	w.jobs.mu.Lock()
	defer w.jobs.mu.Unlock()
	if j, ok := w.jobs.all[ledger.RunID(p.RunID)]; ok && j.run.Name == p.Run && !j.stopped.Load() {
		return j, nil
	}
	run, err := w.Ledger.RunByID(ctx, ledger.RunID(p.RunID))
	if err != nil {
		return nil, err
	}
	if run.Name != p.Run { // another ledger has a run of this number
		return nil, fmt.Errorf("run %s: %w", p.Run, ledger.ErrNotFound)
	}
	j := &job{run: run}
	j.look(run)
	if run.State != ledger.Running {
		j.stopped.Store(true)
		return j, nil
	}
	body, err := w.Ledger.Profile(ctx, run.Profile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(body), &j.profile); err != nil {
		return nil, fmt.Errorf("read the profile of run %s: %w", run.Name, err)
	}
	j.name = j.profile.Namer()
	if j.engine, err = summarize.New(j.profile, cmp.Or(w.ContextTokens, w.Prices.SmallestWindow(w.Endpoints.Models(j.profile.Model)...))); err != nil {
		return nil, &haltError{fmt.Sprintf("this worker can't work with the run's profile: %v", err)}
	}
	if j.profile.Model != summarize.Extractive && len(w.Endpoints) == 0 {
		return nil, &haltError{fmt.Sprintf("model %s needs an endpoint: set OPENAI_API_KEY, or --base-url for a server of your own", j.profile.Model)}
	}
	if err := w.checkPrices(run, j.profile); err != nil {
		return nil, err
	}
	if old, ok := w.jobs.all[ledger.RunID(p.RunID)]; ok { // was stopped, and goes on
		j.source = old.source
	} else if j.source, err = w.Open(ctx, run.Source); err != nil {
		if errors.Is(err, source.ErrNoSource) {
			return nil, &haltError{fmt.Sprintf("the source can't be reached from this worker: %v", err)}
		}
		return nil, fmt.Errorf("open the source: %w", err)
	}
	if w.jobs.all == nil {
		w.jobs.all = map[ledger.RunID]*job{}
	}
	w.jobs.all[ledger.RunID(p.RunID)] = j
	return j, nil
}

// look takes over what may change about a run while it is worked on.
func (j *job) look(run ledger.Run) { j.capped.Store(run.BudgetNano != nil || run.Tokens != nil) }

// checkPrices refuses a run under a cap in USD whose calls have no price here: nobody could say when the cap is reached.
func (w *Worker) checkPrices(run ledger.Run, p summarize.Profile) error {
	if p.Model == summarize.Extractive || run.BudgetNano == nil && w.DayCapNano == nil {
		return nil
	}
	if unknown := w.Prices.Unknown(w.Endpoints.Models(p.Model)...); len(unknown) > 0 {
		return &haltError{(&llm.UnpricedError{Models: unknown}).Error()}
	}
	return nil
}

// watch learns which runs in work were stopped by somebody else.
func (w *Worker) watch(ctx context.Context) {
	w.jobs.mu.Lock()
	open := make([]*job, 0, len(w.jobs.all))
	for _, j := range w.jobs.all {
		open = append(open, j)
	}
	w.jobs.mu.Unlock()
	for _, j := range open {
		run, err := w.Ledger.RunByID(ctx, j.run.ID)
		if err != nil {
			w.logUnlessDone(ctx, "look at the run's state", err)
			continue
		}
		j.look(run)
		if run.State != ledger.Running && !j.stopped.Swap(true) {
			w.Log.Info("run is not to be worked on any more", "run", run.Name, "state", run.State, "reason", run.Reason)
		}
		if run.State == ledger.Finished {
			w.jobs.forget(w.Log, j)
		}
	}
}

// forget closes a finished run's source: a worker may live for years.
func (js *jobs) forget(log *slog.Logger, j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.all[j.run.ID] != j {
		return
	}
	delete(js.all, j.run.ID)
	if err := j.source.Close(); err != nil {
		log.Warn("source not closed", "run", j.run.Name, "error", err)
	}
}

// stop stops a job's run for everyone, once.
func (w *Worker) stop(ctx context.Context, j *job, reason ledger.Reason, message string) {
	j.stopped.Store(true)
	first, err := w.Ledger.Stop(ctx, j.run.ID, reason, message)
	if err != nil {
		w.Log.Warn("the run was not stopped", "run", j.run.Name, "error", err)
		return
	}
	if !first {
		return
	}
	w.Log.Error("run stopped", "run", j.run.Name, "reason", reason, "message", message)
	if err := w.recovery.Withdraw(ctx, j.run); err != nil {
		w.Log.Warn("tasks of the stopped run stay in the queue until a worker takes them", "run", j.run.Name, "error", err)
	}
}

func (js *jobs) close() error {
	var errs []error
	for _, j := range js.all {
		errs = append(errs, j.source.Close())
	}
	return errors.Join(errs...)
}

// haltError is a cause that no retry of a document mends.
type haltError struct{ message string }

func (e *haltError) Error() string { return e.message }
