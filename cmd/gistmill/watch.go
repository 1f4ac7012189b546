package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
	runprogress "github.com/gistmill/gistmill/internal/progress"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// statusTimeout is how long `status` waits for the ledger and, at the same time, for Redis. With
	// endTimeout and pingTimeout it answers within 2 s whatever is down.
	statusTimeout = 1300 * time.Millisecond
	// endTimeout is how long it waits then for an attempt that ends with its context.
	endTimeout = 100 * time.Millisecond
	// pingTimeout is how long it waits then for a sign that the ledger is only slow. The documents
	// of a large run take longer to count.
	pingTimeout = 300 * time.Millisecond
	// watchInterval is the time between two looks of `status --watch`.
	watchInterval = time.Second
)

// statusReader reads the status of one run, from what can be reached.
type statusReader struct {
	*app
	name     string // of the run, or a prefix; empty: the newest
	run      ledger.Run
	fromBook attempt[statusDayView]
	fromList attempt[queueView]
	open     atomic.Bool // the ledger is set
	dial     dialHook
}

// newStatusReader connects to nothing. It fails if the settings of Redis are invalid.
func newStatusReader(a *app, name string) (*statusReader, error) {
	r := &statusReader{app: a, name: name}
	if a.config.Redis == "" {
		return r, nil
	}
	client, err := a.dialRedis(a.config.Redis)
	if err != nil {
		return nil, err
	}
	client.AddHook(&r.dial)
	a.queue = tasks.NewQueue(client, a.config.Queue)
	return r, nil
}

// read reads the status. It fails if the ledger answers with an error.
func (r *statusReader) read(ctx context.Context) (statusDayView, error) {
	short, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	reading, giveUp := context.WithCancel(ctx)
	defer giveUp()
	if r.queue != nil {
		r.fromList.begin(short, r.readQueue)
	}
	r.fromBook.begin(reading, r.readLedger)
	v, err := r.fromBook.endIfAlive(ctx, r.isLedgerAlive)
	switch {
	case ctx.Err() != nil:
		return v, ctx.Err()
	// An attempt that was given up before ends as canceled.
	case errors.Is(err, errNoAnswer), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), ledger.IsUnavailable(err):
		v = statusDayView{ledgerAway: true, ledgerError: unreachable(err)}
		v.Run, v.Unreachable = r.run.Name, []string{"ledger: " + v.ledgerError}
	case err != nil:
		return v, err
	default:
		v.Unreachable = []string{}
	}
	if r.queue == nil {
		return v, nil
	}
	q, err := r.fromList.end(short)
	if err == nil {
		v.Queue = &q
		return v, nil
	}
	if refused := r.dial.last(); refused != nil && (errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded)) {
		err = refused // the client tries again for longer than this command waits
	}
	v.queueError = unreachable(err)
	v.Unreachable = append(v.Unreachable, "redis: "+v.queueError)
	if v.State == ledger.Running && v.Waiting == nil {
		v.Waiting = &runprogress.Waiting{Reason: ledger.WaitRedis, Message: "waiting because Redis cannot be reached: " + v.queueError}
	}
	return v, nil
}

// unreachable describes why something did not answer.
func unreachable(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = errNoAnswer
	}
	return text.OneLine(joinLines(err))
}

// dialHook remembers why the last connection to Redis failed. It is safe for concurrent use.
type dialHook struct {
	mu  sync.Mutex
	err error
}

func (d *dialHook) last() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// DialHook implements [redis.Hook].
func (d *dialHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.err = err
		return conn, err
	}
}

// ProcessHook implements [redis.Hook].
func (d *dialHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (d *dialHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *statusReader) readQueue(ctx context.Context) (queueView, error) {
	c, err := r.queue.Count(ctx)
	return queueView{Pending: c.Pending, Active: c.Active, Retry: c.Retry, Scheduled: c.Scheduled, Archived: c.Archived}, err
}

func (r *statusReader) readLedger(ctx context.Context) (v statusDayView, err error) {
	if r.ledger == nil {
		if r.ledger, err = ledger.Open(ctx, r.config.Store, ledger.Options{Connections: r.config.StoreConnections, Access: ledger.AccessRead}); err != nil {
			r.ledger = nil
			return v, err
		}
		r.open.Store(true)
	}
	if r.run.ID == 0 {
		r.run, err = r.ledger.Run(ctx, r.name)
	} else {
		r.run, err = r.ledger.RunByID(ctx, r.run.ID)
	}
	if err != nil {
		return v, err
	}
	return r.statusAndDay(ctx, r.run)
}

// isLedgerAlive reports whether the ledger answers another question while it is being asked.
func (r *statusReader) isLedgerAlive(ctx context.Context) bool {
	return r.open.Load() && r.ledger.Ping(ctx) == nil
}

// close closes the ledger, unless it is still being asked: the process ends then.
func (r *statusReader) close() {
	if r.fromBook.pending == nil && r.ledger != nil {
		_ = r.ledger.Close()
	}
}

// watch shows the status every second until the run ends, also while something is down.
func (r *statusReader) watch(ctx context.Context, asJSON bool) error {
	screen := terminal.New(r.stdout, r.getenv("TERM"))
	redraw := !asJSON && screen.CanRedraw()
	if redraw {
		defer screen.Hide()
	}
	for first := true; ; first = false {
		v, err := r.read(ctx)
		if err != nil {
			return err
		}
		ended := v.State == ledger.Finished || v.State == ledger.Stopped
		var b bytes.Buffer
		if err := table(&b, v.rows()...); err != nil {
			return err
		}
		switch {
		case asJSON:
			err = writeJSON(r.stdout, v.object(), "")
		case redraw && !ended:
			screen.Show(func(int) []string { return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") })
		default:
			screen.Hide()
			if !first && !redraw {
				fmt.Fprintln(r.stdout)
			}
			_, err = r.stdout.Write(b.Bytes())
		}
		if err != nil {
			return err
		}
		if ended {
			return r.outcome([]statusView{v.statusView})
		}
		if err := loop.Sleep(ctx, watchInterval); err != nil {
			return err
		}
	}
}

// unreachableView is the status as JSON if the ledger cannot be reached.
type unreachableView struct {
	Run         *string    `json:"run"`
	Queue       *queueView `json:"queue"`
	Unreachable []string   `json:"unreachable"`
}

// object returns the status as an object for JSON.
func (v statusDayView) object() any {
	if !v.ledgerAway {
		return v
	}
	u := unreachableView{Queue: v.Queue, Unreachable: v.Unreachable}
	if v.Run != "" {
		u.Run = &v.Run
	}
	return u
}

// errNoAnswer reports that an attempt has not ended in time.
var errNoAnswer = fmt.Errorf("no answer within %s", statusTimeout)

// attempt calls a function that may not return in time. Its calls never overlap: one that is late
// is waited for by the next. Its methods are called from one goroutine.
type attempt[T any] struct{ pending chan attempted[T] }

type attempted[T any] struct {
	value T
	err   error
}

// begin calls do in the background, unless the last call goes on.
func (a *attempt[T]) begin(ctx context.Context, do func(context.Context) (T, error)) {
	if a.pending != nil {
		return
	}
	pending := make(chan attempted[T], 1)
	a.pending = pending
	go func() {
		value, err := do(ctx)
		pending <- attempted[T]{value, err}
	}()
}

// end waits for the call until ctx ends, and a moment more for a call that ends with ctx.
func (a *attempt[T]) end(ctx context.Context) (value T, err error) {
	select {
	case got := <-a.pending:
		a.pending = nil
		return got.value, got.err
	case <-ctx.Done():
	}
	select {
	case got := <-a.pending:
		a.pending = nil
		return got.value, got.err
	case <-time.After(endTimeout):
		return value, errNoAnswer
	}
}

// endIfAlive waits for the call until statusTimeout, and for as long again each time that alive
// returns true in pingTimeout.
func (a *attempt[T]) endIfAlive(ctx context.Context, alive func(context.Context) bool) (value T, err error) {
	within := func(d time.Duration, do func(context.Context)) {
		short, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		do(short)
	}
	for {
		within(statusTimeout, func(ctx context.Context) { value, err = a.end(ctx) })
		if !errors.Is(err, errNoAnswer) || ctx.Err() != nil {
			return value, err
		}
		yes := false
		within(pingTimeout, func(ctx context.Context) { yes = alive(ctx) })
		if !yes { // it may have ended during the ping
			within(0, func(ctx context.Context) { value, err = a.end(ctx) })
			return value, err
		}
	}
}
