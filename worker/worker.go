// Package worker takes partition tasks from the queue and brings each document to its end in the ledger: done, dead, or
// due for another try.
//
// It owns claims, the order of steps for a document, what an error means for it (classify), shutdown, and the recovery of
// what dead workers held. It refuses to own how a document is read (internal/source, internal/extract), summarized
// (internal/summarize) or asked for (internal/llm), and every state change itself (internal/ledger).
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/tasks"
)

// Config of a worker. Ledger, Queue, Open and Prices are needed.
type Config struct {
	Ledger *ledger.Ledger
	Queue  *tasks.Queue
	Log    *slog.Logger
	// Endpoints make the calls: the first one, and the fallbacks to ask, in this order, when it is down, halted, or refuses a
	// document. Each has a Client. Without endpoints only the extractive engine works.
	Endpoints llm.Endpoints
	// Prices of calls; an unknown model's cost is unknown.
	Prices *llm.Prices
	// Open opens a source by the URL that the ledger has of it.
	Open func(ctx context.Context, url string) (*source.Source, error)
	// Reader reads documents. The caller closes it after the worker has ended.
	Reader *extract.Reader

	// DayCapNano caps what all runs of the ledger spend on a UTC day, in nano-USD; nil: no cap that this worker minds.
	DayCapNano *int64

	Concurrency   int // calls in flight; ahead times as many documents are in work at once
	Partitions    int // tasks held at once
	ContextTokens int // of the model; 0: by its name
	Retry         tasks.Retry
	Grace         time.Duration // after a stop, for calls in flight
	// IdleExit ends the worker when there has been nothing to do for so long, or a reader is stuck in it (see idleLoop); 0: never.
	IdleExit time.Duration
	// Poll is how often an empty queue is asked; 0: 1 s.
	Poll time.Duration
	// EndWhenFull ends the worker when the ledger's disk is full (ledger.IsFull), for someone who waits for its end. Otherwise it waits
	// until there is room, and keeps what it has in hand.
	EndWhenFull bool
	// Observer, if not nil, is told what the worker is at.
	Observer Observer
	// Done, if not nil, is called with each document that was booked as done. It is safe for concurrent use.
	Done func(ledger.Exported)
}

const (
	// renewEvery leaves two more tries within a lease.
	renewEvery = ledger.Lease / 3
	// watchEvery is how often the states of the runs in work are asked for.
	watchEvery = 2 * time.Second
	// clockEvery is how often the clock is compared with that of Redis.
	clockEvery = 5 * time.Second
	// holdFor is the longest wait for a retry in which a partition is kept; for a longer one it goes back to the queue.
	holdFor = 3 * time.Second
)

// ahead is how many documents are in work for each call in flight: while some are read, or booked in the ledger, the others
// keep the calls at their number.
const ahead = 2

// Worker runs once. Counters may be read at any time.
type Worker struct {
	Config
	id        ledger.WorkerID
	jobs      jobs
	hands     hands
	recovery  *recovery.Recovery
	fallback  *llm.Fallback
	callSlots *callSlots
	slots     chan struct{} // documents in work
	suspects  chan struct{} // suspects in work: they wait for each other, and nobody is to wait for them
	draining  chan struct{} // closed when no new document is to be begun
	full      chan error    // the first write that a full disk refused
	noRoom    atomic.Bool   // there was one
	calls     context.Context
	held      atomic.Int64
	worked    atomic.Bool // it ever had a task
	// elsewhere is when (Unix nanoseconds) it last had a task whose documents were all claimed by others.
	elsewhere atomic.Int64
	tally     tally
	// complaint is about the ledger, which all documents in work miss at once.
	complaint complaint
	Stale     atomic.Int64 // outcomes that were refused because the claim was another's
	refusals  atomic.Int64 // bad requests in a row, no answer between
}

// New prepares a worker and starts nothing.
func New(c Config) *Worker {
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Partitions = cmp.Or(c.Partitions, 4)
	c.Poll = cmp.Or(c.Poll, time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = deaf{}
	}
	w := &Worker{
		Config: c, draining: make(chan struct{}), full: make(chan error, 1),
		slots: make(chan struct{}, ahead*c.Concurrency), suspects: make(chan struct{}, ahead*c.Concurrency),
	}
	w.recovery = recovery.New(c.Ledger, c.Queue, c.Log)
	w.fallback = llm.NewFallback(c.Log, c.Endpoints...)
	w.callSlots = newCallSlots(c.Concurrency)
	return w
}

// Run works until stop ends (or, with IdleExit, there is nothing to do), then finishes what is in flight within Grace
// and hands back the rest without an attempt. abort cuts the grace short. It returns nil after any clean end,
// whatever became of the documents; the ledger's refusal when its disk is full and EndWhenFull is set.
func (w *Worker) Run(stop, abort context.Context) error {
	host, _ := os.Hostname()
	var err error
	if w.id, err = w.Ledger.Register(stop, fmt.Sprintf("%s/%d", cmp.Or(host, "host"), os.Getpid())); err != nil {
		return err
	}
	w.Log = w.Log.With("worker", w.id)
	base := context.WithoutCancel(abort)
	calls, cancelCalls := context.WithCancel(abort)
	defer cancelCalls()
	w.calls = calls

	background, stopBackground := context.WithCancel(base)
	var loops sync.WaitGroup
	idle := make(chan struct{})
	loops.Go(func() { w.every(background, "renew the lease", renewEvery, w.renew) })
	loops.Go(func() { w.every(background, "watch the runs", watchEvery, w.watch) })
	loops.Go(func() { w.recoverLoop(background) })
	loops.Go(func() { w.idleLoop(background, idle) })
	clock := &clockWatch{worker: w}
	clock.look(stop) // before anything is taken from the queue
	loops.Go(func() { w.every(background, "compare the clock", clockEvery, clock.look) })

	server := w.server(base)
	if err := server.Start(asynq.HandlerFunc(w.handle)); err != nil {
		stopBackground()
		loops.Wait()
		return fmt.Errorf("start the worker: %w", err)
	}
	w.Log.Info("worker started", "concurrency", w.Concurrency, "partitions", w.Partitions)
	var full error
	select {
	case <-stop.Done():
		w.Log.Info("stopping: no new documents are begun", "grace", w.Grace)
	case <-idle:
		w.Log.Info("nothing left to do, or not fit to do it", "stuck", w.Reader.Stuck())
	case err := <-w.full:
		full = fmt.Errorf("no further call is made: %w", err)
	}
	close(w.draining)
	w.shutDown(abort, server, cancelCalls)
	stopBackground()
	loops.Wait()
	leave, cancel := context.WithTimeout(base, 10*time.Second)
	defer cancel()
	if w.worked.Load() {
		w.tally.add(1, ledger.CountWorkers, ledger.LabelWorked)
	} else {
		w.tally.add(1, ledger.CountWorkers, ledger.LabelEmpty)
	}
	err = w.Ledger.Leave(leave, w.id, w.tally.news())
	if full != nil {
		err = full // why it could not sign off either
	}
	return errors.Join(err, w.jobs.close())
}

// shutDown gives calls in flight the grace, then cancels them. asynq waits for the handlers, and renews the leases of their
// tasks meanwhile.
func (w *Worker) shutDown(abort context.Context, server *asynq.Server, cancelCalls func()) {
	ended := make(chan struct{})
	go func() {
		server.Shutdown()
		close(ended)
	}()
	grace := time.NewTimer(w.Grace)
	defer grace.Stop()
	select {
	case <-ended:
		return
	case <-grace.C:
		w.Log.Warn("the grace is over: calls in flight are given up", "partitions", w.held.Load())
	case <-abort.Done():
	}
	cancelCalls()
	<-ended
}

// server is asynq with our own outcomes: nothing is a failure to it, so no retry of its own is ever spent.
func (w *Worker) server(base context.Context) *asynq.Server {
	return asynq.NewServerFromRedisClient(w.Queue.Redis(), asynq.Config{
		Concurrency:              w.Partitions,
		Queues:                   map[string]int{w.Queue.Name(): 1},
		BaseContext:              func() context.Context { return base },
		TaskCheckInterval:        w.Poll,
		DelayedTaskCheckInterval: min(5*time.Second, max(500*time.Millisecond, 2*w.Poll)),
		RetryDelayFunc: func(_ int, err error, _ *asynq.Task) time.Duration {
			var later *handBackError
			if errors.As(err, &later) {
				return later.after
			}
			return recovery.Interval
		},
		IsFailure: func(error) bool { return false },
		// Longer than the grace: asynq's own hand-back, which comes before a handler's end, is never needed.
		ShutdownTimeout: w.Grace + time.Minute,
		Logger:          asynqLog{w.Log},
		LogLevel:        asynq.WarnLevel,
	})
}

// handBackError puts the task back into the queue, to be taken up after some time; no attempt is spent.
type handBackError struct {
	after time.Duration
	why   string
}

func (h *handBackError) Error() string { return fmt.Sprintf("handed back for %s: %s", h.after, h.why) }

// Held is how many partitions the worker has in hand.
func (w *Worker) Held() int64 { return w.held.Load() }

// every runs f at once and then at each interval until ctx ends.
func (w *Worker) every(ctx context.Context, loop string, interval time.Duration, f func(context.Context)) {
	w.Observer.Turned(loop)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f(ctx)
		w.Observer.Turned(loop)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// asynqLog passes asynq's log on, which comes in sentences.
type asynqLog struct{ log *slog.Logger }

const fromQueue = "queue"

func (l asynqLog) Debug(args ...any) { l.log.Debug(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Info(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Warn(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Warn(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error(fromQueue, "message", fmt.Sprint(args...)) }
