package llm

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOverload(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		class  Class
		after  time.Duration
	}{
		"nginx limit_req": {503, "<html><head><title>503 Service Temporarily Unavailable</title></head><body><center>nginx</center></body></html>", Overloaded, 0},
		"Anthropic":       {529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, Overloaded, 0},
		"in a 200":        {200, `{"error":{"type":"overloaded_error","message":"Overloaded"}}`, Overloaded, 0},
		"in a 500":        {500, `{"error":{"message":"The server is busy, please try again later","type":"server_error"}}`, Overloaded, 0},
		"Gemini":          {503, `[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]`, Overloaded, 0},
		"llama.cpp":       {503, `{"error":{"message":"Loading model","type":"unavailable_error","code":503}}`, Overloaded, 0},
		"Hugging Face":    {503, `{"error":"Model x is currently loading","estimated_time":20.5}`, Overloaded, 20500 * time.Millisecond},
		"origin is down":  {522, "<html>error 522</html>", Overloaded, 0},
		"another 500":     {500, `{"error":{"message":"Failed to parse input at pos 0","type":"server_error"}}`, Transient, 0},
		"bad gateway":     {502, "<html><title>502 Bad Gateway</title></html>", Transient, 0},
		"its own limit":   {429, `{"error":{"message":"The model is overloaded"}}`, RateLimited, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := New(Config{BaseURL: "http://model.test", HTTPClient: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(test.body, "<") {
					w.Header().Set("Content-Type", "text/html")
				}
				reply(w, test.status, test.body)
			})}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Complete(t.Context(), testRequest("text"))
			if failed := wantError(t, err); failed.Class != test.class || failed.RetryAfter != test.after {
				t.Errorf("got %s after %s: %v", failed.Class, failed.RetryAfter, failed)
			}
		})
	}
}

// An endpoint that gives no answer for MaxWait is given up, in each way. An answer
// begins a new wait.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"refused", "503", "500", "429", "hung"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, c := flakyClient(t, "well", Config{Timeout: 10 * time.Second, CallWait: time.Millisecond, MaxWait: 20 * time.Minute})
				begun := time.Now()
				for time.Since(begun) < 30*time.Minute { // an answer each ten minutes
					f.set(mode)
					for range 9 {
						if got := ask(t.Context(), c, "text"); strings.Contains(got, CodeSilent) {
							t.Fatalf("given up after %s: %s", time.Since(begun), got)
						}
						time.Sleep(time.Minute)
					}
					f.set("well")
					time.Sleep(time.Minute)
					if got := ask(t.Context(), c, "text"); got != "ok" {
						t.Fatal(got)
					}
				}
				f.set(mode)
				begun = time.Now()
				for !strings.Contains(ask(t.Context(), c, "text"), CodeSilent) {
					if time.Since(begun) > 25*time.Minute {
						t.Fatal("not given up")
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(begun); took < 19*time.Minute {
					t.Errorf("given up after %s", took)
				}
			})
		})
	}
}

// A client that learns of an outage makes one call, and gives up with it.
func TestSuspect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := flakyClient(t, "503", Config{Timeout: 10 * time.Second, CallWait: time.Millisecond})
		c.Suspect(time.Now().Add(-2*time.Hour), "503")
		if got := ask(t.Context(), c, "text"); got != "unavailable "+CodeSilent || f.calls.Load() != 1 {
			t.Errorf("%s after %d calls", got, f.calls.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f, c := flakyClient(t, "well", Config{Timeout: 10 * time.Second})
		c.Suspect(time.Now().Add(-2*time.Hour), "503")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if got := ask(t.Context(), c, "text"); got != "ok" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		if f.calls.Load() != 8 {
			t.Errorf("%d calls", f.calls.Load())
		}
	})
}

// An endpoint that has never answered in time gets one call at a time, each with twice the time.
func TestFirstTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls, together, most int
		var mu sync.Mutex
		loads := roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			calls++
			together++
			first := calls <= 4
			if !first {
				most = max(most, together)
			}
			mu.Unlock()
			defer func() { mu.Lock(); together--; mu.Unlock() }()
			select {
			case <-time.After(25 * time.Second):
				return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, goodAnswer) })}.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		c, err := New(Config{BaseURL: "http://model.test", HTTPClient: &http.Client{Transport: loads}, Timeout: 10 * time.Second, CallWait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if got := ask(t.Context(), c, string(rune('a'+i))); got == "ok" {
					t.Error("answered too early")
				}
			})
		}
		all.Wait()
		for _, want := range []string{"transient timeout", "ok"} { // after 20 s, and after 25 of 40 s
			if got := ask(t.Context(), c, "next"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if most != 1 {
			t.Errorf("%d calls at a time", most)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A timeout among calls that are answered is that of the endpoint's queue.
func TestTimeoutInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slot := make(chan struct{}, 1)
		serial := roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case slot <- struct{}{}:
				defer func() { <-slot }()
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			time.Sleep(4 * time.Second)
			return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, goodAnswer) })}.RoundTrip(r)
		})
		c, err := New(Config{BaseURL: "http://model.test", HTTPClient: &http.Client{Transport: serial}, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		ended := map[string]int{}
		for i := range 5 {
			all.Go(func() {
				_, err := c.Complete(t.Context(), testRequest(string(rune('a'+i))))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					ended["ok"]++
					return
				}
				failed := wantError(t, err)
				if failed.Class != Overloaded || failed.Code != codeTimeout || !strings.Contains(failed.Message, "--concurrency") || !strings.Contains(failed.Message, "--request-timeout") || !failed.MayBeBilled {
					t.Errorf("got %+v", failed)
				}
				ended["queue"]++
			})
		}
		all.Wait()
		if ended["ok"] < 2 || ended["queue"] == 0 || ended["ok"]+ended["queue"] != 5 {
			t.Errorf("%v", ended)
		}
	})
}

// A context error of a prompt that is not larger than one that was answered is one of contention.
func TestContextIsContended(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	n := 0
	two := make(chan struct{})
	h := roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		n++
		at := n
		mu.Unlock()
		answer, status := strings.Replace(goodAnswer, `"prompt_tokens":`, `"prompt_tokens":9`, 1), 200
		if at > 1 {
			if at == 3 {
				close(two)
			}
			<-two
			answer, status = `{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}`, 500
		}
		return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, status, answer) })}.RoundTrip(r)
	})
	c, err := New(Config{BaseURL: "http://model.test", HTTPClient: &http.Client{Transport: h}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), testRequest("first")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			_, err := c.Complete(t.Context(), testRequest("again"))
			failed := wantError(t, err)
			mu.Lock()
			defer mu.Unlock()
			if failed.Class != Overloaded || !strings.Contains(failed.Message, "Context size has been exceeded") {
				t.Errorf("got %v: %v", failed.Class, failed)
			}
		})
	}
	all.Wait()
	_, err = c.Complete(t.Context(), testRequest("alone"))
	if failed := wantError(t, err); failed.Class != ContextLength {
		t.Errorf("alone: got %v", failed)
	}
}
