package worker_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/worker"
)

// A worker that cannot work on a run ends with the reason when another one can. The run goes on,
// and no document loses an attempt.
func TestMisconfiguredWorkerEndsItself(t *testing.T) {
	t.Parallel()
	refuses := func(class llm.Class, message string) func(*bench, *worker.Config) {
		return func(_ *bench, c *worker.Config) {
			m := &model{answer: func(context.Context, string, int) (llm.Response, error) {
				return llm.Response{}, &llm.Error{Class: class, Status: 400, Message: message}
			}}
			c.Endpoints = llm.Endpoints{{Client: m}}
		}
	}
	for name, c := range map[string]struct {
		set  func(*bench, *worker.Config)
		want string
	}{
		"key":      {refuses(llm.Halted, "the endpoint refused the API key"), "refused the API key"},
		"no key":   {func(_ *bench, c *worker.Config) { c.Endpoints = nil }, "needs an endpoint: set OPENAI_API_KEY"},
		"no price": {func(b *bench, c *worker.Config) { c.Endpoints[0].Model, c.DayCapNano = "unknown-model", new(int64) }, "unknown-model"},
		"mount": {func(b *bench, c *worker.Config) {
			c.Open = func(ctx context.Context, _ string) (*source.Source, error) {
				return source.Open(ctx, filepath.Join(b.docs, "missing"), source.Options{})
			}
		}, "the source can't be reached from this worker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(600))
			gone := make(chan struct{}) // the bad worker has ended, so the rest may go fast
			begun := make(chan struct{})
			begin := sync.OnceFunc(func() { close(begun) })
			b.model.answer = func(context.Context, string, int) (llm.Response, error) {
				begin()
				select {
				case <-time.After(100 * time.Millisecond):
				case <-gone:
				}
				return llm.Response{}, nil
			}
			run := b.plan()
			healthy, bad := b.config(), b.config()
			healthy.Concurrency, healthy.Partitions, bad.Partitions = 4, 1, 1
			c.set(b, &bad)
			stop, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- b.workerOf(healthy).Run(stop, t.Context()) }()
			<-begun // alone, the bad worker would halt the run
			bounded, end := context.WithTimeout(t.Context(), time.Minute)
			defer end()
			err := b.workerOf(bad).Run(bounded, t.Context())
			close(gone)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "run "+run.Name) {
				t.Errorf("the worker ended with %v, want %q", err, c.want)
			}
			if now, err := b.ledger.RunByID(t.Context(), run.ID); err != nil || now.State != ledger.Running {
				t.Errorf("the run is %s: %s (%v)", now.State, now.Message, err)
			}
			run = b.until(run, func(r ledger.Run) bool { return r.State != ledger.Running })
			b.totals(run, ledger.Totals{Total: 600, Done: 600})
			cancel()
			b.ok(<-ended)
		})
	}
}

// When no worker can work on the run, it is halted.
func TestRunIsHaltedWhenNoWorkerCan(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(40))
	b.model.answer = func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{}, &llm.Error{Class: llm.Halted, Status: 401, Message: "the key is wrong"}
	}
	run := b.plan()
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- b.worker().Run(stop, t.Context()) }()
	}
	run = b.until(run, func(r ledger.Run) bool { return r.State != ledger.Running })
	if run.Reason != ledger.Halted || !strings.Contains(run.Message, "the key is wrong") {
		t.Errorf("the run is %s (%s): %s", run.State, run.Reason, run.Message)
	}
	if n := b.model.total(); n > 2*16 {
		t.Errorf("%d calls were made with a wrong key", n)
	}
	cancel()
	b.ok(<-ended)
	b.ok(<-ended)
	b.totals(run, ledger.Totals{Total: 40, Remaining: 40})
}
