package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/tasks"
	"github.com/gistmill/gistmill/worker"
)

// model is a scripted endpoint that answers by prompt and counts its calls.
type model struct {
	mu     sync.Mutex
	calls  map[string]int
	answer func(ctx context.Context, prompt string, n int) (llm.Response, error)
	// request answers instead, if it is set.
	request func(r llm.Request) (llm.Response, error)
}

// Down implements llm.Caller.
func (m *model) Down() error { return nil }

func (m *model) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	prompt := r.Messages[len(r.Messages)-1].Content
	m.mu.Lock()
	if m.calls == nil {
		m.calls = map[string]int{}
	}
	m.calls[prompt]++
	n := m.calls[prompt]
	m.mu.Unlock()
	if m.request != nil {
		return m.request(r)
	}
	if m.answer != nil {
		if response, err := m.answer(ctx, prompt, n); response.Content != "" || err != nil {
			return response, err
		}
	}
	return good(), nil
}

func (m *model) total() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calls {
		n += c
	}
	return n
}

func good() llm.Response {
	return llm.Response{Content: `{"summary":"Short."}`, FinishReason: llm.FinishStop, Model: "m", Usage: llm.Usage{In: 10, Out: 3}}
}

// bench is a whole pipeline in one process: SQLite, miniredis, a folder and a scripted model.
type bench struct {
	*testing.T
	docs      string
	ledger    *ledger.Ledger
	queue     *tasks.Queue
	enqueue   *enqueuer.Enqueuer
	model     *model
	retry     tasks.Retry
	budget    *int64
	dayCap    *int64
	fallbacks llm.Endpoints
	name      string // of the model
	flex      bool   // the run's calls ask for the flex tier
}

func setUp(t *testing.T, documents map[string]string) *bench {
	t.Helper()
	b := &bench{T: t, docs: t.TempDir(), model: &model{}, name: "gpt-4o-mini", retry: tasks.Retry{Base: time.Millisecond, Cap: 5 * time.Millisecond, MaxAttempts: 3}}
	for name, text := range documents {
		b.write(name, text)
	}
	var err error
	b.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
	b.ok(err)
	t.Cleanup(func() { b.ok(b.ledger.Close()) })
	redis := miniredis.RunT(t)
	client, err := tasks.Dial("redis://" + redis.Addr())
	b.ok(err)
	t.Cleanup(func() { b.ok(client.Close()) })
	b.queue = tasks.NewQueue(client, "documents")
	b.enqueue, err = enqueuer.New(enqueuer.Config{Ledger: b.ledger, Queue: b.queue})
	b.ok(err)
	return b
}

func (b *bench) recovery() *recovery.Recovery { return recovery.New(b.ledger, b.queue, nil) }

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) write(name, text string) {
	b.Helper()
	b.ok(os.WriteFile(filepath.Join(b.docs, name), []byte(text), 0o600))
}

// plan plans the folder and returns its run.
func (b *bench) plan() ledger.Run {
	b.Helper()
	src, err := source.Open(b.Context(), b.docs, source.Options{})
	b.ok(err)
	defer src.Close()
	profile := summarize.Profile{Model: b.name, Words: 50, MaxOutputTokens: 100}
	body, err := json.Marshal(profile)
	b.ok(err)
	p, err := b.enqueue.Plan(b.Context(), enqueuer.Request{
		Source: src, Profile: profile.Hash(), Model: profile.Model, ProfileBody: string(body),
		Size: ledger.PartitionSize{Documents: 4, Bytes: 1 << 20}, BudgetNano: b.budget,
	})
	b.ok(err)
	defer p.Close()
	if flex := "flex"; b.flex {
		p.Service = &flex
	}
	b.ok(p.Publish(b.Context()))
	return p.Run
}

func (b *bench) worker() *worker.Worker {
	b.Helper()
	return b.workerOf(b.config())
}

func (b *bench) workerOf(c worker.Config) *worker.Worker {
	b.Helper()
	w, err := worker.New(c)
	b.ok(err)
	return w
}

func (b *bench) config() worker.Config {
	b.Helper()
	prices, err := llm.NewPrices(nil)
	b.ok(err)
	reader := extract.NewReader(extract.Limits{}, "false") // a child process dies at once
	b.Cleanup(func() { b.ok(reader.Close()) })
	return worker.Config{
		Ledger: b.ledger, Queue: b.queue, Endpoints: append(llm.Endpoints{{Client: b.model}}, b.fallbacks...), Prices: prices, Reader: reader, Retry: b.retry,
		Open: func(ctx context.Context, url string) (*source.Source, error) {
			return source.Open(ctx, url, source.Options{})
		},
		DayCapNano: b.dayCap,
		Grace:      5 * time.Second, Poll: 10 * time.Millisecond,
	}
}

// work runs a worker until the run is not running any more, and returns the run.
func (b *bench) work(run ledger.Run) ledger.Run {
	b.Helper()
	return b.workAs(b.worker(), run)
}

func (b *bench) workAs(w *worker.Worker, run ledger.Run) ledger.Run {
	b.Helper()
	stop, cancel := context.WithCancel(b.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(stop, b.Context()) }()
	run = b.until(run, func(r ledger.Run) bool { return r.State != ledger.Running })
	cancel()
	b.ok(<-ended)
	return run
}

func (b *bench) until(run ledger.Run, ready func(ledger.Run) bool) ledger.Run {
	b.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := b.ledger.RunByID(b.Context(), run.ID)
		b.ok(err)
		if ready(now) {
			return now
		}
		select {
		case <-tick.C:
		case <-deadline:
			totals, _, _ := b.ledger.Totals(b.Context(), run.ID)
			b.Fatalf("the run is still %s after a minute: %+v", now.State, totals)
		}
	}
}

func (b *bench) totals(run ledger.Run, want ledger.Totals) {
	b.Helper()
	got, _, err := b.ledger.Totals(b.Context(), run.ID)
	b.ok(err)
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("totals (-want +got):\n%s", diff)
	}
}

func (b *bench) dead() map[string]string {
	b.Helper()
	all := map[string]string{}
	b.ok(b.ledger.DeadLetters(b.Context(), ledger.DeadFilter{}, func(page []ledger.DeadLetter) error {
		for _, d := range page {
			all[d.URI] = fmt.Sprintf("%s after %d", d.Class, d.Attempts)
		}
		return nil
	}))
	return all
}

func documents(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("doc%02d.txt", i)] = fmt.Sprintf("This is the text of document %d. It says little.", i)
	}
	return all
}

func TestEqualContentIsPaidOnce(t *testing.T) {
	t.Parallel()
	docs := documents(10)
	docs["copy.txt"] = docs["doc00.txt"]
	docs["copy2.txt"] = docs["doc00.txt"]
	b := setUp(t, docs)
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 12, Done: 12})
	if n := b.model.total(); n != 10 {
		t.Errorf("%d calls for 10 contents", n)
	}
	again := b.plan()
	b.totals(again, ledger.Totals{Total: 12, Skipped: 12})
	if again.State != ledger.Finished || b.model.total() != 10 {
		t.Errorf("second run is %s, %d calls", again.State, b.model.total())
	}
}

func TestOnlyFailedCallsAreRetried(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(6))
	b.model.answer = func(_ context.Context, prompt string, n int) (llm.Response, error) {
		switch {
		case strings.Contains(prompt, "document 3.") && n < 3:
			return llm.Response{}, &llm.Error{Class: llm.Transient, Status: 500, Message: "out of order"}
		case strings.Contains(prompt, "document 4."):
			return llm.Response{}, &llm.Error{Class: llm.Transient, Status: 500, Message: "out of order"}
		case strings.Contains(prompt, "document 5."):
			return llm.Response{}, &llm.Error{Class: llm.Refused, Message: "content filter"}
		}
		return llm.Response{}, nil
	}
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 6, Done: 4, Dead: 2})
	if diff := cmp.Diff(map[string]string{"doc04.txt": "exhausted after 3", "doc05.txt": "refused after 1"}, b.dead()); diff != "" {
		t.Error(diff)
	}
	if n := b.model.total(); n != 3+3+3+1 {
		t.Errorf("%d calls", n)
	}
}

func TestRateLimitUsesNoAttempt(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(1))
	b.retry.MaxAttempts = 1
	b.model.answer = func(_ context.Context, _ string, n int) (llm.Response, error) {
		if n < 3 {
			return llm.Response{}, &llm.Error{Class: llm.RateLimited, Status: 429, RetryAfter: time.Millisecond}
		}
		return llm.Response{}, nil
	}
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 1, Done: 1})
}

func TestHaltedRunContinuesWhenResumed(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(20))
	b.model.answer = func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{}, &llm.Error{Class: llm.Halted, Status: 401, Message: "the key is wrong: check OPENAI_API_KEY"}
	}
	run := b.work(b.plan())
	if run.State != ledger.Stopped || run.Reason != ledger.Halted || !strings.Contains(run.Message, "OPENAI_API_KEY") {
		t.Fatalf("run is %s (%s): %s", run.State, run.Reason, run.Message)
	}
	b.totals(run, ledger.Totals{Total: 20, Remaining: 20})
	c, err := b.queue.Count(t.Context())
	b.ok(err)
	if c.Demand()+c.Retry+c.Scheduled+c.Archived > 0 {
		t.Errorf("a stopped run has tasks in the queue: %+v", c)
	}
	b.model.answer = nil
	before := b.model.total()
	resumed := b.plan()
	if resumed.ID != run.ID {
		t.Error("a new run was begun")
	}
	run = b.work(resumed)
	b.totals(run, ledger.Totals{Total: 20, Done: 20})
	if n := b.model.total() - before; n != 20 {
		t.Errorf("%d calls after the key was corrected", n)
	}
}

// A claim whose reply was lost, because the connection broke at the commit, is released by the
// worker that has it.
func TestOrphanedClaimIsReleased(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(8))
	run := b.plan()
	var partitions []ledger.Partition
	b.ok(b.ledger.OpenPartitions(t.Context(), run.ID, func(page []ledger.Partition) error {
		partitions = append(partitions, page...)
		return nil
	}))
	const first = 1 // of a new ledger's workers
	var once sync.Once
	b.model.answer = func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		once.Do(func() { // while the worker is at one partition
			for _, p := range partitions {
				claimed, err := b.ledger.Claim(ctx, first, p.ID, 2)
				b.ok(err)
				if len(claimed) > 0 {
					return
				}
			}
			t.Error("nothing is left to be claimed")
		})
		return llm.Response{}, nil
	}
	config := b.config()
	config.Partitions = 1
	run = b.workAs(b.workerOf(config), run)
	b.totals(run, ledger.Totals{Total: 8, Done: 8})
	if n := b.model.total(); n != 8 {
		t.Errorf("%d calls for 8 documents", n)
	}
}

// dear is an answer that costs 78,000 nano-USD.
func dear(context.Context, string, int) (llm.Response, error) {
	r := good()
	r.Usage = llm.Usage{In: 200, Out: 80}
	return r, nil
}

func TestBudgetStopsBeforeSpending(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(20))
	// Nano-USD: enough for two reservations; each call then costs a part of its own.
	budget := int64(300_000)
	b.budget = &budget
	b.model.answer = dear
	run := b.work(b.plan())
	if run.Reason != ledger.Budget {
		t.Fatalf("run is %s (%s)", run.State, run.Reason)
	}
	totals, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if account.CostNano > budget || account.CostNano < budget/2 || !totals.Balanced() {
		t.Errorf("spent %d of %d, %+v", account.CostNano, budget, totals)
	}
	b.budget = nil
	more := int64(1e9)
	b.ok(b.ledger.Publish(t.Context(), ledger.Publication{Run: run.ID, Resume: true, BudgetNano: &more}))
	run = b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 20, Done: 20})
}

// The budget of the day stops a run like the run's own budget, and the message says which.
func TestDayBudget(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(20))
	most := int64(300_000)
	b.dayCap = &most
	b.model.answer = dear
	run := b.work(b.plan())
	today, err := b.ledger.Today(t.Context())
	b.ok(err)
	if run.Reason != ledger.Budget || !strings.Contains(run.Message, "budget of the day ($0.0003, all runs)") || !strings.Contains(run.Message, "00:00 UTC") {
		t.Errorf("run is %s (%s): %s", run.State, run.Reason, run.Message)
	}
	if totals, _, err := b.ledger.Totals(t.Context(), run.ID); err != nil || today.CostNano > most || today.CostNano < most/2 || totals.Remaining == 0 {
		t.Errorf("spent %d of %d, %+v, %v", today.CostNano, most, totals, err)
	}
	most = 1e9
	run = b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 20, Done: 20})
}

// The cost of a failed call is recorded if the endpoint bills it, and not otherwise.
func TestFailedCallsAreRecorded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  llm.Error
		want func(nano int64) bool
	}{
		"billed refusal":   {llm.Error{Class: llm.Refused, Status: 200, Usage: llm.Usage{In: 100, Out: 10}}, func(n int64) bool { return n == 100*150+10*600 }},
		"refusal for free": {llm.Error{Class: llm.Refused, Status: 400}, func(n int64) bool { return n == 0 }},
		// At least 100 output tokens.
		"cut off":    {llm.Error{Class: llm.Refused, MayBeBilled: true}, func(n int64) bool { return n > 100*600 }},
		"never sent": {llm.Error{Class: llm.Refused, Code: "unreachable"}, func(n int64) bool { return n == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(1))
			b.model.answer = func(context.Context, string, int) (llm.Response, error) { return llm.Response{}, &test.err }
			run := b.work(b.plan())
			b.totals(run, ledger.Totals{Total: 1, Dead: 1})
			_, account, err := b.ledger.Totals(t.Context(), run.ID)
			b.ok(err)
			if !account.CostKnown || !test.want(account.CostNano) {
				t.Errorf("account %+v", account)
			}
		})
	}
}

// A halted first endpoint does not keep a run from its fallback, whose price then applies.
func TestFallbackAnswersAfterAHalt(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(12))
	b.model.answer = func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{}, &llm.Error{Class: llm.Halted, Status: 401, Message: "the key is wrong"}
	}
	other := &model{answer: func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{Content: `{"summary":"Short."}`, FinishReason: llm.FinishStop, Model: "gpt-4.1", Usage: llm.Usage{In: 100, Out: 10}}, nil
	}}
	b.fallbacks = llm.Endpoints{{Client: other, Model: "gpt-4.1"}}
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 12, Done: 12})
	_, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if want := int64(12 * (100*2000 + 10*8000)); account.CostNano != want || other.total() != 12 {
		t.Errorf("%d calls to the fallback, cost %d, want %d", other.total(), account.CostNano, want)
	}
}

// A worker does not begin a run with a budget in USD if the model has no known price.
func TestBudgetWithoutPriceHalts(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*bench, *int64){
		"run": func(b *bench, nano *int64) { b.budget = nano },
		"day": func(b *bench, nano *int64) { b.dayCap = nano },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(3))
			b.name = "model-without-a-price"
			most := int64(1e9)
			set(b, &most)
			run := b.work(b.plan())
			if run.Reason != ledger.Halted || !strings.Contains(run.Message, "--prices FILE") || b.model.total() != 0 {
				t.Errorf("run is %s (%s): %s; %d calls", run.State, run.Reason, run.Message, b.model.total())
			}
		})
	}
}

func TestUnreadableDocumentsAreDead(t *testing.T) {
	t.Parallel()
	docs := documents(2)
	docs["empty.txt"] = ""
	docs["binary.bin"] = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"
	b := setUp(t, docs)
	run := b.plan()
	b.ok(os.Remove(filepath.Join(b.docs, "doc01.txt")))
	b.work(run)
	b.totals(run, ledger.Totals{Total: 4, Done: 1, Dead: 3})
	if diff := cmp.Diff(map[string]string{"empty.txt": "input after 1", "binary.bin": "input after 1", "doc01.txt": "input_gone after 1"}, b.dead()); diff != "" {
		t.Error(diff)
	}
}

func TestStopReleasesWithoutAnAttempt(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(12))
	run := b.plan()
	began := make(chan struct{}, 100)
	b.model.answer = func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		began <- struct{}{}
		<-ctx.Done()
		return llm.Response{}, ctx.Err()
	}
	stop, cancel := context.WithCancel(t.Context())
	abort, cancelAbort := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.worker().Run(stop, abort) }()
	<-began
	cancel()
	cancelAbort()
	b.ok(<-ended)
	b.totals(run, ledger.Totals{Total: 12, Remaining: 12})
	b.model.answer = nil
	b.work(run)
	b.totals(run, ledger.Totals{Total: 12, Done: 12})
	views, err := report.New(b.ledger).Documents(t.Context(), "doc00.txt", 1)
	b.ok(err)
	if views[0].Attempts != 1 || len(views[0].History) != 0 {
		t.Errorf("the hand-back left a trace: %+v", views[0])
	}
}

func TestCallsInFlightFinishWithinTheGrace(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(1))
	run := b.plan()
	began, goOn := make(chan struct{}), make(chan struct{})
	b.model.answer = func(context.Context, string, int) (llm.Response, error) {
		close(began)
		<-goOn
		return good(), nil
	}
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.worker().Run(stop, t.Context()) }()
	<-began
	cancel()
	close(goOn)
	b.ok(<-ended)
	b.totals(run, ledger.Totals{Total: 1, Done: 1})
}

// A worker that exits when it is idle stays for retries that are due soon.
func TestIdleWorkerStaysForRetries(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(1))
	b.retry = tasks.Retry{Base: 8 * time.Second, Cap: 8 * time.Second, MaxAttempts: 3}
	run := b.plan()
	b.model.answer = func(_ context.Context, _ string, n int) (llm.Response, error) {
		if n == 1 {
			return llm.Response{}, &llm.Error{Class: llm.Transient, Status: 500, Message: "oops"}
		}
		return good(), nil
	}
	c := b.config()
	c.IdleExit = 100 * time.Millisecond
	b.ok(b.workerOf(c).Run(t.Context(), t.Context()))
	b.totals(run, ledger.Totals{Total: 1, Done: 1})
}

func TestLostTasksComeBack(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(8))
	run := b.plan()
	b.ok(b.queue.Redis().FlushAll(t.Context()).Err())
	n, err := b.recovery().Reconcile(t.Context())
	b.ok(err)
	if n != 2 {
		t.Errorf("%d of 2 tasks came back", n)
	}
	if n, err = b.recovery().EnqueueMissing(t.Context(), run, true); err != nil || n != 0 {
		t.Errorf("enqueued twice: %d %v", n, err)
	}
	b.work(run)
	b.totals(run, ledger.Totals{Total: 8, Done: 8})
}

func TestPanicFailsOnlyTheDocument(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(3))
	b.model.answer = func(_ context.Context, prompt string, _ int) (llm.Response, error) {
		if strings.Contains(prompt, "document 1.") {
			panic("a bug")
		}
		return llm.Response{}, nil
	}
	run := b.plan()
	// The next attempt reads the document in a child process, which dies here.
	b.work(run)
	b.totals(run, ledger.Totals{Total: 3, Done: 2, Dead: 1})
	if got := b.dead()["doc01.txt"]; !strings.HasPrefix(got, "crashing") {
		t.Errorf("dead as %q", got)
	}
}

func TestCrashesOfWorkersAreCounted(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(3))
	run := b.plan()
	// Three workers died while their child process read the second document, so their crash counts
	// remain.
	other, err := b.ledger.Register(t.Context(), ledger.WorkerProcess{Name: "died"})
	b.ok(err)
	b.ok(b.ledger.OpenPartitions(t.Context(), run.ID, func(all []ledger.Partition) error {
		claimed, err := b.ledger.Claim(t.Context(), other, all[0].ID, 10)
		b.ok(err)
		for _, c := range claimed {
			if c.URI == "doc01.txt" {
				b.ok(b.ledger.CountCrash(t.Context(), other, c, 2))
				b.ok(b.ledger.Crashed(t.Context(), other, c, "out of memory"))
			}
		}
		return nil
	}))
	b.ok(b.ledger.Leave(t.Context(), other, nil))
	b.work(run)
	b.totals(run, ledger.Totals{Total: 3, Done: 2, Dead: 1})
	b.ok(b.ledger.DeadLetters(t.Context(), ledger.DeadFilter{}, func(page []ledger.DeadLetter) error {
		for _, d := range page {
			if d.URI != "doc01.txt" || d.Class != "crashing" || d.Message != "the worker died 3 times while this document was read" {
				t.Errorf("dead is %s: %s: %s", d.URI, d.Class, d.Message)
			}
		}
		return nil
	}))
}
