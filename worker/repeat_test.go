package worker_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// endpoint answers all calls of a bench: the first one with one body, later ones with another.
func (b *bench) endpoint(first, later string) (calls *atomic.Int64) {
	calls = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body := later
		if calls.Add(1) == 1 {
			body = first
		}
		_, _ = w.Write([]byte(body))
	}))
	b.Cleanup(srv.Close)
	c := b.config()
	c.Endpoints = b.client(srv.URL, nil)
	run := b.plan()
	b.workAs(b.workerOf(c), run)
	return calls
}

// A call that only one more call decides is repeated once, each one booked, and no attempt is used.
func TestRepeatedCalls(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"choices":[{"finish_reason":"stop","message":{"content":"{\"summary\":\"The walk was long.\"}"}}],"usage":{"prompt_tokens":10,"completion_tokens":3}}`
		blocked = `{"object":"chat.completion","usage":{"prompt_tokens":300,"completion_tokens":0}}`
		spaces  = `{"choices":[{"finish_reason":"length","message":{"content":"                                                  "}}],"usage":{"prompt_tokens":10,"completion_tokens":400}}`
	)
	for name, tt := range map[string]struct {
		first, later string
		class        string // of the dead document; "" if it is done
		in           int64
	}{
		"blocked":             {blocked, blocked, "refused", 600},
		"blocked by accident": {blocked, good, "", 310},
		"white space":         {spaces, good, "", 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(1))
			calls := b.endpoint(tt.first, tt.later)
			if calls.Load() != 2 {
				t.Errorf("%d calls", calls.Load())
			}
			runs, err := b.ledger.Runs(t.Context(), 1)
			b.ok(err)
			totals, account, err := b.ledger.Totals(t.Context(), runs[0].ID)
			b.ok(err)
			want := ledger.Totals{Total: 1, Done: 1}
			if tt.class != "" {
				want = ledger.Totals{Total: 1, Dead: 1}
			}
			for uri, how := range b.dead() {
				if !strings.HasPrefix(how, tt.class+" ") {
					t.Errorf("%s: %s", uri, how)
				}
			}
			if totals != want || account.Calls != 2 || account.TokensIn != tt.in {
				t.Errorf("totals %+v, account %+v", totals, account)
			}
		})
	}
}

// A half of the usage that an endpoint leaves out is counted.
func TestHalfOfTheUsage(t *testing.T) {
	t.Parallel()
	for usage, want := range map[string]func(ledger.Account) bool{
		`{"prompt_tokens":0,"completion_tokens":41,"total_tokens":41}`: func(a ledger.Account) bool { return a.TokensIn > 50 && a.TokensOut == 41 },
		`{"prompt_tokens":312,"completion_tokens":0}`:                  func(a ledger.Account) bool { return a.TokensIn == 312 && a.TokensOut > 3 },
		`null`: func(a ledger.Account) bool { return a.TokensIn > 50 && a.TokensOut > 3 },
	} {
		b := setUp(t, documents(1))
		answer := `{"choices":[{"finish_reason":"stop","message":{"content":"{\"summary\":\"The walk was long.\"}"}}],"usage":` + usage + `}`
		b.endpoint(answer, answer)
		runs, err := b.ledger.Runs(t.Context(), 1)
		b.ok(err)
		_, account, err := b.ledger.Totals(t.Context(), runs[0].ID)
		b.ok(err)
		if !want(account) {
			t.Errorf("%s: %+v", usage, account)
		}
	}
}
