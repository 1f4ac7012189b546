package main

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/test/program"
)

const (
	// batches is the number of batches in which documents arrive, over the first 7/8 of the plan.
	batches = 20
	// enqueueEvery is the interval of enqueues, as a CronJob would run them.
	enqueueEvery = 8 * time.Second
	// presumedDeadAfter is how long a worker must be cut off from the ledger before others presume
	// it dead: its lease, less the time since its last renewal.
	presumedDeadAfter = 15 * time.Second
)

// faultRun is one execution of a fault plan.
type faultRun struct {
	*site
	faultPlan
	from     time.Time // start of the schedule
	workers  []*slot
	server   *slot
	enqueues *slot

	redis, postgres, enqueuing sync.Mutex // held while one of them is stopped or started

	mu       sync.Mutex
	injected map[kind]int
	record   record
	atKills  int64 // calls open in the ledger when their workers were killed
	unread   int   // kills after which the ledger was unavailable for too long to count open calls
	flushed  []time.Duration
	enqueued map[int]int // enqueues by exit code
}

// runPlan executes a plan on a site. It returns when all documents are done, or when that takes
// too long.
func runPlan(ctx context.Context, s *site, plan faultPlan, seed uint64) (*faultRun, error) {
	w := &faultRun{site: s, faultPlan: plan, injected: map[kind]int{}, record: newRecord(), enqueued: map[int]int{}}
	var err error
	if w.workers, err = s.newWorkers(plan.workers); err != nil {
		return nil, err
	}
	if w.server, err = s.newSlot("server", "server started", "server", "--listen", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if w.enqueues, err = s.newSlot("enqueue", ""); err != nil {
		return nil, err
	}
	if err := w.batch(0); err != nil {
		return nil, err
	}
	programs, stopPrograms := context.WithCancel(ctx)
	defer stopPrograms()
	var up, around sync.WaitGroup
	failures := make(chan error, len(w.workers)+8)
	for _, slot := range append(w.workers, w.server) {
		up.Go(func() { failures <- slot.keepRunning(programs) })
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	b := &ledgerWatch{site: s}
	around.Go(func() { b.watch(watching) })

	s.say("faults begin: seed %d, %d documents in %s, %v", seed, plan.documents, plan.duration, plan.counts)
	w.from = time.Now()
	faultsRunning, calm := context.WithTimeout(ctx, plan.duration)
	var during sync.WaitGroup
	during.Go(func() { w.repeatEnqueue(faultsRunning) })
	during.Go(func() { failures <- w.writeBatches(faultsRunning) })
	w.inject(ctx, plan.schedule(seed), &during)
	<-faultsRunning.Done()
	calm()
	during.Wait()
	s.say("faults are over")

	over := time.Now()
	err = errors.Join(w.lastEnqueue(ctx), w.finished(ctx))
	s.say("settled %s after the last fault, %d reads of the ledger", time.Since(over).Round(time.Second), b.reads)
	if b.reads == 0 {
		s.violation("the ledger was never read")
	}
	stopWatching()
	around.Wait()
	stopPrograms()
	up.Wait()
	w.enqueues.links.close()
	close(failures)
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return w, err
}

func (w *faultRun) batch(n int) error {
	return writeBatch(w.docs(), n, w.documents/batches)
}

// writeBatches writes all remaining batches, even if the faults are over before.
func (w *faultRun) writeBatches(ctx context.Context) error {
	for n := 1; n < batches; n++ {
		pause(ctx, w.duration*7/8/batches)
		if err := w.batch(n); err != nil {
			return err
		}
	}
	return nil
}

// inject executes the schedule. Faults that last run in the group during.
func (w *faultRun) inject(ctx context.Context, faults []fault, during *sync.WaitGroup) {
	for _, f := range faults {
		if !pause(ctx, time.Until(w.from.Add(f.at))) {
			return
		}
		during.Go(func() {
			w.say("%s", f)
			if err := w.do(ctx, f); err != nil && ctx.Err() == nil {
				w.violation("%s: %v", f, err)
				return
			}
			w.mu.Lock()
			w.injected[f.kind]++
			w.mu.Unlock()
		})
	}
}

func (w *faultRun) do(ctx context.Context, f fault) error {
	switch f.kind {
	case killWorker:
		return w.killWorker(ctx, w.workers[f.slot])
	case killServer:
		w.server.kill(ctx)
	case killEnqueue:
		return w.killEnqueue(ctx, f.len)
	case stopWorker:
		return w.stop(ctx, w.workers[f.slot])
	case killRedis:
		w.redis.Lock()
		defer w.redis.Unlock()
		w.site.redis.Kill()
		pause(ctx, f.len)
		return w.site.redis.Start(ctx)
	case flushRedis:
		return w.flush(ctx)
	case restartPostgres:
		w.postgres.Lock()
		defer w.postgres.Unlock()
		from := time.Now()
		defer func() {
			for _, s := range w.workers {
				w.cut(w.record.ledgerAway, s, from)
			}
		}()
		w.site.postgres.Stop()
		pause(ctx, f.len)
		return w.site.postgres.Start(ctx)
	case cutOff:
		return w.cutOff(ctx, f)
	}
	return nil
}

// killWorker kills a worker and reads from the ledger how many calls it had open.
func (w *faultRun) killWorker(ctx context.Context, s *slot) error {
	i := s.kill(ctx)
	if i == nil {
		return ctx.Err()
	}
	w.mu.Lock()
	w.record.kills[i.key] = time.Now()
	w.mu.Unlock()
	id := workerID(i.Stderr.String())
	if id == "" {
		return nil // it had not begun to work
	}
	var n int64
	err := await(ctx, "read the calls of a killed worker", ledger.Lease-2*time.Second, func(ctx context.Context) (bool, error) {
		var err error
		n, err = w.number(ctx, `SELECT COUNT(*) FROM calls WHERE worker_id = `+id+` AND finished_at IS NULL`)
		return err == nil, err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.unread++
		w.record.open[i.key] = 2 * concurrency // an upper bound
		return nil
	}
	w.record.open[i.key] = n
	w.atKills += n
	return nil
}

// workerID returns a worker's id in the ledger, from the log line that it writes at its start.
func workerID(stderr string) string {
	found := regexp.MustCompile(`"msg":"worker started","worker":(\d+)`).FindStringSubmatch(stderr)
	if found == nil {
		return ""
	}
	return found[1]
}

// stop ends a worker by SIGTERM. The bound is its grace plus the time that signing off takes
// while the servers are unavailable.
func (w *faultRun) stop(ctx context.Context, s *slot) error {
	ctx, cancel := context.WithTimeout(ctx, grace+2*time.Minute)
	defer cancel()
	i, err := s.terminate(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.record.stops[i.key] = time.Now()
	w.mu.Unlock()
	switch r := i.Kill(); {
	case r.Code == -1:
		w.note("a worker was killed while it stopped")
	case r.Code != 0:
		w.note("a worker could not sign off when it stopped")
	}
	return nil
}

// cutOff cuts a slot off from a server. The last slot number means the server and the enqueues.
func (w *faultRun) cutOff(ctx context.Context, f fault) error {
	slots := []*slot{w.server, w.enqueues}
	if f.slot < len(w.workers) {
		slots = []*slot{w.workers[f.slot]}
	}
	for _, s := range slots {
		s.cutting.Lock() // two cuts of one link would restore each other
		defer s.cutting.Unlock()
		if f.link == toModel {
			s.modelCut.Store(true)
		}
		if err := s.links.fail(f.link, f.cut); err != nil {
			return err
		}
		from := time.Now()
		defer func() {
			switch f.link {
			case toModel:
				w.cut(w.record.modelCuts, s, from)
			case toPostgres:
				w.cut(w.record.ledgerAway, s, from)
			}
		}()
	}
	pause(ctx, f.len)
	var errs []error
	for _, s := range slots {
		errs = append(errs, s.links.restore(context.WithoutCancel(ctx), f.link, f.cut))
	}
	return errors.Join(errs...)
}

// cut records that a slot was cut off from the given time until now.
func (w *faultRun) cut(cuts map[string][]span, s *slot, from time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cuts[s.name] = append(cuts[s.name], span{from, time.Now()})
}

// flush empties Redis and measures how long it takes until tasks are queued again.
func (w *faultRun) flush(ctx context.Context) error {
	w.redis.Lock()
	defer w.redis.Unlock()
	if err := w.site.redis.Client.FlushAll(ctx).Err(); err != nil {
		return err
	}
	at := time.Now()
	err := await(ctx, "tasks are in the queue again after FLUSHALL", 2*time.Minute, func(ctx context.Context) (bool, error) {
		keys, err := w.site.redis.Client.Keys(ctx, "asynq:{"+queue+"}:t:*").Result()
		return len(keys) > 0, err
	})
	w.mu.Lock()
	w.flushed = append(w.flushed, time.Since(at))
	w.mu.Unlock()
	w.say("tasks are in the queue again %s after FLUSHALL", time.Since(at).Round(100*time.Millisecond))
	return err
}

// enqueueArgs plans small partitions, so that a killed worker holds few documents.
func (w *faultRun) enqueueArgs() []string {
	return []string{"enqueue", w.docs(), "--partition-documents", "16"}
}

// repeatEnqueue enqueues again and again, as a CronJob does.
func (w *faultRun) repeatEnqueue(ctx context.Context) {
	for ctx.Err() == nil {
		func() {
			w.enqueuing.Lock()
			defer w.enqueuing.Unlock()
			if i, err := w.enqueues.begin(w.enqueueArgs()...); err == nil {
				<-i.Ended()
				w.enqueueEnded(i)
			}
		}()
		pause(ctx, enqueueEvery)
	}
}

func (w *faultRun) enqueueEnded(i *instance) program.Result {
	r := i.Kill()
	w.enqueues.end(i)
	w.mu.Lock()
	w.enqueued[r.Code]++
	w.mu.Unlock()
	switch r.Code {
	case 0, 4, -1: // success; another process is planning; killed
	case 1:
		w.note("an enqueue failed and was repeated")
	default:
		w.violation("enqueue ended with %d\n%s", r.Code, program.Tail(r.Stderr))
	}
	return r
}

// killEnqueue starts an enqueue and kills it after the given time. If the enqueue is faster, it
// tries again with half the time.
func (w *faultRun) killEnqueue(ctx context.Context, after time.Duration) error {
	w.enqueuing.Lock()
	defer w.enqueuing.Unlock()
	for ctx.Err() == nil {
		i, err := w.enqueues.begin(w.enqueueArgs()...)
		if err != nil {
			return err
		}
		pause(ctx, after)
		i.stopExpected.Store(true)
		i.Kill()
		if r := w.enqueueEnded(i); r.Code == -1 {
			return nil
		}
		after /= 2
	}
	return ctx.Err()
}

// lastEnqueue lists everything again, after the last fault.
func (w *faultRun) lastEnqueue(ctx context.Context) error {
	return await(ctx, "an enqueue that goes through", settleWithin, func(ctx context.Context) (bool, error) {
		err := w.run(ctx, nil, w.enqueueArgs()...)
		return err == nil, err
	})
}
