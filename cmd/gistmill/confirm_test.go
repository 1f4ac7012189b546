package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// person runs commands in this process, against a fake endpoint that counts calls.
type person struct {
	*testing.T
	dir     string
	fake    *fakellm.Server
	environ []string
	called  atomic.Value // a context.CancelFunc, called at each call
}

func newPerson(t *testing.T) *person {
	t.Helper()
	fake, err := fakellm.New(fakellm.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	p := &person{T: t, dir: t.TempDir(), fake: fake}
	p.called.Store(context.CancelFunc(func() {}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.called.Load().(context.CancelFunc)()
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.environ = []string{
		"GISTMILL_STORE=sqlite:" + filepath.Join(p.dir, "ledger.db"), "GISTMILL_OUT=" + filepath.Join(p.dir, "out"),
		"GISTMILL_BASE_URL=" + server.URL + "/v1", "GISTMILL_MODEL=gpt-4o-mini",
		"GISTMILL_CONFIRM_ABOVE=0", // asks always
		"GISTMILL_MAX_ATTEMPTS=1",
	}
	return p
}

func (p *person) path(name string) string { return filepath.Join(p.dir, name) }

func (p *person) write(names ...string) {
	p.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o750); err != nil {
			p.Fatal(err)
		}
		text := "The text of " + name + " is about rivers. The river rose. The bridge held."
		if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
			p.Fatal(err)
		}
	}
}

// keyboard is a terminal that someone types into.
type keyboard struct {
	io.Reader
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *keyboard) IsTerminal() bool { return true }

func (s *keyboard) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *keyboard) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// said is the end of a command.
type said struct {
	code           int
	stdout, stderr string
	calls          int64 // made during the command
}

// types runs a command on a terminal, and types an answer.
func (p *person) types(answer string, args ...string) said {
	p.Helper()
	return p.runs(p.Context(), strings.NewReader(answer+"\n"), true, args...)
}

// does runs a command without a terminal.
func (p *person) does(args ...string) said {
	p.Helper()
	return p.runs(p.Context(), strings.NewReader("y\n"), false, args...)
}

func (p *person) runs(ctx context.Context, stdin io.Reader, terminal bool, args ...string) said {
	p.Helper()
	before := p.fake.Stats().Calls
	var stdout bytes.Buffer
	s := &keyboard{Reader: stdin}
	in, printed := stdin, io.Writer(writerFunc(s.Write))
	if terminal {
		in, printed = s, s
	}
	code := run(ctx, noSignals(), args, p.environ, in, &stdout, printed)
	r := said{code, stdout.String(), unbroken(s.text()), p.fake.Stats().Calls - before}
	p.Logf("gistmill %s: %d, %d calls\n%s%s", strings.Join(args, " "), r.code, r.calls, r.stdout, r.stderr)
	return r
}

// unbroken joins the lines into which a terminal breaks a sentence.
func unbroken(shown string) string {
	var b strings.Builder
	sentence := false
	for line := range strings.Lines(shown) {
		rest, more := strings.CutPrefix(line, "  ")
		switch {
		case more && sentence:
			line = " " + rest
		case b.Len() > 0:
			b.WriteByte('\n')
		}
		sentence = more && sentence || strings.Contains(line, "gistmill: ") // a question may be before it
		b.WriteString(strings.TrimSuffix(line, "\n"))
	}
	return b.String() + "\n"
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// want checks the exit code, the number of calls, and what a command printed.
func (s said) want(tb testing.TB, code int, calls int64, words ...string) said {
	tb.Helper()
	if s.code != code || s.calls != calls {
		tb.Errorf("exit code %d with %d calls, want %d with %d:\n%s", s.code, s.calls, code, calls, s.stderr)
	}
	for _, w := range words {
		if !regexp.MustCompile(w).MatchString(s.stdout + s.stderr) {
			tb.Errorf("%q is missing in:\n%s%s", w, s.stdout, s.stderr)
		}
	}
	return s
}

// run returns the newest run.
func (p *person) run() ledger.Run {
	p.Helper()
	l, err := ledger.Open(p.Context(), "sqlite:"+p.path("ledger.db"), ledger.Options{})
	if err != nil {
		p.Fatal(err)
	}
	defer l.Close()
	run, err := l.Run(p.Context(), "")
	if err != nil {
		p.Fatal(err)
	}
	return run
}

const notStarted = `Not started\. Nothing was sent\. Run the command again to start\.`

// A plan that was refused is asked about again, by every command that could begin it.
func TestRefusedRunIsNotBegun(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	p.write("docs/a.txt", "docs/b.txt", "docs/c.txt")
	docs := p.path("docs")
	for range 2 {
		p.types("n", "run", docs).want(t, exitFailed, 0, `3 documents to gpt-4o-mini at http://.*: about 3 calls`, notStarted)
	}
	if run := p.run(); run.State != ledger.Stopped || run.Reason != ledger.Paused {
		t.Errorf("the run is %s (%s)", run.State, run.Reason)
	}
	p.does("run", docs).want(t, exitUsage, 0, `gistmill run .*docs --yes`)
	p.does("resume", p.run().Name).want(t, exitUsage, 0, `gistmill resume .* --yes`)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.does("dead", "retry", "--redis", redis).want(t, exitOK, 0)
	p.types("n", "resume", p.run().Name, "--redis", redis).want(t, exitFailed, 0, notStarted)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.types("y", "run", docs).want(t, exitOK, 3, `3 done`)
}

// A plan with other flags that was refused does not become that of the next command.
func TestRefusedFlagsAreForgotten(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "docs/b.txt", "docs/c.txt", "docs/d.txt")
	docs := p.path("docs")
	p.types("n", "run", docs).want(t, exitFailed, 0, `4 documents to gpt-4o-mini`)
	p.types("n", "run", docs, "--limit", "3").want(t, exitFailed, 0, `3 documents to gpt-4o-mini`)
	p.types("n", "run", docs, "--include", "a.txt").want(t, exitFailed, 0, `1 document to gpt-4o-mini`)
	p.types("y", "run", docs, "--limit", "2").want(t, exitOK, 2, `2 documents to gpt-4o-mini`, `2 done`)
	p.types("y", "run", docs).want(t, exitOK, 2, `2 documents to gpt-4o-mini`)
	p.types("n", "run", docs, "--force").want(t, exitFailed, 0, `4 documents to gpt-4o-mini`)
	p.types("n", "run", docs).want(t, exitOK, 0, `4 unchanged`)
	p.types("n", "run", docs, "--force").want(t, exitFailed, 0, `4 documents to gpt-4o-mini`)
	p.types("y", "resume", p.run().Name).want(t, exitOK, 0) // the run itself is asked for
	p.types("y", "run", docs).want(t, exitOK, 4, `4 done`)
}

// Each way in which a run is left with work asks about all of it.
func TestWhatRemainsIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, p *person, docs string){
		"paused": func(t *testing.T, p *person, docs string) {
			p.types("n", "run", docs).want(t, exitFailed, 0)
		},
		"stopped at the budget": func(t *testing.T, p *person, docs string) {
			p.does("run", docs, "--yes", "--budget-tokens", "10").want(t, exitBudget, 0)
		},
		"halted": func(t *testing.T, p *person, docs string) {
			if err := p.fake.Set(func(c *fakellm.Config) { c.Keys = []string{"right"} }); err != nil {
				t.Fatal(err)
			}
			if r := p.does("run", docs, "--yes"); r.code != exitFailed {
				t.Errorf("exit code %d", r.code)
			}
			if err := p.fake.Set(func(c *fakellm.Config) { c.Keys = nil }); err != nil {
				t.Fatal(err)
			}
		},
		"interrupted at the question": func(t *testing.T, p *person, docs string) {
			ctx, cancel := context.WithCancel(t.Context())
			p.runs(ctx, readerFunc(func([]byte) (int, error) { cancel(); return 0, context.Canceled }), true, "run", docs)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			docs := p.path("docs")
			p.write("docs/a.txt", "docs/b.txt", "docs/c.txt")
			leave(t, p, docs)
			p.write("docs/d.txt") // new beside the old ones
			more := []string{"--budget-tokens", "1000000"}
			p.types("n", append([]string{"run", docs}, more...)...).want(t, exitFailed, 0, `4 documents to gpt-4o-mini .*: about 4 calls`, notStarted)
			p.does(append([]string{"run", docs}, more...)...).want(t, exitUsage, 0)
			p.types("y", append([]string{"run", docs}, more...)...).want(t, exitOK, 4, `4 done`)
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// The estimates of several sources are summed, and asked about once: all begin, or none.
func TestSourcesAreAskedForTogether(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("one/a.txt", "one/b.txt", "two/c.txt")
	run := []string{"run", p.path("one"), p.path("two"), p.path("one")}
	r := p.types("n", run...).want(t, exitFailed, 0, `one: 2 documents to gpt`, `two: 1 document to gpt`, `all sources: 3 documents: about 3 calls`, notStarted)
	if n := strings.Count(r.stderr, "[y/N]"); n != 1 {
		t.Errorf("%d questions", n)
	}
	p.does("run", p.path("one")).want(t, exitUsage, 0)
	p.does("run", p.path("two")).want(t, exitUsage, 0)
	p.types("y", run...).want(t, exitOK, 3)
}

// A question is asked only above the threshold, which the sum of all sources is compared with.
func TestThreshold(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("one/a.txt", "two/b.txt")
	one := regexp.MustCompile(`at most \$([0-9.]+)`).FindStringSubmatch(p.does("run", p.path("one")).want(t, exitUsage, 0).stderr)
	if one == nil {
		t.Fatal("no estimate")
	}
	var most float64
	if _, err := fmt.Sscan(one[1], &most); err != nil {
		t.Fatal(err)
	}
	above := fmt.Sprintf("--confirm-above=%f", most*1.5)
	p.does("run", p.path("one"), p.path("two"), above).want(t, exitUsage, 0)
	p.does("run", p.path("one"), above).want(t, exitOK, 1)
	p.does("run", p.path("two"), above).want(t, exitOK, 1)
	p.does("run", p.path("two")).want(t, exitOK, 0) // nothing remains
}

// A model without a price is asked about on a terminal, unless its endpoint is local or a token
// budget is the cap. Without a terminal a warning is enough: scripts for local models go on.
func TestUnknownPrice(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "more/b.txt", "third/c.txt")
	run := func(folder string, further ...string) []string {
		return append([]string{"run", p.path(folder), "--model", "unpriced", "--confirm-above", "1000"}, further...)
	}
	const warning = `warning: the cost is unknown, .*--prices FILE, .*--budget-tokens`
	p.does(run("docs", "--confirm-above", "0")...).want(t, exitUsage, 0, `cost unknown`, `--yes`)
	p.types("n", run("docs", "--base-url", "https://llm.example.com/v1")...).want(t, exitFailed, 0, notStarted)
	p.types("n", run("docs", "--fallbacks", "other@https://llm.example.com/v1")...).want(t, exitFailed, 0, notStarted)
	p.does(run("docs")...).want(t, exitOK, 1, warning)
	p.types("n", run("more")...).want(t, exitOK, 1)
	if r := p.does(run("third", "--budget-tokens", "100000")...).want(t, exitOK, 1); strings.Contains(r.stderr, "warning") {
		t.Error("a warning of an unknown cost although a budget is the cap")
	}
}

// The known part of an estimate is compared with the threshold even if another price is unknown.
func TestKnownPriceBesideAnUnknownOne(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt")
	p.does("run", p.path("docs"), "--model", "unpriced", "--fallbacks", "gpt-4", "--confirm-above", "0.001").
		want(t, exitUsage, 0, `the cost at the known prices alone is up to \$`, `--yes`)
}

// Documents that cannot be read from here are not free: workers may have them.
func TestUnreadableIsNotFree(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	docs := p.path("docs")
	p.write("docs/a.txt", "docs/b.txt")
	p.types("n", "run", docs).want(t, exitFailed, 0)
	if err := errors.Join(os.Remove(p.path("docs/a.txt")), os.Remove(p.path("docs/b.txt"))); err != nil {
		t.Fatal(err)
	}
	resume := []string{"resume", p.run().Name, "--redis", redis, "--confirm-above", "1000"}
	p.does(resume...).want(t, exitUsage, 0, `cost unknown, because the documents cannot be read`, `--yes`)
	if err := os.Remove(docs); err != nil {
		t.Fatal(err)
	}
	p.does(resume...).want(t, exitUsage, 0, `cost unknown, because the documents cannot be read`, `--yes`)
	p.types("n", resume...).want(t, exitFailed, 0, notStarted)
}

// A run that others work on goes on when a further plan of it is refused. What was refused waits.
func TestRefusalLeavesAFleetAlone(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	docs := p.path("docs")
	p.write("docs/a.txt", "docs/b.txt")
	p.does("enqueue", docs, "--redis", redis).want(t, exitOK, 0, `2 documents to gpt-4o-mini at http`)
	l, err := ledger.Open(t.Context(), "sqlite:"+p.path("ledger.db"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	worker, err := l.Register(t.Context(), ledger.WorkerProcess{Name: "a worker of the fleet"})
	if err != nil {
		t.Fatal(err)
	}
	p.write("docs/c.txt")
	p.types("n", "run", docs, "--redis", redis, "--budget-tokens", "7").want(t, exitFailed, 0, `3 documents to gpt`, notStarted)
	run := p.run()
	if run.State != ledger.Running || run.Tokens != nil {
		t.Errorf("the fleet's run is %s with a budget of %v tokens", run.State, run.Tokens)
	}
	if err := l.Leave(t.Context(), worker, nil); err != nil {
		t.Fatal(err)
	}
	p.does("worker", "--redis", redis, "--exit-when-idle=200ms").want(t, exitOK, 2)
	if run := p.run(); run.State != ledger.Stopped || run.Reason != ledger.Paused {
		t.Errorf("the run with a refused document is %s (%s)", run.State, run.Reason)
	}
	p.does("worker", "--redis", redis, "--exit-when-idle=200ms").want(t, exitOK, 0)
	p.does("resume", run.Name, "--redis", redis, "--yes").want(t, exitOK, 0, `1 document to gpt`, `1 task enqueued`)
	p.does("worker", "--redis", redis, "--exit-when-idle=200ms").want(t, exitOK, 1)
}

// A killed process leaves nothing at the question that another command begins.
func TestKilledAtTheQuestion(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	docs := p.path("docs")
	p.write("docs/a.txt", "docs/b.txt")
	p.does("run", docs, "--yes", "--budget-tokens", "10").want(t, exitBudget, 0)
	asked, killed := make(chan struct{}), make(chan struct{})
	ended := make(chan said)
	go func() {
		ended <- p.runs(t.Context(), readerFunc(func([]byte) (int, error) {
			close(asked)
			<-killed
			return 0, io.EOF
		}), true, "run", docs, "--budget-tokens", "100000")
	}()
	<-asked
	// While the question is open, and so after a SIGKILL, the run is as it was.
	if run := p.run(); run.State != ledger.Stopped || run.Reason != ledger.Budget {
		t.Errorf("at the question the run is %s (%s)", run.State, run.Reason)
	}
	p.does("run", docs, "--yes").want(t, exitPlanning, 0)
	p.does("resume", p.run().Name, "--yes").want(t, exitPlanning, 0)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	close(killed)
	if r := <-ended; r.code != exitFailed || r.calls != 0 {
		t.Errorf("exit code %d, %d calls", r.code, r.calls)
	}
}

// The budget of a running run can be raised.
func TestBudgetOfARunningRun(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	p.write("docs/a.txt")
	p.does("enqueue", p.path("docs"), "--redis", redis, "--budget-usd", "0.01").want(t, exitOK, 0)
	name := p.run().Name
	p.types("n", "resume", name, "--budget-usd", "5").want(t, exitFailed, 0, notStarted)
	p.types("y", "resume", name, "--budget-usd", "5").want(t, exitOK, 0)
	if run := p.run(); run.BudgetNano == nil || *run.BudgetNano != 5e9 || run.State != ledger.Running {
		t.Errorf("the run is %s with a budget of %v", run.State, run.BudgetNano)
	}
}

// Dead letters that are retried without a queue are asked about by the next run, and begun by no
// other command.
func TestRetryWithoutAQueueIsAskedFor(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	p.write("docs/a.txt")
	fails := func(rate float64) {
		if err := p.fake.Set(func(c *fakellm.Config) { c.Rate500 = rate }); err != nil {
			t.Fatal(err)
		}
	}
	fails(1)
	p.does("run", p.path("docs"), "--yes").want(t, exitDead, 1)
	fails(0)
	p.does("dead", "retry", "--yes").want(t, exitOK, 0, `1 document to retry, with the next`)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.does("enqueue", p.path("other"), "--redis", redis).want(t, exitFailed, 0) // it reconciles
	p.does("run", p.path("docs")).want(t, exitUsage, 0, `1 document to gpt-4o-mini`)
	p.types("n", "run", p.path("docs")).want(t, exitFailed, 0, notStarted)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.types("y", "run", p.path("docs")).want(t, exitOK, 1)
}

// A run that is interrupted keeps what was confirmed. Its next command asks again, and a "no"
// stops it.
func TestInterruptedRunIsAskedFor(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	docs := p.path("docs")
	for i := range 60 {
		p.write(fmt.Sprintf("docs/%02d.txt", i))
	}
	if err := p.fake.Set(func(c *fakellm.Config) { c.RateHang = 1 }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.called.Store(cancel)
	r := p.runs(ctx, strings.NewReader(""), false, "run", docs, "--yes", "-o", "json")
	var result runResult
	if err := json.Unmarshal([]byte(r.stdout), &result); err != nil || r.code != exitInterrupted || result.ExitCode != r.code || *result.Reason != "interrupted" {
		t.Errorf("exit code %d: %s", r.code, r.stdout)
	}
	if err := p.fake.Set(func(c *fakellm.Config) { c.RateHang = 0 }); err != nil {
		t.Fatal(err)
	}
	if run := p.run(); run.State != ledger.Running {
		t.Errorf("an interrupted run is %s", run.State)
	}
	p.does("run", docs).want(t, exitUsage, 0, `60 documents to gpt`)
	p.types("n", "run", docs).want(t, exitFailed, 0, notStarted)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	if run := p.run(); run.State != ledger.Stopped || run.Reason != ledger.Paused {
		t.Errorf("after a no the run is %s (%s)", run.State, run.Reason)
	}
}

// A sample is drawn from all that remains, of all sources. It is paid for once, and the rest waits
// for an answer.
func TestSample(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	redis := "redis://" + miniredis.RunT(t).Addr()
	for i := range 30 {
		p.write(fmt.Sprintf("one/%02d.txt", i), fmt.Sprintf("two/%02d.txt", i))
	}
	above := "--confirm-above=0.003" // of a sample of 6, and not of 60
	sources := []string{"run", p.path("one"), p.path("two"), "--sample", "6", above}
	r := p.does(sources...).want(t, exitOK, 6, `6 documents for \$0\.00`, `the other 54: about \$0\.00`, `to go on, type: gistmill run .*/one .*/two --confirm-above=0\.003 --yes`, `6 summaries in `)
	if n := len(regexp.MustCompile(`(?m)^[0-9]{2}\.txt$`).FindAllString(r.stderr, -1)); n != 6 {
		t.Errorf("%d summaries are printed, want 6", n)
	}
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.types("n", sources...).want(t, exitOK, 6, `Go on with the other 48 documents\?`, `Stopped after the sample`)
	p.does("worker", "--redis", redis, "--exit-when-idle=100ms").want(t, exitOK, 0)
	p.types("n", append(sources, "--confirm-above=0")...).want(t, exitFailed, 0, `sample of 6 documents: about 6 calls`, notStarted)
	p.types("y", sources...).want(t, exitOK, 48, `60 summaries in `)
	p.does(sources...).want(t, exitOK, 0)
	if s := p.fake.Stats(); s.Duplicates > 0 {
		t.Errorf("%d calls were paid twice", s.Duplicates)
	}
}

// A question is never asked without its figures, though --quiet silences other messages.
func TestQuietQuestionHasFigures(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "docs/b.txt", "docs/c.txt")
	docs := p.path("docs")
	p.types("n", "run", docs, "--quiet").want(t, exitFailed, 0, `3 documents: about 3 calls, .* at most \$.*\nContinue\?`)
	p.types("n", "run", docs, "--quiet", "--sample", "1").want(t, exitFailed, 0, `sample of 1 document: about 1 call, .*\nContinue\?`)
	p.types("n", "run", docs, "--quiet", "--sample", "1", "--confirm-above", "5").want(t, exitOK, 1, `the other 2: about \$.*\nGo on with the other 2 documents\?`)
	p.write("docs/a.txt")
	if err := os.WriteFile(p.path("docs/d.txt"), []byte("FAKELLM-FILTER The river rose."), 0o600); err != nil {
		t.Fatal(err)
	}
	p.does("run", docs, "--yes").want(t, exitDead, 3)
	p.types("n", "dead", "retry", "--quiet").want(t, exitFailed, 0, `1 document, about \$.* \(1 refused\)\nContinue\?`)
}

// A sample of everything is the whole run.
func TestSampleOfEverything(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "docs/b.txt")
	p.does("run", p.path("docs"), "--sample", "9", "--yes").want(t, exitOK, 2, `2 summaries in`)
	if run := p.run(); run.State != ledger.Finished {
		t.Errorf("the run is %s", run.State)
	}
}

// The result is one JSON object, also if the run fails.
func TestRunAsJSON(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "docs/b.txt")
	var got runResult
	decode := func(s said) {
		t.Helper()
		got = runResult{}
		if err := json.Unmarshal([]byte(s.stdout), &got); err != nil {
			t.Fatalf("%v:\n%s", err, s.stdout)
		}
	}
	run := []string{"run", p.path("docs"), "-o", "json"}
	decode(p.does(run...).want(t, exitUsage, 0))
	if got.ExitCode != exitUsage || got.Reason == nil || !strings.Contains(*got.Reason, "--yes") || len(got.Runs) != 1 || got.Runs[0].State != ledger.Stopped || got.Summaries != nil {
		t.Errorf("refused: %+v", got)
	}
	decode(p.does(append(run, "--yes")...).want(t, exitOK, 2))
	if got.ExitCode != 0 || got.Reason != nil || got.Summaries == nil || *got.Summaries != 2 || got.Out != p.path("out") || got.Took <= 0 || got.Runs[0].Documents.Done != 2 {
		t.Errorf("done: %+v", got)
	}
	decode(p.does("run", p.path("nowhere"), "-o", "json").want(t, exitFailed, 0))
	if got.ExitCode != exitFailed || got.Reason == nil || got.Runs == nil {
		t.Errorf("failed: %+v", got)
	}
	if r := p.does(append(run, "--out", "-")...).want(t, exitUsage, 0, `-o json and --out -`); r.stdout != "" {
		t.Errorf("standard output has %q", r.stdout)
	}
}

// A dry run writes nothing, and sums over the sources. The time is what earlier calls took.
func TestDryRun(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("one/a.txt", "two/b.txt")
	dry := []string{"run", p.path("one"), p.path("two"), "--dry-run"}
	p.does(dry...).want(t, exitOK, 0, `1 document to gpt-4o-mini at http.*; about \$0\.0\S+, at most \$0\.0\S+\n`, `all sources\n  2 documents to gpt`)
	p.does("run", p.path("one"), "--yes").want(t, exitOK, 1)
	r := p.does(append(dry, "-o", "json")...).want(t, exitOK, 0)
	var rows []planRow
	if err := json.Unmarshal([]byte(r.stdout), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Skipped != 1 || rows[1].Estimate.Calls != 1 || rows[1].Estimate.Seconds == nil || rows[1].Estimate.SecondsAtLimits != nil {
		t.Errorf("rows %+v", rows)
	}
	p.does("runs", "-o", "json").want(t, exitOK, 0)
	if _, err := os.Stat(p.path("out")); err != nil {
		t.Error(err)
	}
}
