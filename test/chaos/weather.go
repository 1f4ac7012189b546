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
	// waves is how many lots the documents arrive in, over the first seven eighths of a storm.
	waves = 20
	// enqueueEvery is how often something like a CronJob enqueues.
	enqueueEvery = 8 * time.Second
	// outlasts is how long a worker must be cut off from the ledger to be taken for dead by others: its lease, less what may have passed of
	// it before.
	outlasts = 15 * time.Second
)

// weather is a storm that goes on.
type weather struct {
	*site
	storm
	from     time.Time // when the schedule began
	workers  []*slot
	server   *slot
	enqueues *slot

	redis, postgres, enqueuing sync.Mutex // held while one of them is ended or started

	mu       sync.Mutex
	struck   map[kind]int
	record   record
	atKills  int64 // calls that were open at the kills of their workers, by the ledger
	unread   int   // kills at which the ledger was away for too long to be asked
	flushed  []time.Duration
	enqueued map[int]int // enqueues by exit code
}

// rage lets a storm go over a site, and returns when all is done, or not in time.
func rage(ctx context.Context, s *site, plan storm, seed uint64) (*weather, error) {
	w := &weather{site: s, storm: plan, struck: map[kind]int{}, record: newRecord(), enqueued: map[int]int{}}
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
	if err := w.wave(0); err != nil {
		return nil, err
	}
	programs, stopPrograms := context.WithCancel(ctx)
	defer stopPrograms()
	var up, around sync.WaitGroup
	failures := make(chan error, len(w.workers)+8)
	for _, slot := range append(w.workers, w.server) {
		up.Go(func() { failures <- slot.keep(programs) })
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	b := &books{site: s}
	around.Go(func() { b.watch(watching) })

	s.say("the storm begins: seed %d, %d documents in %s, %v", seed, plan.documents, plan.duration, plan.counts)
	w.from = time.Now()
	raging, calm := context.WithTimeout(ctx, plan.duration)
	var during sync.WaitGroup
	during.Go(func() { w.repeatEnqueue(raging) })
	during.Go(func() { failures <- w.bringWaves(raging) })
	w.strike(ctx, plan.schedule(seed), &during)
	<-raging.Done()
	calm()
	during.Wait()
	s.say("the storm is over")

	over := time.Now()
	err = errors.Join(w.lastEnqueue(ctx), w.finished(ctx))
	s.say("settled %s after the storm, %d looks at the books", time.Since(over).Round(time.Second), b.looks)
	if b.looks == 0 {
		s.violation("nobody looked at the books")
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

func (w *weather) wave(n int) error {
	return writeWave(w.docs(), n, w.documents/waves)
}

// bringWaves brings all of them, also when the storm is over before.
func (w *weather) bringWaves(ctx context.Context) error {
	for n := 1; n < waves; n++ {
		pause(ctx, w.duration*7/8/waves)
		if err := w.wave(n); err != nil {
			return err
		}
	}
	return nil
}

// strike does what the schedule says. What takes its time is waited for by during.
func (w *weather) strike(ctx context.Context, faults []fault, during *sync.WaitGroup) {
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
			w.struck[f.kind]++
			w.mu.Unlock()
		})
	}
}

func (w *weather) do(ctx context.Context, f fault) error {
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

// killWorker kills one, and reads from the ledger how many calls it had open.
func (w *weather) killWorker(ctx context.Context, s *slot) error {
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
	err := await(ctx, "a look at the calls of a killed worker", ledger.Lease-2*time.Second, func(ctx context.Context) (bool, error) {
		var err error
		n, err = w.number(ctx, `SELECT COUNT(*) FROM calls WHERE worker_id = `+id+` AND finished_at IS NULL`)
		return err == nil, err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.unread++
		w.record.open[i.key] = 2 * concurrency // at the most
		return nil
	}
	w.record.open[i.key] = n
	w.atKills += n
	return nil
}

// workerID is the number of a worker in the ledger, which it says when it begins.
func workerID(stderr string) string {
	found := regexp.MustCompile(`"msg":"worker started","worker":(\d+)`).FindStringSubmatch(stderr)
	if found == nil {
		return ""
	}
	return found[1]
}

// stop ends a worker by SIGTERM, within its grace and what signing off takes when the servers are away.
func (w *weather) stop(ctx context.Context, s *slot) error {
	ctx, cancel := context.WithTimeout(ctx, grace+2*time.Minute)
	defer cancel()
	i, err := s.stopOne(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.record.stops[i.key] = time.Now()
	w.mu.Unlock()
	switch r := i.Kill(); {
	case r.Code == -1:
		w.note("a worker that was killed while it stopped")
	case r.Code != 0:
		w.note("a worker that could not sign off when it stopped")
	}
	return nil
}

// cutOff cuts a slot off from a server; the last slot is that of the server and the enqueues.
func (w *weather) cutOff(ctx context.Context, f fault) error {
	slots := []*slot{w.server, w.enqueues}
	if f.slot < len(w.workers) {
		slots = []*slot{w.workers[f.slot]}
	}
	for _, s := range slots {
		s.cutting.Lock() // two cuts of one link would mend each other
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
		errs = append(errs, s.links.mend(context.WithoutCancel(ctx), f.link, f.cut))
	}
	return errors.Join(errs...)
}

// cut records that a slot was cut off until now.
func (w *weather) cut(cuts map[string][]span, s *slot, from time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cuts[s.name] = append(cuts[s.name], span{from, time.Now()})
}

// flush empties Redis, and looks how long it takes until there are tasks again.
func (w *weather) flush(ctx context.Context) error {
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

// enqueueArgs plan small partitions, so that a killed worker holds little.
func (w *weather) enqueueArgs() []string {
	return []string{"enqueue", w.docs(), "--partition-documents", "16"}
}

// repeatEnqueue is the CronJob.
func (w *weather) repeatEnqueue(ctx context.Context) {
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

func (w *weather) enqueueEnded(i *incarnation) program.Result {
	r := i.Kill()
	w.enqueues.end(i)
	w.mu.Lock()
	w.enqueued[r.Code]++
	w.mu.Unlock()
	switch r.Code {
	case 0, 4, -1: // well; another one plans; killed
	case 1:
		w.note("an enqueue that failed, and was followed by another")
	default:
		w.violation("enqueue ended with %d\n%s", r.Code, program.Tail(r.Stderr))
	}
	return r
}

// killEnqueue starts one and kills it some time later; one that is faster is followed by another that gets half the time.
func (w *weather) killEnqueue(ctx context.Context, after time.Duration) error {
	w.enqueuing.Lock()
	defer w.enqueuing.Unlock()
	for ctx.Err() == nil {
		i, err := w.enqueues.begin(w.enqueueArgs()...)
		if err != nil {
			return err
		}
		pause(ctx, after)
		i.struck.Store(true)
		i.Kill()
		if r := w.enqueueEnded(i); r.Code == -1 {
			return nil
		}
		after /= 2
	}
	return ctx.Err()
}

// lastEnqueue lists everything once more, when nothing is in its way.
func (w *weather) lastEnqueue(ctx context.Context) error {
	return await(ctx, "an enqueue that goes through", settleWithin, func(ctx context.Context) (bool, error) {
		err := w.run(ctx, nil, w.enqueueArgs()...)
		return err == nil, err
	})
}
