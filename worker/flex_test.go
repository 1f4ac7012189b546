package worker_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// flexEndpoint refuses some flex calls for want of capacity and answers others at the standard
// tier. It keeps account of what it bills, in USD.
type flexEndpoint struct {
	refuses, standard float64 // shares of the calls
	prices            *llm.Prices

	mu                         sync.Mutex
	random                     *rand.Rand
	refused, answered, atOther int
	billed                     float64
	asked                      map[string]int // calls by service_tier
}

func (f *flexEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Model string `json:"model"`
		Tier  string `json:"service_tier"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[body.Tier]++
	drawn := f.random.Float64()
	if drawn < f.refuses && body.Tier == "flex" {
		f.refused++
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":{"message":"Resource Unavailable","type":"invalid_request_error","code":"resource_unavailable"}}`)
		return
	}
	tier, name := llm.TierFlex, "flex"
	if drawn < f.refuses+f.standard || body.Tier != "flex" {
		tier, name = llm.TierStandard, "default"
		f.atOther++
	}
	f.answered++
	usage := llm.Usage{In: 1000 + f.random.IntN(1000), Out: 50 + f.random.IntN(50)}
	usage.CachedIn = f.random.IntN(usage.In)
	usd, _ := f.prices.Cost(body.Model, tier, usage)
	f.billed += usd
	fmt.Fprintf(w, `{"model":"m","service_tier":%q,"choices":[{"finish_reason":"stop","message":{"content":"{\"summary\":\"Short.\"}"}}],
		"usage":{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}`, name, usage.In, usage.Out, usage.CachedIn)
}

// The endpoint refuses 30 % of the flex calls for want of capacity, and answers 10 % at the
// standard tier. The cost booked is the endpoint's account, no attempt is used, and no call asks
// for another tier.
func TestFlexCostsWhatTheEndpointBills(t *testing.T) {
	t.Parallel()
	const n = 100
	b := setUp(t, documents(n))
	b.name, b.flex, b.retry.MaxAttempts = "gpt-5-mini", true, 1
	b.dayCap = new(int64)
	*b.dayCap = 1e9
	prices, err := llm.NewPrices(nil)
	b.ok(err)
	fake := &flexEndpoint{refuses: 0.3, standard: 0.1, prices: prices, random: rand.New(rand.NewPCG(1, 2))}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	c := b.config()
	c.Endpoints = b.client(server.URL, nil)
	run := b.workAs(b.workerOf(c), b.plan())
	b.totals(run, ledger.Totals{Total: n, Done: n})
	_, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if math.Abs(float64(account.CostNano)/1e9-fake.billed) > n*1e-9 || !account.CostKnown {
		t.Errorf("booked %d nano-USD, the endpoint billed %g USD", account.CostNano, fake.billed)
	}
	if account.Calls != int64(fake.answered) || account.StandardCalls != int64(fake.atOther) || fake.atOther == 0 || fake.refused < n/5 {
		t.Errorf("booked %d calls, %d at the standard tier; the endpoint answered %d, %d at the standard tier, and refused %d",
			account.Calls, account.StandardCalls, fake.answered, fake.atOther, fake.refused)
	}
	if len(fake.asked) != 1 || fake.asked["flex"] == 0 {
		t.Errorf("asked for %v", fake.asked)
	}
	today, err := b.ledger.Today(t.Context())
	b.ok(err)
	if today.CostNano != account.CostNano {
		t.Errorf("the day has %d, the run %d", today.CostNano, account.CostNano)
	}
}

// A document whose call was refused for want of capacity is given back, and loses no attempt. The
// worker says in the ledger what it waits for.
func TestCapacityUsesNoAttempt(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(1))
	b.name, b.flex, b.retry.MaxAttempts = "gpt-5-mini", true, 1
	refusals := 0
	var tiers []llm.Tier
	b.model.request = func(r llm.Request) (llm.Response, error) {
		tiers = append(tiers, r.Tier)
		if refusals++; refusals < 3 {
			return llm.Response{}, &llm.Error{Class: llm.Capacity, Status: 429, Endpoint: "model.test", RetryAfter: 1}
		}
		answer := good()
		answer.Tier = llm.TierFlex
		return answer, nil
	}
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 1, Done: 1})
	if fmt.Sprint(tiers) != "[flex flex flex]" {
		t.Errorf("asked for %v", tiers)
	}
}

// A tier without a known price costs an unknown amount, and its reservation counts in the budget.
func TestUnpricedTierKeepsItsReservation(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(3))
	b.name = "gpt-5-mini"
	b.budget = new(int64)
	*b.budget = 1e9
	b.model.request = func(llm.Request) (llm.Response, error) {
		answer := good()
		answer.Tier = llm.TierPriority
		return answer, nil
	}
	run := b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 3, Done: 3})
	_, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if account.CostKnown || account.CostNano != 0 {
		t.Errorf("cost %d, known %t", account.CostNano, account.CostKnown)
	}
}

// A run with a budget in USD is refused if the tier has no known price.
func TestBudgetNeedsThePriceOfTheTier(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(1))
	b.flex = true // gpt-4o-mini has no flex tier
	b.budget = new(int64)
	*b.budget = 1e9
	run := b.work(b.plan())
	if run.State != ledger.Stopped || run.Reason != ledger.Halted || b.model.total() != 0 {
		t.Fatalf("run is %s (%s) after %d calls: %s", run.State, run.Reason, b.model.total(), run.Message)
	}
	if want := "gpt-4o-mini at the flex tier"; !strings.Contains(run.Message, want) {
		t.Errorf("%q does not say %q", run.Message, want)
	}
}
