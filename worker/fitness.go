package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
)

const (
	// fitnessPoll is how often a worker that cannot work on a run checks what others do for it.
	fitnessPoll = 500 * time.Millisecond
	// idleOthers is how long it waits for live workers that hold no document of the run. They may
	// have just started, or take the documents that it gave back.
	idleOthers = 10 * time.Second
	// busyOthers is how long it waits for workers that hold documents of the run. A call to a slow
	// model takes minutes. A worker that cannot work on the run holds none.
	busyOthers = 3 * time.Minute
)

// proof is what shows that another worker can do what this one cannot.
type proof int

const (
	byDocument proof = iota // it ended a document: it has the source, the model and the prices
	byCall                  // a call that it began after this worker's failed one brought an answer
)

// verdict is what follows for a run on which this worker cannot work.
type verdict int

const (
	unknown   verdict = iota // wait for what the others do, or this worker drains
	over                     // the run is stopped or has ended
	onlyHere                 // others can work on it
	noWorkers                // no worker can
)

// judge decides from what others did for the run after this worker failed. before is what they had
// done then.
func judge(before, now ledger.Others, by proof, waited time.Duration) verdict {
	switch {
	case now.Answers > 0, by == byDocument && now.Ended > before.Ended:
		return onlyHere
	case now.Live == 0, now.Claims == 0 && waited >= idleOthers, waited >= busyOthers:
		return noWorkers
	}
	return unknown
}

// misfits are the runs on which this worker cannot work. Its methods are safe for concurrent use.
type misfits struct {
	mu   sync.Mutex
	runs map[ledger.RunID]*misfit
	all  sync.WaitGroup
}

// misfit is a run on which this worker cannot work.
type misfit struct {
	decided chan struct{} // closed when it is known whether others can
	over    bool          // the run needs no tasks any more; valid when decided is closed
}

// of returns what is known of a run on which this worker cannot work, or nil if it can.
func (m *misfits) of(run ledger.RunID) *misfit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[run]
}

// add adds a run, or returns nil if it is known already.
func (m *misfits) add(run ledger.RunID) *misfit {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs[run] != nil {
		return nil
	}
	if m.runs == nil {
		m.runs = map[ledger.RunID]*misfit{}
	}
	added := &misfit{decided: make(chan struct{})}
	m.runs[run] = added
	return added
}

func (m *misfits) remove(run ledger.RunID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.runs, run)
}

// cannotWork is called when this worker cannot work on a run, and no retry of a document helps.
// From now on the worker begins nothing of the run. If other workers can work on it, this worker
// is misconfigured and ends; otherwise the run is stopped. It does not wait.
func (w *Worker) cannotWork(r *openRun, by proof, why ledger.Stop) {
	added := w.misfits.add(r.run.ID)
	if added == nil {
		return
	}
	w.misfits.all.Go(func() {
		defer close(added.decided)
		v := w.canOthers(r.run, by, why.Message)
		if v == onlyHere { // the worker begins nothing of the run until it has ended
			w.end(fmt.Errorf("other workers work on run %s, but this one cannot: %s; correct its settings and start it again", r.run.Name, why.Message))
			return
		}
		if v == noWorkers {
			w.stopRun(w.calls, r, why)
		}
		added.over = v != unknown
		w.misfits.remove(r.run.ID)
	})
}

// canOthers waits until it is known whether other workers can work on the run. It returns unknown
// if this worker drains meanwhile.
func (w *Worker) canOthers(run ledger.Run, by proof, message string) verdict {
	begun := time.Now()
	var mark ledger.Mark
	var before *ledger.Others
	for {
		now, state, err := w.others(run.ID, &mark)
		if before == nil && err == nil {
			before = &now
		}
		switch {
		case err != nil:
			w.log.Debug("cannot read what other workers do", "error", err)
		case state != ledger.Running:
			return over
		default:
			if v := judge(*before, now, by, time.Since(begun)); v != unknown {
				return v
			}
			if now == *before {
				w.misfitLog.Do(func() {
					w.log.Warn("this worker cannot work on the run, it checks whether others can", "run", run.Name, "message", message, "workers", now.Live)
				})
			}
		}
		if loop.Sleep(w.begins, fitnessPoll) != nil {
			return unknown
		}
	}
}

// others reads what others did for a run since the mark, which it sets the first time.
func (w *Worker) others(run ledger.RunID, mark *ledger.Mark) (ledger.Others, ledger.State, error) {
	ctx, cancel := context.WithTimeout(w.calls, renewEvery)
	defer cancel()
	if mark.At.IsZero() {
		m, err := w.ledger.Mark(ctx)
		if err != nil {
			return ledger.Others{}, "", err
		}
		*mark = m
	}
	now, err := w.ledger.Others(ctx, run, w.id, *mark)
	if err != nil {
		return now, "", err
	}
	r, err := w.ledger.RunByID(ctx, run)
	return now, r.State, err
}

// end ends the worker with an error. Only the first one counts.
func (w *Worker) end(err error) {
	select {
	case w.fatal <- err:
	default: // it is ending already
	}
}
