package llm

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzPrices reads price files. A file that is accepted has a price for each of its names, and no
// call costs more than what was reserved for it.
func FuzzPrices(f *testing.F) {
	f.Add("version: 1\nmodels:\n  - {name: own, input: 1, output: 2.5, cached_input: 0, long_above: 10, long_input: 2, long_output: 0.5, batch: 0.5, context: 10}\n", 100, 7, 20)
	f.Add(`{"models":[{"name":"a","input":1e6,"output":0},{"name":"A"}]}`, 1<<30, 0, 1<<30)
	f.Add("models: [{name: ' spaced ', input: .inf, output: 1}]", 1, 1, 1)
	f.Add("models: [{name: x-2025-01-02, input: 0x10, output: 1, cache_write: 3}]\n---\nmodels: []", 5, 9, -1)
	f.Add("models: &a [*a]", 1, 1, 1)
	f.Add("models: [{name: ' spaced', input: 1, output: 1}]", 1, 1, 1)
	f.Fuzz(func(t *testing.T, file string, in, cached, out int) {
		own, err := parsePrices(strings.NewReader(file))
		if err != nil {
			return
		}
		p, err := NewPrices(strings.NewReader(file))
		if err != nil {
			t.Fatalf("taken alone, refused with the built-in table: %v", err)
		}
		in, out = min(max(in, 0), 1<<40), min(max(out, 0), 1<<40)
		for _, row := range slices.Collect(maps.Values(own.rows)) {
			if got, ok := p.lookup(row.Name); !ok || got.Name != row.Name {
				t.Fatalf("the row of %q is not found", row.Name)
			}
			if _, known := p.WorstCost(row.Name, TierFlex, in, out); known != (row.Input != nil && row.Flex != nil && *row.Flex > 0) {
				t.Fatalf("%q: the flex price is known: %t", row.Name, known)
			}
			worst, known := p.WorstCost(row.Name, TierStandard, in, out)
			if known != (row.Input != nil) || !known && worst != 0 {
				t.Fatalf("%q: known is %t, worst %v", row.Name, known, worst)
			}
			for _, u := range []Usage{{In: in, Out: out}, {In: in, CachedIn: cached, Out: out}, {In: in / 2, CacheWriteIn: cached, CachedIn: cached / 2, Out: out / 3}} {
				cost, _ := p.Cost(row.Name, TierStandard, u)
				if math.IsNaN(cost) || math.IsInf(cost, 0) || cost < 0 || cost > worst*(1+1e-9)+1e-12 {
					t.Fatalf("%+v costs %v, at the worst %v", u, cost, worst)
				}
			}
			if p.contextWindow(row.Name) <= 0 || p.MaxOutput(row.Name) < 0 {
				t.Fatalf("%q has a window of %d and an output of %d", row.Name, p.contextWindow(row.Name), p.MaxOutput(row.Name))
			}
		}
	})
}

// answering is a transport that always gives the same answer.
type answering struct {
	status int
	body   []byte
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: -1, Request: r}, nil
}

// FuzzResponse answers a call with anything. The result is an answer with a plausible usage, or a
// classified error without key and text.
func FuzzResponse(f *testing.F) {
	const key, secretText = "sk-0123456789abcdef", "the secret sentence that is part of the document"
	f.Add(200, []byte(`{"choices":[{"message":{"content":"{}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`))
	f.Add(200, []byte(`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-10,"completion_tokens":9223372036854775807,"prompt_tokens_details":{"cached_tokens":-1,"cache_write_tokens":-5}}}`))
	f.Add(200, []byte(`{"choices":[{"message":{"refusal":"no: `+secretText+`"},"finish_reason":"content_filter"}]}`))
	f.Add(200, []byte(`{"error":{"message":"`+key+`","code":"server_error"}}`))
	f.Add(400, []byte(`{"detail":[{"loc":["body",0],"msg":"`+secretText+`"}]}`))
	f.Add(429, []byte(`{"error":{"code":"insufficient_quota"}}`))
	f.Add(401, []byte(`Bearer `+key))
	f.Add(502, []byte(`<html>`+secretText))
	classes := []Class{Transient, RateLimited, Unavailable, ContextLength, TooLong, BadRequest, Refused, Halted}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return // the transport refuses these
		}
		c, err := New(Config{BaseURL: "http://endpoint.example", APIKey: key, CallWait: -1, HTTPClient: &http.Client{Transport: answering{status, body}}})
		if err != nil {
			t.Fatal(err)
		}
		r := testRequest(secretText)
		r.Schema = testSchema
		resp, err := c.Complete(t.Context(), r)
		usage := resp.Usage
		var failed *Error
		switch {
		case errors.As(err, &failed):
			usage = failed.Usage
			if !slices.Contains(classes, failed.Class) || failed.Message == "" || len(failed.Error()) > 2000 || failed.RetryAfter < 0 {
				t.Errorf("%+v", failed)
			}
			if text := failed.Error(); strings.Contains(text, key) || strings.Contains(text, secretText) || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("the error says %q", text)
			}
		case err != nil:
			t.Errorf("an error of another kind: %v", err)
		case status >= 300:
			t.Errorf("status %d gave an answer", status)
		}
		if usage.In < 0 || usage.Out < 0 || usage.CachedIn < 0 || usage.CacheWriteIn < 0 || usage.In > 1e9 || usage.Out > 1e9 {
			t.Errorf("usage %+v", usage)
		}
	})
}
