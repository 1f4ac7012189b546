//go:build integration

package acceptance

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// second is another endpoint. It records the keys that it receives.
type second struct {
	fake *fakellm.Server
	url  string
	mu   sync.Mutex
	keys map[string]int
}

func newSecond(t *testing.T, change func(*fakellm.Config)) *second {
	t.Helper()
	s := &second{keys: map[string]int{}}
	s.fake, s.url = newEndpoint(t, change, func(fake *fakellm.Server) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			s.keys[r.Header.Get("Authorization")]++
			s.mu.Unlock()
			fake.ServeHTTP(w, r)
		})
	})
	return s
}

func (s *second) paid() int64 { return s.fake.Stats().Completed }

// host is the name of an endpoint in the ledger.
func host(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/v1") }

// shownBy returns the model and endpoint that `show` prints for a document.
func (u *user) shownBy(uri string) (by struct{ Model, Endpoint string }) {
	u.t.Helper()
	var d struct {
		AnsweredBy *struct{ Model, Endpoint string } `json:"answered_by"`
	}
	u.run("show", uri, "-o", "json").WantCode(0).Decode(&d)
	if d.AnsweredBy == nil {
		u.t.Fatalf("%s: show does not say who answered", uri)
	}
	return *d.AnsweredBy
}

// exportedBy counts the lines of an export by endpoint.
func (u *user) exportedBy() map[string]int {
	u.t.Helper()
	lines := u.run("export", "-").WantCode(0).Stdout
	by := map[string]int{}
	for line := range strings.Lines(lines) {
		_, rest, ok := strings.Cut(line, `"endpoint":"`)
		if !ok {
			u.t.Fatalf("no endpoint in %s", line)
		}
		name, _, _ := strings.Cut(rest, `"`)
		by[name]++
	}
	return by
}

// The first endpoint is down in different ways. The second does the work at its own price, and
// no document is lost.
func TestFallbackWhenDown(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*fakellm.Config){
		"503":     func(c *fakellm.Config) { c.Down = true },
		"hung":    func(c *fakellm.Config) { c.RateHang = 1 },
		"key":     func(c *fakellm.Config) { c.Keys = []string{"another"} },
		"credit":  func(c *fakellm.Config) { c.NoCredit = true },
		"model":   func(c *fakellm.Config) { c.Models = []string{"another"} },
		"refuses": func(c *fakellm.Config) { c.RefuseMarker = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, down)
			other := newSecond(t, nil)
			const n = 40
			u.notes(0, n)
			if name == "refuses" {
				u.set(func(c *fakellm.Config) { c.RefuseMarker = "e" })
			}
			u.env = []string{"GISTMILL_API_KEY=key-of-the-first"}
			u.summarize("--fallbacks", "gpt-4.1@"+other.url, "--request-timeout", "1s", "--retry-base", "50ms").Wait().WantCode(0)
			s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
			if u.fake.Stats().Completed != 0 && name != "refuses" || other.paid() != n {
				t.Errorf("the first answered %d calls, the second %d", u.paid(), other.paid())
			}
			if by := u.shownBy(noteName(3)); by.Model != "gpt-4.1" || by.Endpoint != host(other.url) {
				t.Errorf("answered by %+v", by)
			}
			if by := u.exportedBy(); by[host(other.url)] != n {
				t.Errorf("exported: %v", by)
			}
			// The cost is that of gpt-4.1, plus what the first endpoint may have charged for calls that
			// it did not answer.
			stats := other.fake.Stats()
			if least := float64(stats.TokensIn)*2e-6 + float64(stats.TokensOut)*8e-6; s.CostUSD == nil || *s.CostUSD < least*0.999999 || *s.CostUSD > least*1.2 {
				t.Errorf("cost %s, want %g", toJSON(s.CostUSD), least)
			}
			if len(other.keys) != 1 || other.keys[""] == 0 {
				t.Errorf("the second endpoint received keys: %v", other.keys)
			}
			// The summary has the first model's name: nothing is paid for again, whichever endpoint is
			// up.
			u.summarize().Wait().WantCode(0)
			u.wantTotals("finished", programtest.Totals{Total: n, Skipped: n})
		})
	}
}

// The first endpoint comes back in mid-run and does the rest.
func TestFallbackAndBack(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Down = true; latency("50ms")(c) })
	other := newSecond(t, latency("50ms"))
	const n = 400
	u.notes(0, n)
	p := u.summarize("--fallbacks", other.url, "--concurrency", "4")
	p.Until("the second answers", func() bool { return other.paid() >= 20 })
	u.set(func(c *fakellm.Config) { c.Down = false })
	p.Until("the first answers", func() bool { return u.paid() > 0 })
	paid := other.paid()
	p.Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	if late := other.paid() - paid; late > 4 {
		t.Errorf("the second answered %d calls after the first was back", late)
	}
	if by := u.exportedBy(); by[host(u.url)] != int(u.paid()) || by[host(other.url)] != int(other.paid()) || len(by) != 2 {
		t.Errorf("exported: %v, paid: %d and %d", by, u.paid(), other.paid())
	}
}

// Documents that the first endpoint refuses go to the second. Only documents that both refuse
// are dead.
func TestFallbackForRefusals(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	other := newSecond(t, func(c *fakellm.Config) { c.RefuseMarker = "BOTH"; c.FilterMarker = "" })
	const n = 10
	u.notes(0, n)
	u.write("one.txt", []byte("A text about tides. FAKELLM-REFUSE it, please."))
	u.write("two.txt", []byte("A text about moons. FAKELLM-FILTER it, please."))
	u.write("three.txt", []byte("A text about stars. FAKELLM-REFUSE it, BOTH of you."))
	u.summarize("--fallbacks", other.url).Wait().WantCode(3)
	u.wantTotals("finished", programtest.Totals{Total: n + 3, Done: n + 2, Dead: 1})
	dead := u.dead()
	if d := dead["three.txt"]; d.Class != "refused" || d.Attempts != 1 {
		t.Errorf("dead: %+v", dead)
	}
	for _, uri := range []string{"one.txt", "two.txt"} {
		if by := u.shownBy(uri); by.Endpoint != host(other.url) {
			t.Errorf("%s was answered by %+v", uri, by)
		}
	}
	if by := u.shownBy(noteName(0)); by.Endpoint != host(u.url) {
		t.Errorf("answered by %+v", by)
	}
}

// A rate limit is waited for: nothing goes to the second endpoint.
func TestFallbackNotForRateLimits(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Rate429, c.RetryAfter, c.Wait429 = 0.3, "ms", fakellm.Duration(20e6) })
	other := newSecond(t, nil)
	const n = 30
	u.notes(0, n)
	u.summarize("--fallbacks", other.url).Wait().WantCode(0)
	if u.paid() != n || other.fake.Stats().Calls != 0 {
		t.Errorf("the first answered %d, the second was called %d times", u.paid(), other.fake.Stats().Calls)
	}
}

// Each key goes only to its own endpoint, and no key is printed.
func TestFallbackKeys(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Down = true; c.Keys = []string{"key-of-the-first"} })
	keyless := newSecond(t, func(c *fakellm.Config) { c.Down = true })
	keyed := newSecond(t, func(c *fakellm.Config) { c.Keys = []string{"key-of-the-third"} })
	const n = 5
	u.notes(0, n)
	u.env = []string{"OPENAI_API_KEY=key-of-the-first", "GISTMILL_FALLBACK_API_KEYS=, key-of-the-third", "GISTMILL_FALLBACKS=" + keyless.url + "," + keyed.url}
	r := u.summarize("--log-level", "debug", "--retry-base", "10ms", "--max-attempts", "20").Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	if len(keyless.keys) != 1 || keyless.keys[""] == 0 || len(keyed.keys) != 1 || keyed.keys["Bearer key-of-the-third"] == 0 {
		t.Errorf("keys received: %v and %v", keyless.keys, keyed.keys)
	}
	config := u.run("config").WantCode(0)
	for _, text := range []string{r.Stdout, r.Stderr, config.Stdout, config.Stderr, u.run("config", "-o", "json").WantCode(0).Stdout} {
		if strings.Contains(text, "key-of") {
			t.Errorf("a key is printed:\n%s", text)
		}
	}
	u.run("run", "docs", "--fallbacks", "gpt-4o").WantCode(2).Says("GISTMILL_FALLBACK_API_KEYS", "2 keys for 1 fallbacks")
	u.run("run", "docs", "--fallbacks", "unpriced,gpt-4o", "--budget-usd", "1").WantCode(2).Says("unpriced", "--prices")
}

// When all endpoints are halted the run stops, and reports the reason of each.
func TestFallbackAllHalted(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Keys = []string{"right"} })
	other := newSecond(t, func(c *fakellm.Config) { c.NoCredit = true })
	u.notes(0, 20)
	u.env = []string{"OPENAI_API_KEY=wrong"}
	u.summarize("--fallbacks", other.url).Wait().WantCode(1).Says("OPENAI_API_KEY", "no credit", host(other.url))
	u.wantTotals("stopped:halted", programtest.Totals{Total: 20, Remaining: 20})
	u.env = []string{"OPENAI_API_KEY=right"}
	u.summarize("--fallbacks", other.url).Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: 20, Done: 20})
}
