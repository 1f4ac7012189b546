package llm

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReportedCost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		usage, header string
		usd           float64
		ok            bool
	}{
		"OpenRouter":              {usage: `{"prompt_tokens":194,"completion_tokens":2,"cost":0.00095,"is_byok":false,"cost_details":{"upstream_inference_cost":0.00095}}`, usd: 0.00095, ok: true},
		"OpenRouter, free":        {usage: `{"prompt_tokens":194,"cost":0}`, ok: true},
		"OpenRouter, own key":     {usage: `{"cost":0.0005,"is_byok":true,"cost_details":{"upstream_inference_cost":0.01}}`, usd: 0.0105, ok: true},
		"own key without details": {usage: `{"cost":0.0005,"is_byok":true,"cost_details":null}`, usd: 0.0005, ok: true},
		"xAI":                     {usage: `{"prompt_tokens":1,"cost_in_usd_ticks":37756000}`, usd: 0.0037756, ok: true},
		"Perplexity":              {usage: `{"cost":{"input_tokens_cost":0.001,"output_tokens_cost":0.002,"request_cost":0.005,"total_cost":0.008}}`, usd: 0.008, ok: true},
		"DeepInfra":               {usage: `{"prompt_tokens":15,"estimated_cost":3.2e-7}`, usd: 3.2e-7, ok: true},
		"a gateway's text":        {usage: `{"cost":"0.0012"}`, usd: 0.0012, ok: true},
		"LiteLLM":                 {usage: `{"prompt_tokens":1}`, header: "0.00042", usd: 0.00042, ok: true},
		"LiteLLM without a price": {usage: `{"prompt_tokens":1}`, header: "None"},
		"the body comes first":    {usage: `{"cost":0.5}`, header: "0.1", usd: 0.5, ok: true},
		"null":                    {usage: `{"cost":null,"estimated_cost":null}`},
		"negative":                {usage: `{"cost":-1}`},
		"words":                   {usage: `{"cost":"n/a"}`},
		"not a number":            {usage: `{"cost":"NaN"}`},
		"an empty object":         {usage: `{"cost":{}}`},
		"a list":                  {usage: `{"cost":[1]}`},
		"none":                    {usage: `{"prompt_tokens":1,"completion_tokens":2}`},
		"no usage":                {usage: `null`},
	} {
		header := http.Header{}
		if tt.header != "" {
			header.Set("X-Litellm-Response-Cost", tt.header)
		}
		usd, ok := reportedCost([]byte(`{"choices":[],"usage":`+tt.usage+`}`), header)
		if ok != tt.ok || math.Abs(usd-tt.usd) > 1e-12 {
			t.Errorf("%s: %v, %t; want %v, %t", name, usd, ok, tt.usd, tt.ok)
		}
	}
}

func TestBilled(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reported float64
		none     bool
		table    float64
		known    bool
		want     float64
		wanted   bool
	}{
		"unknown price":                 {reported: 0.002, want: 0.002, wanted: true},
		"free, unknown price":           {want: 0, wanted: true},
		"known price":                   {reported: 0.002, table: 0.003, known: true, want: 0.002, wanted: true},
		"dearer than the table":         {reported: 0.02, table: 0.003, known: true, want: 0.02, wanted: true},
		"0 beside a price":              {table: 0.003, known: true, want: 0.003, wanted: true},
		"cents, or another unit":        {reported: 2, table: 0.003, known: true, want: 0.003, wanted: true},
		"thousands, or another unit":    {reported: 0.00001, table: 0.003, known: true, want: 0.003, wanted: true},
		"too much for one call":         {reported: 20000},
		"nothing reported":              {none: true, table: 0.003, known: true, want: 0.003, wanted: true},
		"nothing reported, no price":    {none: true},
		"a free model with a free cost": {table: 0, known: true, want: 0, wanted: true},
	} {
		got, ok := Usage{In: 1, CostUSD: tt.reported, CostReported: !tt.none}.Billed(tt.table, tt.known)
		if got != tt.want || ok != tt.wanted {
			t.Errorf("%s: %v, %t", name, got, ok)
		}
	}
	reported, plain := Usage{In: 1, CostUSD: 1, CostReported: true}, Usage{In: 2}
	for _, tt := range []struct {
		a, b Usage
		want bool
	}{{reported, reported, true}, {reported, Usage{}, true}, {Usage{}, reported, true}, {reported, plain, false}, {plain, reported, false}, {Usage{}, Usage{}, false}} {
		if got := tt.a.Add(tt.b); got.CostReported != tt.want || got.In != tt.a.In+tt.b.In || got.CostReported && got.CostUSD != tt.a.CostUSD+tt.b.CostUSD {
			t.Errorf("%+v + %+v: %+v", tt.a, tt.b, got)
		}
	}
}

func TestAnswerHasReportedCost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"an answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"cost":0.25}}`)
	}))
	defer srv.Close()
	c, err := New(Config{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Complete(t.Context(), testRequest("text"))
	if want := (Usage{In: 3, Out: 2, CostUSD: 0.25, CostReported: true}); err != nil || got.Usage != want {
		t.Errorf("%+v, %v", got.Usage, err)
	}
}
