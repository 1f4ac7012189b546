package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// flaky is an endpoint whose behaviour a test changes. It counts calls.
type flaky struct {
	calls atomic.Int64
	mode  atomic.Value // of string: well, 503, 500, 400, 429, refused, hung
}

func (f *flaky) set(mode string) { f.mode.Store(mode) }

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.calls.Add(1)
	mode := f.mode.Load().(string)
	switch mode {
	case "refused":
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case "hung":
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch mode {
		case "well":
			reply(w, 200, goodAnswer)
		case "503":
			reply(w, 503, `{"error":{"message":"overloaded"}}`)
		case "500":
			reply(w, 500, `{"error":{"message":"oops"}}`)
		case "400":
			reply(w, 400, `{"error":{"message":"bad thing"}}`)
		case "429":
			w.Header().Set("Retry-After", "1")
			reply(w, 429, `{}`)
		}
	})}.RoundTrip(r)
}

func flakyClient(t *testing.T, mode string, cfg Config) (*flaky, *Client) {
	t.Helper()
	f := &flaky{}
	f.set(mode)
	cfg.BaseURL = "http://model.test"
	cfg.HTTPClient = &http.Client{Transport: f}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

// ask makes a call for a document and returns how it ended.
func ask(ctx context.Context, c *Client, document string) string {
	_, err := c.Complete(ctx, testRequest(document))
	var failed *Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &failed):
		return string(failed.Class) + " " + failed.Code
	}
	return err.Error()
}

// TestBreakerOpens takes an endpoint down during a run, in each way. Few documents lose an
// attempt and few calls are made until it is back. Then all documents are answered.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"refused", "503", "500", "hung"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f, c := flakyClient(t, "well", Config{Timeout: 10 * time.Second, CallWait: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if got := ask(t.Context(), c, "first"); got != "ok" {
					t.Fatal(got)
				}
				time.Sleep(time.Minute)
				f.set(mode)
				f.calls.Store(0)
				attempts, held, down := 0, 0, time.Now()
				for i := 0; time.Since(down) < 10*time.Minute; i++ {
					_, err := c.Complete(t.Context(), testRequest(fmt.Sprintf("document %d", i)))
					failed := wantError(t, err)
					switch {
					case failed.Class == Transient:
						attempts++
					case mode == "503" && failed.Class == Overloaded:
						// It costs no attempt.
					case mode == "refused" && failed.Class == Unavailable && failed.Code == codeUnreachable:
						// It was not sent, so it costs no attempt.
					case failed.Class != Unavailable || failed.Code != "circuit_open" || failed.RetryAfter <= 0 || failed.RetryAfter > breakerDelayCap:
						t.Fatalf("got %+v", failed)
					default:
						held++
					}
					time.Sleep(100 * time.Millisecond)
				}
				// 1 + 2 + … + 16 s, then every 30 s.
				calls, most := int(f.calls.Load()), breakerFailures+5+10*60/30
				if calls > most || calls < most/2 {
					t.Errorf("%d calls in ten minutes, want about %d", calls, most)
				}
				want := map[string]int{"refused": 0, "503": 0, "500": calls - 1, "hung": calls - 1}[mode]
				if attempts != want || held == 0 {
					t.Errorf("%d attempts were spent in %d calls, %d held", attempts, calls, held)
				}
				f.set("well")
				time.Sleep(breakerDelayCap)
				for i := range 10 {
					if got := ask(t.Context(), c, fmt.Sprintf("after %d", i)); got != "ok" {
						t.Fatal(got)
					}
				}
				if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "does not answer") || !strings.Contains(text, "answers again") {
					t.Errorf("log:\n%s", text)
				}
			})
		})
	}
}

// TestBreakerWaits takes an endpoint down for a moment. Calls wait, none fails, and one probe at
// a time is made.
func TestBreakerWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := flakyClient(t, "refused", Config{})
		for i := range breakerFailures {
			ask(t.Context(), c, fmt.Sprint(i))
		}
		f.calls.Store(0)
		start := time.Now()
		time.AfterFunc(10*time.Second, func() { f.set("well") })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for {
					got := ask(t.Context(), c, fmt.Sprintf("document %d", i))
					if got == "ok" {
						return
					}
					if got != "unavailable circuit_open" { // it was the probe
						t.Error(got)
						return
					}
				}
			})
		}
		all.Wait()
		// Probes after 1, 3 and 7 s are refused, the one after 15 s is answered.
		if took, calls := time.Since(start), f.calls.Load(); took != 15*time.Second || calls != 3+20 {
			t.Errorf("%d calls in %s", calls, took)
		}
	})
}

// TestBreakerStaysClosed has failures that are not outages.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, f *flaky, c *Client) (want string){
		"429s": func(t *testing.T, f *flaky, c *Client) string {
			for i := range 20 {
				f.set("429")
				ask(t.Context(), c, fmt.Sprint(i))
			}
			f.set("well")
			time.Sleep(time.Minute)
			return "ok"
		},
		"400s": func(t *testing.T, f *flaky, c *Client) string {
			f.set("400")
			for i := range 20 {
				ask(t.Context(), c, fmt.Sprint(i))
			}
			return "bad_request "
		},
		"documents that time out, among others": func(t *testing.T, f *flaky, c *Client) string {
			for i := range 20 {
				f.set("hung")
				for j := range breakerFailures - 1 {
					ask(t.Context(), c, fmt.Sprint(i, j))
				}
				f.set("well")
				ask(t.Context(), c, fmt.Sprint(i))
			}
			f.set("500")
			return "transient "
		},
		"a few documents that always fail, alone": func(t *testing.T, f *flaky, c *Client) string {
			f.set("500")
			for range 10 {
				for j := range breakerFailures - 1 {
					ask(t.Context(), c, fmt.Sprint(j))
				}
				time.Sleep(time.Minute)
			}
			f.set("well")
			return "ok"
		},
		"a busy endpoint that often fails": func(t *testing.T, f *flaky, c *Client) string {
			for i := range 20 {
				f.set("500")
				for j := range 3 * breakerFailures {
					ask(t.Context(), c, fmt.Sprint(i, j))
					time.Sleep(breakerQuiet / (3*breakerFailures + 1))
				}
				f.set("well")
				ask(t.Context(), c, fmt.Sprint(i))
			}
			return "ok"
		},
		"given up by the caller": func(t *testing.T, f *flaky, c *Client) string {
			f.set("hung")
			for i := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				ask(ctx, c, fmt.Sprint(i))
				cancel()
			}
			f.set("well")
			return "ok"
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, c := flakyClient(t, "well", Config{Timeout: 10 * time.Second, CallWait: 30 * time.Millisecond})
				ask(t.Context(), c, "first")
				want := test(t, f, c)
				if got := ask(t.Context(), c, "last"); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if err := c.Down(); err != nil {
					t.Errorf("the breaker is open: %v", err)
				}
			})
		})
	}
}

// TestProbeThatIsGivenUp: the next call is the probe then. A call that was sent before the
// breaker opened does not count as a probe.
func TestProbeThatIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := flakyClient(t, "hung", Config{Timeout: 10 * time.Second, CallWait: time.Millisecond})
		var all sync.WaitGroup
		var held, failed atomic.Int64
		for i := range 16 {
			all.Go(func() {
				// The last calls time out when the first probe is due.
				time.Sleep(time.Duration(i) * time.Second / 16)
				if got := ask(t.Context(), c, fmt.Sprint(i)); strings.Contains(got, "circuit_open") {
					held.Add(1)
				} else {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if failed.Load() != 1 || held.Load() != 15 { // it has never answered
			t.Errorf("%d failed, %d held", failed.Load(), held.Load())
		}
		time.Sleep(breakerDelay)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := ask(ctx, c, "probe"); got != context.DeadlineExceeded.Error() {
			t.Error(got)
		}
		f.set("well")
		if got := ask(t.Context(), c, "next probe"); got != "ok" {
			t.Error(got)
		}
	})
}

// goneLimiter takes the endpoint down before the second request of a call.
type goneLimiter struct{ endpoint *flaky }

func (l goneLimiter) Acquire(context.Context, Call) (Permit, error) {
	if l.endpoint.calls.Load() > 0 {
		l.endpoint.set("refused")
	}
	return unlimited{}, nil
}

// A call whose first request got a 429 was sent, although no server was there for the second one.
func TestSentBeforeTheEndpointWasGone(t *testing.T) {
	t.Parallel()
	gone := &goneLimiter{}
	f, c := flakyClient(t, "429", Config{Limiter: gone})
	gone.endpoint = f
	_, err := c.Complete(t.Context(), testRequest("text"))
	if failed := wantError(t, err); failed.Class != Unavailable || !Sent(err) {
		t.Errorf("sent %t: %v", Sent(err), err)
	}
}
