package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm/traits"
	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/screen"
)

// desk is a person's folder with documents, and a paid endpoint.
type desk struct {
	t        *testing.T
	dir      string
	endpoint *fakellm.Server
	url      string
	env      []string
}

// newDesk returns a folder with tickets.jsonl of n documents. change may be nil.
func newDesk(t *testing.T, n int, change func(*fakellm.Config)) *desk {
	t.Helper()
	c := fakellm.Defaults()
	if change != nil {
		change(&c)
	}
	endpoint, err := fakellm.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(endpoint)
	t.Cleanup(server.Close)
	d := &desk{t: t, dir: t.TempDir(), endpoint: endpoint, url: server.URL + "/v1"}
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"id":"T-%d","text":"Ticket %d. The printer on floor %d does not print. It was repaired in 2021 and again in 2023."}`+"\n", i, i, i%7)
	}
	d.write("tickets.jsonl", lines.String())
	d.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TERM=xterm-256color", "GORACE=atexit_sleep_ms=0"}
	return d
}

// answered notes in the ledger that the endpoint has answered before, so that no call goes alone.
func (d *desk) answered() *desk {
	d.t.Helper()
	base, err := url.Parse(d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := ledger.Open(d.t.Context(), "sqlite:"+filepath.Join(d.dir, ".gistmill", "ledger.db"), ledger.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	defer l.Close()
	if _, err := (traitsStore{l}).AddTraits(d.t.Context(), traits.KeyOf(base, "gpt-4"), traits.Traits{Answered: 1}); err != nil {
		d.t.Fatal(err)
	}
	return d
}

func (d *desk) write(name, content string) {
	d.t.Helper()
	file := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// command returns a command of this build of the program, or of that which GISTMILL_TEST_PROGRAM
// names.
func (d *desk) command(args ...string) *exec.Cmd {
	d.t.Helper()
	program := os.Getenv("GISTMILL_TEST_PROGRAM")
	if program == "" {
		var err error
		if program, err = exec.LookPath("gistmill"); err != nil {
			d.t.Fatal(err)
		}
	}
	command := exec.CommandContext(d.t.Context(), program, args...)
	command.Dir, command.Env = d.dir, d.env
	return command
}

// paid returns the arguments of a run of the tickets with a paid model.
func (d *desk) paid(more ...string) []string {
	return append([]string{"run", "tickets.jsonl", "--model", "gpt-4", "--base-url", d.url}, more...)
}

// start starts the program in a terminal.
func (d *desk) start(columns, rows int, args ...string) *screen.Screen {
	d.t.Helper()
	return screen.Start(d.t, columns, rows, d.command(args...))
}

// wantCalls fails the test unless the endpoint had that number of calls.
func (d *desk) wantCalls(want int64) {
	d.t.Helper()
	if got := d.endpoint.Stats().Calls; got != want {
		d.t.Errorf("the endpoint had %d calls, want %d", got, want)
	}
}

// sizes are a usual terminal and a small one.
var sizes = []struct{ columns, rows int }{{80, 24}, {30, 10}}

func wantCode(t *testing.T, s *screen.Screen, want int) {
	t.Helper()
	if got := s.Wait(); got != want {
		t.Errorf("exit code %d, want %d:\n%s", got, want, s.All())
	}
}

// The question about money can be seen: it is the last thing on the screen, no bar is drawn over it
// or before it, and nothing is called before it is answered.
func TestQuestionOnTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		for answer, code := range map[string]int{"n\n": exitFailed, "\n": exitFailed, "y\n": exitOK, screen.CtrlC: exitInterrupted} {
			t.Run(fmt.Sprintf("%dx%d %q", size.columns, size.rows, answer), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, 400, nil)
				s := d.start(size.columns, size.rows, d.paid()...)
				s.Until("[y/N]")
				s.Stays(700 * time.Millisecond)
				if lines := strings.Split(s.Text(), "\n"); !strings.HasSuffix(lines[len(lines)-1], "[y/N]") {
					t.Errorf("the question is not the last line:\n%s", s.Text())
				}
				d.wantCalls(0)
				s.Type(answer)
				wantCode(t, s, code)
				before, _, _ := strings.Cut(s.Raw(), "[y/N]")
				if strings.Contains(before, "0/0 ") || strings.Contains(before, "[>") {
					t.Errorf("a bar before the answer:\n%s", s.Raw())
				}
				if code == exitOK {
					d.wantCalls(400)
				} else {
					d.wantCalls(0)
				}
			})
		}
	}
}

// slow makes the endpoint take a time for each answer.
func slow(t *testing.T, latency string) func(*fakellm.Config) {
	t.Helper()
	l, err := fakellm.ParseLatency(latency)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *fakellm.Config) { c.Latency = l }
}

// wantShown fails the test unless each text is among the lines that were shown.
func wantShown(t *testing.T, s *screen.Screen, texts ...string) {
	t.Helper()
	// A narrow terminal breaks lines.
	joined := func(s string) string { return strings.Join(strings.Fields(s), "") }
	all := joined(s.All())
	for _, text := range texts {
		if !strings.Contains(all, joined(text)) {
			t.Errorf("%q is not on the screen:\n%s", text, s.All())
		}
	}
}

// wantNotShown fails the test if any of the texts is among the lines that were shown.
func wantNotShown(t *testing.T, s *screen.Screen, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(s.All(), text) {
			t.Errorf("%q is on the screen:\n%s", text, s.All())
		}
	}
}

// hasBar reports whether a line of the screen is a bar: 10/60 [=====>     ] 9.8/s.
func hasBar(s *screen.Screen) bool { return strings.Contains(s.Text(), "/60 ") }

// Every line stays: the run's name, warnings while the bar is shown, and the end. Nothing of the
// bar stays, also if the terminal changes its size.
func TestLinesAndBarOnTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		for _, resized := range []bool{false, true} {
			t.Run(fmt.Sprintf("%dx%d resized=%v", size.columns, size.rows, resized), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, 52, slow(t, "300ms"))
				var empty strings.Builder
				for i := range 8 {
					fmt.Fprintf(&empty, `{"id":"E-%d","text":""}`+"\n", i)
				}
				d.write("more.jsonl", empty.String())
				d.env = append(d.env, "NO_COLOR=1")
				s := d.start(size.columns, size.rows, d.paid("more.jsonl", "--yes", "--concurrency", "8")...)
				s.UntilMet("a bar is shown", func() bool { return hasBar(s) })
				if resized {
					s.Resize(size.columns-9, size.rows)
					s.UntilMet("a bar is shown", func() bool { return hasBar(s) })
					s.Resize(size.columns+20, size.rows)
				}
				wantCode(t, s, exitDead)
				wantShown(t, s, "E-", "document dead-lettered: 3 more", "52 done, 0 unchanged, 8 dead, 52 calls", "8 documents dead")
				if !resized { // the emulator cuts lines when it becomes narrower
					wantShown(t, s, "new run ", "60 documents listed, 60 to do")
				}
				wantNotShown(t, s, "[=", "[>", "/60 ", "0/0 ")
				if regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(s.Raw()) {
					t.Error("there are colors")
				}
			})
		}
	}
}

// After Ctrl-C the terminal says within a second what is waited for, and counts it down.
func TestInterruptWhileWorking(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%dx%d", size.columns, size.rows), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 60, slow(t, "uniform:1500ms-4s")).answered()
			s := d.start(size.columns, size.rows, d.paid("--yes", "--concurrency", "8")...)
			s.UntilMet("8 calls are in flight", func() bool { return d.endpoint.Stats().InFlight == 8 })
			s.UntilMet("a bar is shown", func() bool { return hasBar(s) })
			typed := time.Now()
			s.Type(screen.CtrlC)
			s.Until("Ctrl-C again gives them up")
			if took := time.Since(typed); took > time.Second {
				t.Errorf("the notice came after %s", took)
			}
			wantShown(t, s, "finishing ", " calls, up to ")
			if hasBar(s) {
				t.Errorf("the bar is still shown:\n%s", s.Text())
			}
			s.Until("finishing 2 calls")
			wantCode(t, s, exitInterrupted)
			wantShown(t, s, "interrupted with", "nothing is lost")
			wantNotShown(t, s, "finishing", "^C")

			// The next command says what it did, and what was done in all.
			if err := d.endpoint.Set(func(c *fakellm.Config) { c.Latency = fakellm.Latency{} }); err != nil {
				t.Fatal(err)
			}
			s = d.start(size.columns, size.rows, d.paid("--yes")...)
			wantCode(t, s, exitOK)
			wantShown(t, s, "; the whole run: 60 done, 0 unchanged, 0 dead, 60 calls")
		})
	}
}

// The second Ctrl-C gives the calls up, and SIGHUP is treated like SIGTERM.
func TestInterruptAgain(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*screen.Screen){
		"Ctrl-C": func(s *screen.Screen) { s.Type(screen.CtrlC) },
		"SIGHUP": func(s *screen.Screen) { s.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 60, slow(t, "5m")).answered()
			s := d.start(80, 24, d.paid("--yes", "--concurrency", "4")...)
			s.UntilMet("4 calls are in flight", func() bool { return d.endpoint.Stats().InFlight == 4 })
			stop(s)
			s.Until("finishing 4 calls, up to 2m")
			again := time.Now()
			stop(s)
			wantCode(t, s, exitInterrupted)
			if took := time.Since(again); took > 5*time.Second {
				t.Errorf("ended after %s", took)
			}
			wantShown(t, s, "interrupted with 60 documents to do")
		})
	}
}

// What an interrupt leaves to do is counted over all sources.
func TestInterruptOfSeveralSources(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "5m")).answered()
	d.write("notes/1.txt", "The printer does not print.")
	d.write("notes/2.txt", "It prints again.")
	s := d.start(80, 24, d.paid("notes", "--yes", "--concurrency", "4")...)
	s.UntilMet("4 calls are in flight", func() bool { return d.endpoint.Stats().InFlight == 4 })
	s.Type(screen.CtrlC)
	s.Until("finishing 4 calls")
	s.Type(screen.CtrlC)
	wantCode(t, s, exitInterrupted)
	wantShown(t, s, "interrupted with 62 documents to do")
}

// A worker on a terminal says what it waits for, as run does.
func TestInterruptOfWorker(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "5m")).answered()
	d.env = append(d.env, "GISTMILL_REDIS=redis://"+miniredis.RunT(t).Addr())
	enqueue := d.start(80, 24, "enqueue", "tickets.jsonl", "--model", "gpt-4", "--base-url", d.url)
	wantCode(t, enqueue, exitOK)
	s := d.start(80, 24, "worker", "--base-url", d.url, "--concurrency", "4")
	s.UntilMet("4 calls are in flight", func() bool { return d.endpoint.Stats().InFlight == 4 })
	typed := time.Now()
	s.Type(screen.CtrlC)
	s.Until("finishing 4 calls, up to 2m")
	if took := time.Since(typed); took > time.Second {
		t.Errorf("the notice came after %s", took)
	}
	s.Type(screen.CtrlC)
	wantCode(t, s, exitOK)
	wantNotShown(t, s, "finishing", "giving up")
}

// Ctrl-C ends the reading of standard input, and the work and the question of a sample.
func TestInterruptOfInputAndSample(t *testing.T) {
	t.Parallel()
	t.Run("standard input", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, 0, nil)
		s := d.start(80, 24, "run", "-", "--model", "gpt-4", "--base-url", d.url)
		s.Type(`{"id":"1","text":"The printer does not print."}` + "\n")
		s.Until("does not print")
		s.UntilMet("the ledger exists", func() bool { return d.exists(".gistmill/ledger.db") })
		typed := time.Now()
		s.Type(screen.CtrlC)
		wantCode(t, s, exitInterrupted)
		if took := time.Since(typed); took > time.Second {
			t.Errorf("ended after %s:\n%s", took, s.All())
		}
		d.wantCalls(0)
	})
	t.Run("working on the sample", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, 60, slow(t, "5m")).answered()
		s := d.start(80, 24, d.paid("--sample", "3")...)
		s.UntilMet("3 calls are in flight", func() bool { return d.endpoint.Stats().InFlight == 3 })
		s.Type(screen.CtrlC)
		s.Until("finishing 3 calls")
		s.Type(screen.CtrlC)
		wantCode(t, s, exitInterrupted)
		wantNotShown(t, s, "Go on with")
		d.wantNothingBegun(3)
	})
	t.Run("question after the sample", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, 60, nil)
		s := d.start(80, 24, d.paid("--sample", "3")...)
		s.Until("Go on with the other 57 documents? [y/N]")
		typed := time.Now()
		s.Type(screen.CtrlC)
		wantCode(t, s, exitInterrupted)
		if took := time.Since(typed); took > time.Second {
			t.Errorf("ended after %s:\n%s", took, s.All())
		}
		d.wantNothingBegun(3)
	})
}

// wantNothingBegun fails the test unless the endpoint had that number of calls, and a worker makes
// no more.
func (d *desk) wantNothingBegun(calls int64) {
	d.t.Helper()
	if err := d.endpoint.Set(func(c *fakellm.Config) { c.Latency = fakellm.Latency{} }); err != nil {
		d.t.Fatal(err)
	}
	redis := miniredis.RunT(d.t)
	worker := d.start(80, 24, "worker", "--redis", "redis://"+redis.Addr(), "--base-url", d.url, "--exit-when-idle=300ms")
	wantCode(d.t, worker, exitOK)
	d.wantCalls(calls)
}

func (d *desk) exists(name string) bool {
	_, err := os.Stat(filepath.Join(d.dir, name))
	return err == nil
}

// A terminal that is closed at the question leaves nothing that a worker begins.
func TestHangupAtQuestion(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 400, nil)
	s := d.start(80, 24, d.paid()...)
	s.Until("[y/N]")
	s.Signal(syscall.SIGHUP)
	wantCode(t, s, exitInterrupted)
	d.wantNothingBegun(0)
}

// The reason why a run stopped is printed once.
func TestStopIsPrintedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*fakellm.Config)
		args   []string
		code   int
		says   string
	}{
		"refused key": {change: func(c *fakellm.Config) { c.Keys = []string{"sk-other"} }, code: exitFailed, says: "the endpoint wants an API key"},
		"budget":      {args: []string{"--budget-usd", "0.05"}, code: exitBudget, says: "the budget of the run is reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 6, c.change)
			s := d.start(200, 24, d.paid(append(c.args, "--yes")...)...)
			wantCode(t, s, c.code)
			if n := strings.Count(s.All(), c.says); n != 1 {
				t.Errorf("%q is printed %d times:\n%s", c.says, n, s.All())
			}
		})
	}
}

// hangingBucket answers as S3 does, with names in pages. It answers nothing about the bucket void,
// and nothing after page 15 about others.
func hangingBucket(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("continuation-token")) // the first has none
	if strings.HasPrefix(r.URL.Path, "/void") || page == 15 {
		<-r.Context().Done()
		return
	}
	fmt.Fprintf(w, `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>`, page+1)
	for i := range 1000 {
		fmt.Fprintf(w, `<Contents><Key>%d-%d.txt</Key><LastModified>2026-01-31T12:00:00Z</LastModified><ETag>"x"</ETag><Size>3</Size></Contents>`, page, i)
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}

// Ctrl-C before the work begins ends the command at once.
func TestInterruptBeforeTheWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source, until, says string
		env                 string
	}{
		"listing":   {source: "s3://bucket?region=us-east-1&endpoint=SERVER&s3ForcePathStyle=true", until: "15,000 documents, ", says: "no call was made"},
		"opening":   {source: "s3://void?region=us-east-1&endpoint=SERVER&s3ForcePathStyle=true", until: "opening s3://void", says: "no call was made"},
		"redis":     {source: "tickets.jsonl", until: "waiting for Redis at redis://127.0.0.1:1", env: "GISTMILL_REDIS=redis://127.0.0.1:1"},
		"the store": {source: "tickets.jsonl", until: "waiting for the ledger at postgres://", env: "GISTMILL_STORE=postgres://u:pw@127.0.0.1:1/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 3, nil)
			hanging := httptest.NewServer(http.HandlerFunc(hangingBucket))
			t.Cleanup(hanging.Close)
			d.env = append(d.env, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", c.env)
			s := d.start(80, 24, "run", strings.ReplaceAll(c.source, "SERVER", hanging.URL))
			s.Until(c.until)
			typed := time.Now()
			s.Type(screen.CtrlC)
			wantCode(t, s, exitInterrupted)
			if took := time.Since(typed); took > time.Second {
				t.Errorf("ended after %s:\n%s", took, s.All())
			}
			wantShown(t, s, c.says)
			wantNotShown(t, s, "stopping", "pw@")
		})
	}
}

// Commands without calls just end.
func TestInterruptWithoutCalls(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20, slow(t, "5m"))
	working := d.start(80, 24, d.paid("--yes")...)
	working.UntilMet("calls are in flight", func() bool { return d.endpoint.Stats().InFlight > 0 })
	s := d.start(80, 24, "status", "--watch")
	s.Until("20 to do")
	s.Type(screen.CtrlC)
	wantCode(t, s, exitInterrupted)
	wantNotShown(t, s, "stopping", "interrupted", "nothing is lost", "calls in flight")
}

// Without a terminal that can move its cursor there are lines, and no control sequence.
func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "100ms"))
	d.env = append(d.env, "TERM=dumb")
	s := d.start(80, 24, d.paid("--progress", "bar")...)
	wantCode(t, s, exitOK)
	wantShown(t, s, "60 documents listed", "60 done")
	if strings.Contains(s.Raw(), "\x1b") {
		t.Errorf("control sequences: %q", s.Raw())
	}
}

// The summaries on a piped standard output are not mixed with what the terminal shows.
func TestPipedOutput(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "200ms"))
	command := d.command(d.paid("--out", "-", "--concurrency", "8")...)
	var out strings.Builder
	command.Stdout = &out
	s := screen.Start(t, 80, 24, command)
	s.UntilMet("a bar is shown", func() bool { return hasBar(s) })
	wantCode(t, s, exitOK)
	if lines := strings.Count(out.String(), "\n"); lines != 60 || strings.Contains(out.String(), "gistmill:") {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	wantShown(t, s, "60 documents listed", "60 summaries on standard output")
}

// Two runs at once share the documents, and each says what it did itself.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "300ms"))
	first := d.start(80, 24, d.paid("--concurrency", "4")...)
	first.UntilMet("a bar is shown", func() bool { return hasBar(first) })
	second := d.start(30, 10, d.paid("--concurrency", "4")...)
	second.UntilMet("a bar is shown", func() bool { return hasBar(second) })
	wantCode(t, first, exitOK)
	wantCode(t, second, exitOK)
	d.wantCalls(60)
	wantShown(t, first, "new run ")
	wantShown(t, second, "continued run ")
	wantNotShown(t, first, "[=", "[>")
	wantNotShown(t, second, "[=", "[>")
}

// The same command asks again after a "no", and calls nothing before it is answered.
func TestQuestionAfterNo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 400, nil)
	for range 3 {
		s := d.start(110, 24, d.paid()...)
		s.Until("400 documents")
		s.Type("n\n") // also if the question cannot be seen
		wantCode(t, s, exitFailed)
		d.wantCalls(0)
	}
}

// The rate of a continued run is that of its own work, without what was done before.
func TestRateOfContinuedRun(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 60, slow(t, "30ms"))
	s := d.start(80, 24, d.paid("--concurrency", "2")...)
	s.UntilMet("most is done", func() bool { return d.endpoint.Stats().Calls > 48 })
	if err := d.endpoint.Set(slow(t, "1s")); err != nil {
		t.Fatal(err)
	}
	s.Type(screen.CtrlC)
	wantCode(t, s, exitInterrupted)

	s = d.start(80, 24, d.paid("--concurrency", "1")...)
	wantCode(t, s, exitOK)
	for _, rate := range regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)/s`).FindAllStringSubmatch(s.Raw(), -1) {
		if r, err := strconv.ParseFloat(rate[1], 64); err != nil || r > 3 {
			t.Errorf("%s documents per second, and a call takes 1s:\n%s", rate[1], s.Raw())
			break
		}
	}
}

// `status --watch` on a terminal draws over what it drew before.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20, slow(t, "5m"))
	working := d.start(80, 24, d.paid()...)
	working.UntilMet("calls are in flight", func() bool { return d.endpoint.Stats().InFlight > 0 })
	s := d.start(80, 24, "status", "--watch")
	s.Until("20 to do")
	later := time.Now().Add(3 * time.Second)
	s.UntilMet("three seconds have passed", func() bool { return time.Now().After(later) })
	if n := strings.Count(s.All(), "20 to do"); n != 1 {
		t.Errorf("the status is on the screen %d times:\n%s", n, s.All())
	}
}

// Sentences break between words on a terminal, and not at all in a pipe. What people copy stays
// whole.
func TestSentencesOnTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 400, nil)
	for name, c := range map[string]struct {
		args []string
		code int
		copy string // the terminal itself may break it
	}{
		"output folder":  {args: []string{"run", "tickets.jsonl", "--out", "."}, code: exitUsage},
		"unknown flag":   {args: []string{"run", "tickets.jsonl", "--limits", "3"}, code: exitUsage, copy: "`gistmill run --help`"},
		"no ledger":      {args: []string{"status", "--store", "sqlite:none.db"}, code: exitFailed},
		"wrong id field": {args: []string{"run", "tickets.jsonl", "--id-field", "number"}, code: exitUsage},
		"no model":       {args: []string{"enqueue", "tickets.jsonl", "--redis", "redis://127.0.0.1:1"}, code: exitUsage},
	} {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s %dx%d", name, size.columns, size.rows), func(t *testing.T) {
				t.Parallel()
				piped := d.command(c.args...)
				var said strings.Builder
				piped.Stderr = &said
				if err := piped.Run(); err == nil {
					t.Error("it succeeds")
				}
				s := d.start(size.columns, size.rows, c.args...)
				wantCode(t, s, c.code)
				wantShown(t, s, said.String())
				if !strings.Contains(strings.Join(strings.Split(s.All(), "\n"), ""), c.copy) {
					t.Errorf("%s is broken:\n%s", c.copy, s.All())
				}
				shown := map[string]bool{}
				for _, word := range strings.Fields(s.All()) {
					shown[word] = true
				}
				for line := range strings.Lines(said.String()) {
					if !strings.HasPrefix(line, "gistmill: ") {
						t.Errorf("a line that is not for people, or was broken: %q", line)
					}
					for _, word := range strings.Fields(line) {
						if !shown[word] && len(word) < size.columns-2 && !strings.Contains(c.copy, word) {
							t.Errorf("%q is broken:\n%s", word, s.All())
						}
					}
				}
			})
		}
	}
}
