package limiter

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// provider is an endpoint with a limit, on the clock of the bubble.
type provider struct {
	mu       sync.Mutex
	perSec   float64       // requests
	tokens   float64       // tokens a second; 0: unlimited
	capacity float64       // what a bucket holds, in seconds' worth; 0: a minute
	window   time.Duration // not 0: fixed windows
	most     int           // calls at once; 0: any
	latency  time.Duration
	spread   float64 // of the latency, as a share
	silent   bool    // says neither why nor when
	headers  bool    // announces its limits

	left, leftTokens  float64
	at                time.Time
	busy              int
	admitted, refused int
	charged           float64
	asked             []time.Time
}

func (p *provider) fill(now time.Time) {
	if p.capacity == 0 {
		p.capacity = 60
	}
	if p.at.IsZero() {
		p.left, p.leftTokens, p.at = p.perSec*p.capacity, p.tokens*p.capacity, now
		if p.window > 0 {
			p.at = now.Truncate(p.window)
			p.left, p.leftTokens = p.perSec*p.window.Seconds(), p.tokens*p.window.Seconds()
		}
		return
	}
	if p.window > 0 {
		if start := now.Truncate(p.window); start.After(p.at) {
			p.left, p.leftTokens, p.at = p.perSec*p.window.Seconds(), p.tokens*p.window.Seconds(), start
		}
		return
	}
	elapsed := now.Sub(p.at).Seconds()
	p.left = min(p.perSec*p.capacity, p.left+p.perSec*elapsed)
	p.leftTokens = min(p.tokens*p.capacity, p.leftTokens+p.tokens*elapsed)
	p.at = now
}

func (p *provider) admit(charge float64) (ok bool, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.asked = append(p.asked, now)
	p.fill(now)
	switch {
	case p.most > 0 && p.busy >= p.most:
	case p.perSec > 0 && p.left < 1, p.tokens > 0 && p.leftTokens < charge:
		wait = time.Second
		if p.window > 0 {
			wait = p.at.Add(p.window).Sub(now)
		}
	default:
		p.left--
		p.leftTokens -= charge
		p.busy++
		p.admitted++
		p.charged += charge
		return true, 0
	}
	p.refused++
	return false, wait
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body strings.Builder
	_, _ = io.Copy(&body, r.Body)
	in := body.Len() / 4
	ok, wait := p.admit(float64(in + 400))
	p.mu.Lock()
	perSec, tokens := p.perSec, p.tokens
	p.mu.Unlock()
	if p.headers && perSec > 0 {
		w.Header().Set("x-ratelimit-limit-requests", fmt.Sprintf("%.0f", perSec*60))
	}
	if p.headers && tokens > 0 {
		w.Header().Set("x-ratelimit-limit-tokens", fmt.Sprintf("%.0f", tokens*60))
	}
	if !ok {
		elapse(5 * time.Millisecond)
		what := "requests per min (RPM)"
		if tokens > 0 {
			what = "tokens per min (TPM)"
		}
		if wait == 0 {
			what = "concurrent requests"
		}
		if p.silent {
			reply(w, 429, `{"error":{"message":"Too Many Requests"}}`)
			return
		}
		if wait > 0 {
			w.Header().Set("Retry-After", fmt.Sprintf("%.0f", (wait+time.Second-1).Truncate(time.Second).Seconds()))
		}
		reply(w, 429, `{"error":{"message":"Rate limit reached on `+what+`"}}`)
		return
	}
	elapse(time.Duration(float64(p.latency) * (1 + p.spread*(2*rand.Float64()-1))))
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
	reply(w, 200, fmt.Sprintf(`{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":50}}`, in))
}

// count returns the calls that were admitted and refused, and the tokens that were charged.
func (p *provider) count() (admitted, refused int, charged float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.admitted, p.refused, p.charged
}

// load sends calls from several processes, as fast as their limiters allow, until ctx ends.
func load(ctx context.Context, t *testing.T, r *bubbleRedis, h http.Handler, processes int, limits Config, size func() int) *sync.WaitGroup {
	t.Helper()
	var wg sync.WaitGroup
	for range processes {
		limits.Redis, limits.MaxInFlight, limits.Timeout = r.dial, 16, time.Minute
		c := r.client(t, h.ServeHTTP, llm.Config{Limiter: New(limits), MaxConnections: 16, Timeout: time.Minute, CallWait: time.Hour})
		for range 16 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := c.Complete(ctx, testRequest(strings.Repeat("a word ", size()))); err != nil && ctx.Err() == nil {
						t.Errorf("call: %v", err)
						return
					}
				}
			})
		}
	}
	return &wg
}

func fixed(n int) func() int { return func() int { return n } }

// limitCase is an endpoint, the processes that call it, and the expected result.
type limitCase struct {
	name      string
	provider  func() *provider
	processes int
	limits    Config
	size      func() int
	skip, run time.Duration
	runs      int     // with a new endpoint each; the result is that of all together; 0: 1
	used      float64 // at least, of what is admissible after skip
	refused   float64 // at most, of all calls from the beginning
}

func mixed() int { return 50 + rand.N(1500) }

// TestLimits uses endpoints with known and unknown limits. It checks which share of a limit is
// used and which share of the calls is refused. TestMoreLimits covers the other kinds.
func TestLimits(t *testing.T) {
	t.Parallel()
	testLimits(t, []limitCase{
		{name: "known, eight processes", provider: func() *provider { return &provider{perSec: 20} }, processes: 8, limits: Config{RPM: 1200}, run: time.Minute, used: 0.97, refused: 0.005},
		{name: "unknown", provider: func() *provider { return &provider{perSec: 20} }, processes: 1, skip: 90 * time.Second, run: 3 * time.Minute, used: 0.9, refused: 0.02},
	})
}

func testLimits(t *testing.T, cases []limitCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.skip == 0 {
				tc.skip = 20 * time.Second
			}
			if tc.run == 0 {
				tc.run = 2 * time.Minute
			}
			if tc.size == nil {
				tc.size = fixed(200)
			}
			var used float64
			var admitted, refused int
			tc.runs = max(1, tc.runs)
			for range tc.runs {
				inBubble(t, func(t *testing.T, r *bubbleRedis) {
					u, a, n := tc.measure(t, r)
					used, admitted, refused = used+u/float64(tc.runs), admitted+a, refused+n
				})
			}
			share := float64(refused) / float64(admitted+refused)
			t.Logf("used %.1f %%, refused %.2f %% (%d of %d)", 100*used, 100*share, refused, admitted+refused)
			if used < tc.used || share > tc.refused {
				t.Errorf("want at least %.1f %% used and at most %.1f %% refused", 100*tc.used, 100*tc.refused)
			}
		})
	}
}

// measure loads a new endpoint of the case once. It returns which share of the limit was used after
// skip, and how many calls the endpoint admitted and refused from the beginning.
func (c limitCase) measure(t *testing.T, r *bubbleRedis) (used float64, admitted, refused int) {
	t.Helper()
	p := c.provider()
	p.latency, p.spread = 300*time.Millisecond, 0.3
	ctx, cancel := context.WithTimeout(t.Context(), c.run)
	defer cancel()
	wg := load(ctx, t, r, p, c.processes, c.limits, c.size)
	elapse(c.skip)
	before, _, chargedBefore := p.count()
	<-ctx.Done()
	wg.Wait()
	admitted, refused, charged := p.count()
	seconds := (c.run - c.skip).Seconds()
	switch {
	case p.tokens > 0:
		used = (charged - chargedBefore) / (p.tokens * seconds)
	case p.most > 0:
		used = float64(admitted-before) / (float64(p.most) / p.latency.Seconds() * seconds)
	default:
		used = float64(admitted-before) / (p.perSec * seconds)
	}
	return used, admitted, refused
}

// changeCase is a limit that changes during a run.
type changeCase struct {
	name   string
	set    int
	change float64 // of the provider's limit
	want   float64 // calls a second afterwards, within a minute
	header bool
}

// TestLimitChanges halves a limit, so that the limit that was set is too high.
func TestLimitChanges(t *testing.T) {
	t.Parallel()
	testChanges(t, []changeCase{
		{"halved, set", 1200, 0.5, 10, false},
	})
}

func testChanges(t *testing.T, cases []changeCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *bubbleRedis) {
				// The bucket holds two seconds' worth, so that a change shows soon.
				p := &provider{perSec: 20, capacity: 2, latency: 300 * time.Millisecond, spread: 0.3, headers: tc.header}
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
				defer cancel()
				wg := load(ctx, t, r, p, 2, Config{RPM: tc.set}, fixed(200))
				elapse(100 * time.Second)
				p.mu.Lock()
				p.perSec *= tc.change
				p.mu.Unlock()
				changed, refusedBefore, _ := p.count()
				elapse(time.Minute)
				before, _, _ := p.count()
				<-ctx.Done()
				wg.Wait()
				admitted, refused, _ := p.count()
				rate := float64(admitted-before) / 80
				share := float64(refused-refusedBefore) / float64(admitted-changed+refused-refusedBefore)
				t.Logf("%.1f a second a minute later, %.2f %% refused since the change", rate, 100*share)
				if rate < 0.9*tc.want || rate > 1.02*tc.want || share > 0.01 {
					t.Errorf("want %.0f a second and at most 1 %% refused", tc.want)
				}
			})
		})
	}
}

// TestFlushedStateStartsEmpty flushes Redis during a run: the limit is kept.
func TestFlushedStateStartsEmpty(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		p := &provider{latency: 300 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wg := load(ctx, t, r, p, 4, Config{RPM: 1200}, fixed(200))
		for range 5 {
			elapse(10 * time.Second)
			r.server.FlushAll()
		}
		<-ctx.Done()
		wg.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		for from, to := 0, 0; to < len(p.asked); to++ {
			for p.asked[to].Sub(p.asked[from]) > 10*time.Second {
				from++
			}
			if n := to - from + 1; n > 205 {
				t.Fatalf("%d calls within ten seconds, 200 are allowed", n)
			}
		}
		if len(p.asked) < 1100 {
			t.Errorf("%d calls in a minute, want about 1200", len(p.asked))
		}
	})
}

// TestSmallestLimitHolds: if processes set different limits, the smallest one applies while its
// process makes calls.
func TestSmallestLimitHolds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		p := &provider{latency: 100 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		small, leave := context.WithTimeout(ctx, time.Minute)
		defer leave()
		strict := load(small, t, r, p, 1, Config{RPM: 300}, fixed(20))
		lax := load(ctx, t, r, p, 1, Config{RPM: 1200}, fixed(20))
		<-small.Done()
		strict.Wait()
		if n, _, _ := p.count(); n > 310 {
			t.Errorf("%d calls in the first minute, want at most 300", n)
		}
		elapse(3 * time.Minute)
		before, _, _ := p.count()
		<-ctx.Done()
		lax.Wait()
		if n, _, _ := p.count(); n-before < 1100 {
			t.Errorf("%d calls in the last minute, want about 1200", n-before)
		}
	})
}

// TestLostCallsFreeTheirSlots: calls of a killed process count as in flight until they are lost.
func TestLostCallsFreeTheirSlots(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		limits := Config{Redis: r.dial, MaxInFlight: 8, Timeout: 20 * time.Second, RPM: 6000}
		call := llm.Call{Model: "m", InputTokens: func() int { return 1 }, CallWait: time.Minute}
		dead := New(limits)
		for range 4 {
			if _, err := dead.Acquire(t.Context(), call); err != nil {
				t.Fatal(err)
			}
		}
		// The endpoint takes four calls at a time and refuses the fifth.
		alive := New(limits)
		p, err := alive.Acquire(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, Message: "too many concurrent requests"}})
		start := time.Now()
		p, err = alive.Acquire(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(llm.Outcome{})
		if took := time.Since(start); took < 15*time.Second || took > 2*limits.Timeout {
			t.Errorf("a place was free after %s, want within two timeouts", took)
		}
	})
}

func TestRequestBeyondTheLimit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, MaxInFlight: 1, Timeout: time.Minute, TPM: 1000})
		_, err := l.Acquire(t.Context(), llm.Call{Model: "m", InputTokens: func() int { return 700 }, OutputTokens: 400, CallWait: time.Minute})
		if failed := wantError(t, err); failed.Class != llm.ContextLength || failed.Code != "exceeds_limit" {
			t.Errorf("got %+v", failed)
		}
		if _, err := l.Acquire(t.Context(), llm.Call{Model: "m", InputTokens: func() int { return 500 }, OutputTokens: 400, CallWait: time.Minute}); err != nil {
			t.Errorf("the next one does not get its place: %v", err)
		}
	})
}

// TestLongWaitIsRefused: a call that would wait longer than it may gets the wait in an error, and
// takes no ticket.
func TestLongWaitIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, MaxInFlight: 100, Timeout: time.Minute, RPM: 6})
		call := llm.Call{Model: "m", InputTokens: func() int { return 1 }, CallWait: time.Minute}
		var wg sync.WaitGroup
		var early, started atomic.Int64
		for range 20 {
			wg.Go(func() {
				_, err := l.Acquire(t.Context(), call)
				if err == nil {
					started.Add(1)
					return
				}
				if failed := wantError(t, err); failed.Class != llm.RateLimited || failed.RetryAfter < time.Minute {
					t.Errorf("got %+v", failed)
				}
				early.Add(1)
			})
		}
		wg.Wait()
		if started.Load() < 5 || started.Load() > 6 || early.Load()+started.Load() != 20 {
			t.Errorf("%d started, %d handed back", started.Load(), early.Load())
		}
	})
}

// TestNoLimitNoRedis: while no limit is known, a process looks into Redis once a second,
// registers the limiter every ten seconds, and counts no tokens.
func TestNoLimitNoRedis(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, MaxInFlight: 4, Timeout: time.Minute})
		call := llm.Call{Model: "m", InputTokens: func() int { t.Error("tokens were counted"); return 0 }, CallWait: time.Minute}
		ask := func() {
			p, err := l.Acquire(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			elapse(2 * time.Millisecond)
			p.Done(llm.Outcome{Usage: llm.Usage{In: 1, Out: 1}})
		}
		ask() // is noted
		before := r.server.CommandCount()
		for range 1000 {
			ask()
		}
		if n := r.server.CommandCount() - before; n > 5 {
			t.Errorf("%d commands in two seconds", n)
		}
	})
}

// TestOthersLearnOfALimit: a process that was never refused learns a limit from the others.
func TestOthersLearnOfALimit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		limits := Config{Redis: r.dial, MaxInFlight: 4, Timeout: time.Minute}
		call := llm.Call{Model: "m", InputTokens: func() int { return 1 }, CallWait: time.Minute}
		a, b := New(limits), New(limits)
		for _, l := range []*Shared{a, b} {
			p, err := l.Acquire(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(llm.Outcome{})
		}
		p, err := a.Acquire(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, RetryAfter: 30 * time.Second}})
		elapse(checkEvery)
		start := time.Now()
		if p, err = b.Acquire(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		p.Done(llm.Outcome{})
		if waited := time.Since(start); waited < 28*time.Second || waited > 35*time.Second {
			t.Errorf("waited %s, want the rest of the pause", waited)
		}
	})
}

func TestLimitNamed(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000":                                           "tokens",
		"Rate limit reached for gpt-4o on requests per min (RPM): Limit 3":                                             "requests",
		"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current pricing tier": "tokens",
		"Too many concurrent requests.":                                     "concurrency",
		"server busy, please try again.  maximum pending requests exceeded": "concurrency",
		"slow down": "",
	} {
		if got := limitNamed(&llm.Error{Class: llm.RateLimited, Message: message}); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

// TestRefusingEverythingTeachesNoRate uses an endpoint that refuses everything for a while. Calls
// that were in flight at the first refusal are answered later. That few calls were admitted then
// teaches nothing about the rate afterwards.
func TestRefusingEverythingTeachesNoRate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, MaxInFlight: 16, Timeout: time.Minute})
		acquire := func() llm.Permit {
			t.Helper()
			p, err := l.Acquire(t.Context(), llm.Call{Model: testRequest("").Model, InputTokens: func() int { return 1 }, CallWait: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		answered := llm.Outcome{Usage: llm.Usage{In: 1, Out: 1}}
		refused := llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, Message: "Rate limit reached on requests per min (RPM)"}}
		admit := func(n int) {
			for range n {
				p := acquire()
				elapse(100 * time.Millisecond)
				p.Done(answered)
			}
		}
		admit(30)
		acquire().Done(refused)
		admit(60)
		stragglers := []llm.Permit{acquire(), acquire()}
		acquire().Done(refused)
		for _, p := range stragglers {
			p.Done(answered)
		}
		for range 20 {
			elapse(15 * time.Second)
			acquire().Done(refused)
		}
		elapse(time.Minute)
		p := &provider{latency: 100 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		load(ctx, t, r, p, 1, Config{}, fixed(20)).Wait()
		if n, _, _ := p.count(); n < 200 {
			t.Errorf("%d calls in the first 30 s after the door was opened", n)
		}
	})
}
