package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gistmill/gistmill/internal/ledger"
)

// A history is what workers did to documents, each step with its start and end. It is correct if
// the steps of each document have an order, within these times, in which the document's state
// allows every step (linearizability).

// step is what was done to a document.
type step struct {
	kind     stepKind
	document ledger.DocumentID
	worker   int
	epoch    int64
}

type stepKind string

const (
	stepClaim   stepKind = "claim"   // the epoch is what the ledger gave
	stepDone    stepKind = "done"    //
	stepFail    stepKind = "fail"    // due again at once
	stepRelease stepKind = "release" // accepted also when the claim is stale
	stepDie     stepKind = "die"     // the worker stops renewing
	stepRecover stepKind = "recover" // releases the claims of dead workers whose lease has lapsed
)

// claimState is a document's state in the model.
type claimState struct {
	state  string
	epoch  int64
	worker int
	dead   uint32 // workers that stopped renewing, a bit each
}

// next returns the states that a document may have after a step; none if the step cannot happen.
// accepted is whether the ledger accepted an outcome.
func (s claimState) next(do step, accepted bool) []claimState {
	live := s.state == "claimed" && s.epoch == do.epoch && s.worker == do.worker
	after := s
	switch do.kind {
	case stepClaim:
		if s.state != "pending" || do.epoch != s.epoch+1 {
			return nil
		}
		after.state, after.epoch, after.worker = "claimed", do.epoch, do.worker
	case stepDone, stepFail:
		if accepted != live {
			return nil
		}
		if live {
			after.state = map[stepKind]string{stepDone: "done", stepFail: "pending"}[do.kind]
		}
	case stepRelease:
		if live {
			after.state = "pending"
		}
	case stepDie:
		after.dead |= 1 << do.worker
	case stepRecover:
		if s.state == "claimed" && s.dead&(1<<s.worker) != 0 {
			after.state = "pending"
			return []claimState{s, after} // the lease may not have lapsed yet
		}
	}
	return []claimState{after}
}

// claimModel starts with documents that were claimed and released epoch times.
func claimModel(epoch int64) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byDocument := map[ledger.DocumentID][]porcupine.Operation{}
			for _, o := range history {
				document := o.Input.(step).document
				byDocument[document] = append(byDocument[document], o)
			}
			var all [][]porcupine.Operation
			for _, some := range byDocument {
				all = append(all, some)
			}
			return all
		},
		Init: func() []any { return []any{claimState{state: "pending", epoch: epoch}} },
		Step: func(state, input, output any) []any {
			var all []any
			for _, s := range state.(claimState).next(input.(step), output.(bool)) {
				all = append(all, s)
			}
			return all
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %v", input, output) },
	}
	return model.ToModel()
}

// The model refuses what must not happen: otherwise the histories would prove nothing.
func TestClaimModelRefuses(t *testing.T) {
	t.Parallel()
	claim := func(worker int, epoch int64) step { return step{kind: stepClaim, worker: worker, epoch: epoch} }
	type did struct {
		step
		accepted bool
	}
	for name, c := range map[string]struct {
		steps []did
		right bool
	}{
		"claimed, failed, claimed, done": {[]did{{claim(0, 1), true}, {step{stepFail, 0, 0, 1}, true}, {claim(1, 2), true}, {step{stepDone, 0, 1, 2}, true}}, true},
		"two hold it":                    {[]did{{claim(0, 1), true}, {claim(1, 2), true}}, false},
		"an epoch twice":                 {[]did{{claim(0, 1), true}, {step{stepRelease, 0, 0, 1}, true}, {claim(1, 1), true}}, false},
		"a stale outcome accepted": {[]did{
			{claim(0, 1), true}, {step{kind: stepDie}, true}, {step{kind: stepRecover, worker: 1}, true}, {claim(1, 2), true}, {step{stepDone, 0, 0, 1}, true},
		}, false},
		"a stale outcome refused": {[]did{
			{claim(0, 1), true}, {step{kind: stepDie}, true}, {step{kind: stepRecover, worker: 1}, true}, {claim(1, 2), true}, {step{stepDone, 0, 0, 1}, false},
		}, true},
		"a live outcome refused":    {[]did{{claim(0, 1), true}, {step{stepDone, 0, 0, 1}, false}}, false},
		"taken from a living":       {[]did{{claim(0, 1), true}, {step{kind: stepRecover, worker: 1}, true}, {claim(1, 2), true}}, false},
		"done twice":                {[]did{{claim(0, 1), true}, {step{stepDone, 0, 0, 1}, true}, {step{stepDone, 0, 0, 1}, true}}, false},
		"claimed after it was done": {[]did{{claim(0, 1), true}, {step{stepDone, 0, 0, 1}, true}, {claim(1, 2), true}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var history []porcupine.Operation
			for i, d := range c.steps {
				history = append(history, porcupine.Operation{Input: d.step, Output: d.accepted, Call: int64(2 * i), Return: int64(2*i + 1)})
			}
			if got := porcupine.CheckOperations(claimModel(0), history); got != c.right {
				t.Errorf("the model says %v", got)
			}
		})
	}
}

// Workers in processes of their own claim, book, release and recover at the same time. Some die at
// work and return after others have taken over their claims. The model allows every document's
// history, and no dead worker holds a claim in the end.
func testClaimHistories(t *testing.T, db database) {
	const survivors, mortals, documents, rounds = 3, 2, 12, 12
	f := setUp(t, db)
	run, _ := f.plan(false, entries(documents))
	var partitions []ledger.PartitionID
	for _, p := range f.partitions(run) {
		partitions = append(partitions, p.ID)
	}
	var ids []ledger.DocumentID
	for _, c := range f.claimAll(run) {
		ids = append(ids, c.Document)
	}
	f.ok(f.Leave(t.Context(), f.worker, nil))

	h := &claimHistory{t: t, documents: ids, partitions: partitions}
	var workers []*historian
	for w := range survivors + mortals {
		l := db.open(t)
		workers = append(workers, &historian{
			claimHistory: h, ledger: l, number: w, id: must(l.Register(t.Context(), ledger.WorkerProcess{Name: fmt.Sprint("worker ", w)}))(t),
			random: rand.New(rand.NewPCG(uint64(w), 1)),
		})
	}
	var life sync.RWMutex // held for writing while time passes
	pass := func() {      // live workers do not lapse
		life.Lock()
		defer life.Unlock()
		db.clock.advance(ledger.Lease / 2)
		for _, w := range workers {
			if !w.dead {
				f.ok(w.ledger.Renew(t.Context(), w.id, nil))
			}
		}
	}
	var wait sync.WaitGroup
	late := make(chan struct{}) // closed when dead workers return
	for _, w := range workers[:survivors] {
		wait.Go(func() {
			for round := range rounds {
				w.claim()
				pass()
				w.recoverLapsed()
				w.bookHeld()
				if w.number == 0 && round == rounds/2 {
					close(late)
				}
			}
		})
	}
	for _, w := range workers[survivors:] {
		wait.Go(func() {
			for range 2 {
				w.claim()
				w.bookHeld()
			}
			w.claim()
			life.Lock()
			w.dead = true
			w.die()
			life.Unlock()
			<-late
			w.claim()
			w.bookHeld()
			w.claim() // dies with these
		})
	}
	wait.Wait()
	if result := porcupine.CheckOperationsTimeout(claimModel(1), h.all, 20*time.Second); result != porcupine.Ok {
		t.Errorf("the history of claims is %s", result)
	}
	db.clock.advance(ledger.Lease + time.Second)
	must(f.RecoverLapsed(t.Context(), dead))(t)
	f.worker = must(f.Register(t.Context(), ledger.WorkerProcess{Name: "the last"}))(t)
	f.work(run)
	f.totals(run, ledger.Totals{Total: documents, Done: documents})
	f.state(run, ledger.Finished)
}

// claimHistory is what all workers did. Its times are values of one counter.
type claimHistory struct {
	t          *testing.T
	documents  []ledger.DocumentID
	partitions []ledger.PartitionID
	now        atomic.Int64
	mu         sync.Mutex
	all        []porcupine.Operation
}

// around calls do and records the steps that it returns, with whether the ledger accepted them.
func (h *claimHistory) around(do func() (steps []step, accepted bool)) {
	call := h.now.Add(1)
	steps, accepted := do()
	end := h.now.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range steps {
		h.all = append(h.all, porcupine.Operation{ClientId: s.worker, Input: s, Output: accepted, Call: call, Return: end})
	}
}

// historian is a worker whose steps are recorded.
type historian struct {
	*claimHistory
	ledger *ledger.Ledger
	number int
	id     ledger.WorkerID
	random *rand.Rand
	held   []ledger.Claimed
	dead   bool // stopped renewing
}

func (w *historian) claim() {
	w.around(func() (steps []step, accepted bool) {
		claimed, err := w.ledger.Claim(w.t.Context(), w.id, w.partitions[w.random.IntN(len(w.partitions))], 1+w.random.IntN(3))
		if err != nil && !errors.Is(err, ledger.ErrLapsed) {
			w.t.Error(err)
		}
		for _, c := range claimed {
			steps = append(steps, step{stepClaim, c.Document, w.number, c.Epoch})
		}
		w.held = append(w.held, claimed...)
		return steps, true
	})
}

// bookHeld ends all claims with random outcomes, some of them twice, as after a write whose reply
// was lost.
func (w *historian) bookHeld() {
	for _, c := range w.held {
		w.book(c, []stepKind{stepDone, stepRelease, stepRelease, stepFail, stepFail, stepFail, stepFail, stepFail}[w.random.IntN(8)])
		if w.random.IntN(4) == 0 {
			w.book(c, stepDone)
		}
	}
	w.held = nil
}

func (w *historian) book(c ledger.Claimed, kind stepKind) {
	w.around(func() ([]step, bool) {
		var err error
		switch kind {
		case stepDone:
			err = w.ledger.Done(w.t.Context(), w.id, c, ledger.Read{Version: c.Version}, ledger.Summary{Name: c.URI, Text: "text", Model: "m", Chunks: 1})
		case stepFail:
			err = w.ledger.Failed(w.t.Context(), w.id, c, "transient", "status 500", 0)
		default:
			err = w.ledger.Release(w.t.Context(), w.id, c, 0)
		}
		if err != nil && !errors.Is(err, ledger.ErrStale) {
			w.t.Error(err)
		}
		return []step{{kind, c.Document, w.number, c.Epoch}}, err == nil
	})
}

func (w *historian) die() {
	w.around(func() ([]step, bool) { return w.ofAll(stepDie), true })
}

func (w *historian) recoverLapsed() {
	w.around(func() ([]step, bool) {
		if _, err := w.ledger.RecoverLapsed(w.t.Context(), dead); err != nil {
			w.t.Error(err)
		}
		return w.ofAll(stepRecover), true
	})
}

// ofAll returns a step for every document.
func (w *historian) ofAll(kind stepKind) []step {
	var steps []step
	for _, d := range w.documents {
		steps = append(steps, step{kind: kind, document: d, worker: w.number})
	}
	return steps
}
