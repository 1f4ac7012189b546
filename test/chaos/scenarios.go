package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// scenario is one test.
type scenario struct {
	name, title string
	latency     string // of the model
	run         func(ctx context.Context, s *site, o options) ([]figure, error)
}

// options come from the command line.
type options struct {
	short bool
	seed  uint64
	soak  time.Duration
}

func scenarios() []scenario {
	return []scenario{
		{"storm", "Storm", "uniform:300ms-1500ms", runFaults},
		{"sigterm", "SIGTERM under load", "uniform:300ms-1200ms", runSigterm},
		{"last", "The last worker is killed", "5s", runLast},
		{"soak", "Soak", "uniform:50ms-250ms", runSoak},
	}
}

func runFaults(ctx context.Context, s *site, o options) ([]figure, error) {
	plan := longPlan()
	if o.short {
		plan = shortPlan()
	}
	w, err := runPlan(ctx, s, plan, o.seed)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, k := range []kind{killWorker, killServer, killEnqueue, stopWorker, killRedis, flushRedis, restartPostgres, cutOff} {
		figures = append(figures, exactly(string(k), int64(w.injected[k]), int64(plan.counts[k])))
	}
	for _, d := range w.flushed {
		figures = append(figures, figure{"tasks in the queue again after FLUSHALL", d.Round(100 * time.Millisecond).String(), "≤ 2m", d <= 2*time.Minute})
	}
	judged, err := s.judge(ctx, expect(batches, plan.documents/batches))
	if err != nil {
		return nil, err
	}
	figures = append(figures, judged...)
	twice, unexplained := w.record.paidTwice(s.endpoint.fake.Calls())
	for _, c := range unexplained {
		s.violation("call %d of %s, begun %s, was paid but not used, without an explanation", c.ID, c.Key, c.At.Sub(s.begun).Round(time.Millisecond))
	}
	figures = append(figures, atMost("calls paid twice, abandoned ones included: "+string(byKill), int64(twice[byKill]), w.atKills, " (open in the ledger at the kills)"))
	for _, why := range []cause{byCut, byStop, byAway} {
		figures = append(figures, reported("… "+string(why), twice[why]))
	}
	figures = append(figures, exactly("… "+string(noCause), int64(twice[noCause]), 0),
		reported("kills whose open calls could not be read: the ledger was unavailable", w.unread))
	for what, n := range s.notes {
		figures = append(figures, reported(what, n))
	}
	return append(figures, reported("enqueues by exit code", fmt.Sprint(w.enqueued)), s.violationsFigure()), nil
}

// runSigterm stops workers in turn while there is work. Calls are shorter than the grace, so
// nothing is paid twice and no attempt is spent.
func runSigterm(ctx context.Context, s *site, o options) ([]figure, error) {
	stops, documents := 20, 2000
	if o.short {
		stops, documents = 4, 500
	}
	if err := writeBatch(s.docs(), 0, documents); err != nil {
		return nil, err
	}
	if err := s.run(ctx, nil, "enqueue", s.docs(), "--partition-documents", "20"); err != nil {
		return nil, err
	}
	workers, err := s.newWorkers(2)
	if err != nil {
		return nil, err
	}
	stop := keepAllRunning(ctx, workers...)
	under, longest := 0, time.Duration(0)
	for n := range stops {
		worker := workers[n%2]
		i := worker.working(ctx)
		if i == nil {
			return nil, errors.Join(ctx.Err(), stop())
		}
		// Under load: all call slots of the worker are taken.
		if err := await(ctx, "calls are in flight", time.Minute, func(context.Context) (bool, error) { return s.endpoint.inFlight(i.key) == concurrency, nil }); err != nil {
			return nil, errors.Join(err, stop())
		}
		under++
		at := time.Now()
		stopped, err := worker.terminate(ctx)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		longest = max(longest, time.Since(at))
		if r := stopped.Kill(); r.Code != 0 {
			s.violation("a worker ended with %d after SIGTERM", r.Code)
		}
	}
	err = s.finished(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	figures, err := s.judge(ctx, expect(1, documents))
	if err != nil {
		return nil, err
	}
	spent, err := s.number(ctx, `SELECT COALESCE(SUM(attempts - 1), 0) FROM run_documents`)
	stats := s.endpoint.fake.Stats()
	return append([]figure{
		exactly("SIGTERMs while all calls of the worker were in flight", int64(under), int64(stops)),
		exactly("calls paid twice", stats.Duplicates, 0),
		exactly("calls abandoned", stats.Outcomes[fakellm.OutcomeAbandoned], 0),
		exactly("attempts beyond the first of each document", spent, 0),
		{"longest shutdown of a worker", longest.Round(time.Millisecond).String(), "≤ " + grace.String(), longest <= grace},
	}, append(figures, s.violationsFigure())...), err
}

// runLast kills the only worker while it holds all remaining documents, and starts another one.
// There is no server.
func runLast(ctx context.Context, s *site, _ options) ([]figure, error) {
	const documents = concurrency
	if err := writeBatch(s.docs(), 0, documents); err != nil {
		return nil, err
	}
	if err := s.run(ctx, nil, "enqueue", s.docs()); err != nil {
		return nil, err
	}
	workers, err := s.newWorkers(2)
	if err != nil {
		return nil, err
	}
	first, err := workers[0].begin(workers[0].args...)
	if err != nil {
		return nil, err
	}
	err = await(ctx, "all documents are being asked for", time.Minute, func(context.Context) (bool, error) {
		return s.endpoint.inFlight(first.key) == documents, nil
	})
	inFlight := s.endpoint.watch(first.key)
	first.stopExpected.Store(true)
	first.Kill()
	atKill := inFlight()
	workers[0].end(first)
	workers[0].links.close()
	if err != nil {
		return nil, err
	}
	at := time.Now()
	stop := keepAllRunning(ctx, workers[1])
	err = s.finished(ctx)
	took := time.Since(at)
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	figures, err := s.judge(ctx, expect(1, documents))
	return append([]figure{
		exactly("calls in flight at the kill", int64(atKill), documents),
		{"from the start of a new worker to the end of the run", took.Round(100 * time.Millisecond).String(), "≤ 1m30s", took <= 90*time.Second},
		atMost("calls paid twice", s.endpoint.fake.Stats().Duplicates, int64(atKill), ""),
	}, append(figures, s.violationsFigure())...), err
}

// keepAllRunning keeps slots running until stop is called. stop waits for their clean end.
func keepAllRunning(ctx context.Context, slots ...*slot) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	failures := make(chan error, len(slots))
	var all sync.WaitGroup
	for _, s := range slots {
		all.Go(func() { failures <- s.keepRunning(ctx) })
	}
	return func() error {
		cancel()
		all.Wait()
		close(failures)
		var errs []error
		for err := range failures {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
}
