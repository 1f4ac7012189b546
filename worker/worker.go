// Package worker takes partition tasks from the queue and brings each of their documents to an
// outcome in the ledger: done, dead, or due for another attempt.
//
// It owns claims, the order of steps for a document, what an error means for it (classify),
// and shutdown. It refuses to own how a document is read (internal/source, internal/extract),
// summarized (internal/summarize) and asked for (internal/llm), how dead workers are recovered
// (internal/recovery), and the state changes themselves (internal/ledger).
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
	"golang.org/x/time/rate"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/traits"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/process"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/tasks"
)

// Config of a [Worker]. Ledger, Queue, Prices, Open and Reader are needed.
type Config struct {
	Ledger *ledger.Ledger
	Queue  *tasks.Queue
	Log    *slog.Logger // nil: nothing is logged
	// Endpoints make the calls: the first one, and fallbacks to ask, in this order, when it is
	// down, halted, or refuses a document. Each has a Client. Without endpoints only the
	// extractive engine works.
	Endpoints llm.Endpoints
	// Traits is what is known of endpoints and models. The worker shares it with others through its
	// store; nil: nothing is kept.
	Traits *traits.Book
	// Prices of calls. The cost of a model that they do not have is unknown.
	Prices *llm.Prices
	// Open opens a source by the URL that the ledger has for it.
	Open func(ctx context.Context, url string) (*source.Source, error)
	// Reader reads documents. The caller closes it after the worker has ended.
	Reader *extract.Reader

	// DayCapNano is the budget of all runs in the ledger for a UTC day, in nano-USD; nil: none.
	DayCapNano *int64

	Concurrency   int // calls in flight; 0: 16
	Partitions    int // tasks held at once; 0: 4
	ContextTokens int // window of the model in tokens; 0: as Prices has it
	MinWords      int // no call for a document with fewer words; 0: for every one that has text
	Retry         tasks.Retry
	// MaxWait is how long documents wait for a quota of the endpoint to reset: a longer wait stops the
	// run. It also bounds how long the endpoint may give no answer.
	MaxWait time.Duration
	// Outages, if not nil, keeps for all processes which endpoints give no answer.
	Outages Outages
	// StopsSilent is that the run stops when the endpoint has given no answer for MaxWait. Otherwise
	// the run stays as it is, and the worker ends.
	StopsSilent bool
	Grace       time.Duration // time for calls in flight after a stop
	// IdleExit ends the worker when it has had nothing to do for this long, or a reader is
	// stuck in its process (see idleLoop); 0: never.
	IdleExit time.Duration
	// Poll is how often the worker polls an empty queue; 0: 1 s.
	Poll time.Duration
	// StopOnDiskFull ends the worker when the ledger's disk is full ([ledger.IsFull]), for a
	// caller who waits for the end. Otherwise the worker keeps its results and waits until
	// there is room.
	StopOnDiskFull bool
	// SaysStops is that the caller says why a run stopped. Otherwise the worker logs it as an error.
	SaysStops bool
	// Runs are the only runs whose tasks the queue has; empty: any run's.
	Runs []ledger.RunID
	// Observer, if not nil, sees what the worker does.
	Observer Observer
	// Done, if not nil, is called with each document that was recorded as done, from several
	// goroutines.
	Done func(ledger.Exported)
}

// shareEvery is how often a worker stores what its calls taught and reads what others learned.
const shareEvery = 3 * time.Second

// documentsPerCall is the number of documents in work for each call in flight: while one is
// read or recorded, the other keeps the call slot busy.
const documentsPerCall = 2

// Worker works on partitions until it is stopped. Make one with [New], and call Run once.
type Worker struct {
	config    Config
	ledger    *ledger.Ledger
	log       *slog.Logger
	recovery  *recovery.Recovery
	fallback  *llm.Fallback
	id        ledger.WorkerID
	runs      *openRuns
	claims    *heldClaims
	counters  *counters
	callSlots *callSlots
	misfits   misfits
	outageLog rate.Sometimes
	misfitLog rate.Sometimes

	documentSlots chan struct{} // documents in work
	suspectSlots  chan struct{} // suspects in work, which other documents must not wait for

	begins   context.Context // ends when no document and no call may begin any more
	waits    *waits
	patience *patience
	answers  sync.Once   // the first answer
	diskFull atomic.Bool // a write failed because the disk is full, and that stops the worker
	leave    chan string // ends the worker: the reason, which is no error
	fatal    chan error  // ends the worker: the error of that write, or why it cannot work on a run
	calls    context.Context
	held     atomic.Int64
	worked   atomic.Bool // it has had a task
	// claimedElsewhere is when (Unix nanoseconds) it last had a task whose documents other
	// workers held.
	claimedElsewhere atomic.Int64
	// returnedDue is the latest due time (Unix nanoseconds) of the tasks that it returned and that are
	// due soon.
	returnedDue atomic.Int64
}

// New prepares a worker and starts nothing. It fails if the configuration lacks what a worker
// needs.
func New(c Config) (*Worker, error) {
	if c.Ledger == nil || c.Queue == nil || c.Prices == nil || c.Open == nil || c.Reader == nil {
		return nil, errors.New("a worker needs a ledger, a queue, prices, a way to open sources, and a reader")
	}
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Partitions = cmp.Or(c.Partitions, 4)
	c.Poll = cmp.Or(c.Poll, time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Observer == nil {
		c.Observer = noopObserver{}
	}
	return &Worker{
		config: c, ledger: c.Ledger, log: c.Log,
		recovery: recovery.New(c.Ledger, c.Queue, c.Log), fallback: llm.NewFallback(c.Log, c.Endpoints...),
		runs: newOpenRuns(c), claims: newHeldClaims(), counters: newCounters(), waits: newWaits(), patience: newPatience(), leave: make(chan string, 1), callSlots: newCallSlots(c.Concurrency),
		outageLog:     rate.Sometimes{Interval: 5 * time.Second},
		misfitLog:     rate.Sometimes{Interval: 30 * time.Second},
		documentSlots: make(chan struct{}, documentsPerCall*c.Concurrency),
		suspectSlots:  make(chan struct{}, documentsPerCall*c.Concurrency),
		fatal:         make(chan error, 1),
	}, nil
}

// Run works until stop ends, or IdleExit applies. Then it finishes the calls in flight within
// Grace and releases the other claims. abort cuts the grace short. Run returns nil after any
// clean end, whatever became of the documents. When StopOnDiskFull is set and the disk is full
// it returns the ledger's error. When this worker cannot work on a run and others can, it
// returns the cause.
func (w *Worker) Run(stop, abort context.Context) error {
	host, _ := os.Hostname()
	var err error
	if w.id, err = w.ledger.Register(stop, ledger.WorkerProcess{
		Name: fmt.Sprintf("%s/%d", cmp.Or(host, "host"), os.Getpid()), Process: process.Self(), Runs: w.config.Runs,
	}); err != nil {
		return err
	}
	w.log = w.log.With("worker", w.id)
	base := context.WithoutCancel(abort)
	calls, cancelCalls := context.WithCancel(abort)
	defer cancelCalls()
	w.calls = calls
	begins, stopBegins := context.WithCancel(calls)
	defer stopBegins()
	w.begins = begins

	background, stopBackground := context.WithCancel(base)
	var loops sync.WaitGroup
	exit := make(chan string, 1)
	clock := &clockWatch{queue: w.config.Queue, log: w.log}
	clock.compare(stop) // before the first task
	if err := w.recovery.RecoverDeadWorkers(stop); err != nil {
		w.log.Debug("dead workers not recovered yet", "error", err)
	}
	for _, l := range []struct {
		name     string
		interval time.Duration
		turn     func(context.Context)
	}{
		{"renew the lease", renewEvery, w.renew},
		{"fold the work", renewEvery, loop.Report(w.log, "fold the work", w.ledger.FoldWork)},
		{"refresh the runs", refreshEvery, loop.Report(w.log, "refresh the runs", w.refreshRuns)},
		{"recover dead workers", recovery.Interval, loop.Report(w.log, "recover dead workers", w.recovery.RecoverDeadWorkers)},
		{"compare the clock", clockEvery, clock.compare},
		{"report the waits", waitsEvery, w.reportWaits},
		{"share what was learned of endpoints", shareEvery, loop.Report(w.log, "share what was learned of endpoints", w.config.Traits.Sync)},
	} {
		loops.Go(func() { w.every(background, l.name, l.interval, l.turn) })
	}
	loops.Go(func() { w.idleLoop(background, exit) })

	if err := w.config.Traits.Sync(stop); err != nil {
		w.log.Debug("what was learned of endpoints not read yet", "error", err)
	}

	server := w.server(base)
	if err := server.Start(asynq.HandlerFunc(w.handle)); err != nil {
		stopBackground()
		loops.Wait()
		return fmt.Errorf("start the worker: %w", err)
	}
	w.log.Info("worker started", "concurrency", w.config.Concurrency, "partitions", w.config.Partitions)
	var fatal error
	select {
	case <-stop.Done():
		w.log.Info("worker draining: it begins no new documents", "calls", w.InFlight(), "grace", w.config.Grace)
	case reason := <-exit:
		w.log.Info("worker exiting", "reason", reason)
	case reason := <-w.leave:
		w.log.Warn("worker exiting", "reason", reason)
	case fatal = <-w.fatal:
	}
	stopBegins()
	w.shutDown(abort, server, cancelCalls)
	w.misfits.all.Wait()
	stopBackground()
	loops.Wait()
	leave, cancel := context.WithTimeout(base, 10*time.Second)
	defer cancel()
	if w.worked.Load() {
		w.counters.add(1, ledger.CountWorkers, ledger.LabelWorked)
	} else {
		w.counters.add(1, ledger.CountWorkers, ledger.LabelEmpty)
	}
	if err := w.config.Traits.Sync(leave); err != nil {
		w.log.Debug("what was learned of endpoints not stored", "error", err)
	}
	err = w.ledger.Leave(leave, w.id, w.counters.delta())
	if fatal != nil {
		err = fatal // on a full disk Leave fails for the same reason
	}
	return errors.Join(err, w.runs.close())
}

// Held returns the number of partitions that the worker holds. It may be called at any time.
func (w *Worker) Held() int64 { return w.held.Load() }

// InFlight returns the number of calls in flight, without those that wait for a limit or an
// endpoint. It may be called at any time.
func (w *Worker) InFlight() int { return max(len(w.callSlots.slots)-w.waits.waiting(), 0) }

// stopOnDiskFull reports whether err means that the disk is full and that stops the worker. If
// so, it stops the worker: no further call is made.
func (w *Worker) stopOnDiskFull(err error) bool {
	if !w.config.StopOnDiskFull || !ledger.IsFull(err) {
		return false
	}
	w.diskFull.Store(true)
	w.end(fmt.Errorf("no further call is made: %w", err))
	return true
}

// shutDown gives calls in flight the grace, and then cancels them. asynq waits for the
// handlers, and renews the leases of their tasks meanwhile.
func (w *Worker) shutDown(abort context.Context, server *asynq.Server, cancelCalls func()) {
	ended := make(chan struct{})
	go func() {
		server.Shutdown()
		close(ended)
	}()
	grace := time.NewTimer(w.config.Grace)
	defer grace.Stop()
	select {
	case <-ended:
		return
	case <-grace.C:
		w.log.Warn("grace period over, cancelling calls in flight", "partitions", w.held.Load())
	case <-abort.Done():
	}
	cancelCalls()
	<-ended
}

// server returns asynq's server. No outcome counts as a failure to asynq, so it uses no
// retries of its own.
func (w *Worker) server(base context.Context) *asynq.Server {
	return asynq.NewServerFromRedisClient(w.config.Queue.Redis(), asynq.Config{
		Concurrency:              w.config.Partitions,
		Queues:                   map[string]int{w.config.Queue.Name(): 1},
		BaseContext:              func() context.Context { return base },
		TaskCheckInterval:        w.config.Poll,
		DelayedTaskCheckInterval: min(5*time.Second, max(500*time.Millisecond, 2*w.config.Poll)),
		RetryDelayFunc: func(_ int, err error, _ *asynq.Task) time.Duration {
			var returned *returnError
			if errors.As(err, &returned) {
				return returned.after
			}
			return recovery.Interval
		},
		IsFailure: func(error) bool { return false },
		// Longer than the grace, so that asynq never requeues a task before its handler has ended.
		ShutdownTimeout: w.config.Grace + time.Minute,
		Logger:          asynqLog{w.log},
		LogLevel:        asynq.WarnLevel,
	})
}

// asynqLog passes asynq's messages on. They are whole sentences.
type asynqLog struct{ log *slog.Logger }

const fromQueue = "queue"

func (l asynqLog) Debug(args ...any) { l.log.Debug(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Info(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Warn(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Warn(fromQueue, "message", fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error(fromQueue, "message", fmt.Sprint(args...)) }
