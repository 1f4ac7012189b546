package llm

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBoundPromptHolds compares the bound with the model's own count, also for texts whose
// estimate is too low.
func TestBoundPromptHolds(t *testing.T) {
	t.Parallel()
	random := make([]byte, 3000)
	source := rand.NewChaCha8([32]byte{7})
	for i := range random {
		random[i] = byte(source.Uint64())
	}
	for name, text := range map[string]string{
		"prose":  strings.Repeat("The council met in the evening and decided nothing of note. ", 60),
		"base64": base64.StdEncoding.EncodeToString(random),
		"digits": strings.Repeat("7391 0028 5527 ", 200),
		"marks":  strings.Repeat("~}{|^`", 300),
		"thai":   strings.Repeat("สวัสดีชาวโลก", 100),
		"empty":  "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, model := range []string{"gpt-4o-mini", "gpt-4", "llama3.2"} {
				r := Request{Model: model, Messages: []Message{{Role: RoleSystem, Content: "Summarize."}, {Role: RoleUser, Content: text}}, Schema: []byte(`{"type":"object"}`)}
				bound, counted := BoundPrompt(r), CountRequest(r)
				if bound < counted {
					t.Errorf("%s: bound %d, counted %d", model, bound, counted)
				}
				if bytes := len(text) + 500; bound > bytes {
					t.Errorf("%s: bound %d beyond the bytes, %d", model, bound, bytes)
				}
				if model != "llama3.2" && name == "prose" && bound > 2*counted {
					t.Errorf("%s: bound %d of %d tokens leaves a budget unused", model, bound, counted)
				}
			}
		})
	}
	random64 := base64.StdEncoding.EncodeToString(random)
	if n := TokenizerFor("gpt-4o-mini").Count(random64); EstimateTokens(random64) >= n {
		t.Errorf("random characters are no longer what the estimate falls short of: %d of %d", EstimateTokens(random64), n)
	}
}

// TestWorstCostIsMaximum tries every split of a prompt into plain, cached and written tokens,
// below and above the bound of a long prompt.
func TestWorstCostIsMaximum(t *testing.T) {
	t.Parallel()
	prices, err := NewPrices(strings.NewReader(`{"version":1,"models":[
		{"name":"plain","input":1,"output":2},
		{"name":"writes","input":1,"cached_input":0.1,"cache_write":1.25,"output":2},
		{"name":"odd","input":1,"cached_input":3,"output":2},
		{"name":"long","input":1,"cached_input":0.1,"output":2,"long_above":500,"long_input":2,"long_output":1.5},
		{"name":"long and cheap","input":1,"cached_input":0.1,"cache_write":1.25,"output":2,"long_above":500,"long_input":0.5,"long_output":0.5},
		{"name":"long, cheap and odd","input":1,"cached_input":2,"output":2,"long_above":500,"long_input":0.5,"long_output":0.5},
		{"name":"flex","input":1,"cached_input":0.1,"cache_write":1.25,"output":2,"flex":0.5,"batch":0.5,"long_above":500,"long_input":2,"long_output":1.5},
		{"name":"dear cache","input":1,"cached_input":0.1,"cache_write":1.25,"output":2,"flex":0.9,"tier_cached":20,"long_above":500,"long_input":2,"long_output":1.5}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []struct {
		model string
		tier  Tier
	}{
		{"plain", ""}, {"writes", ""}, {"odd", TierStandard}, {"long", ""}, {"long and cheap", ""}, {"long, cheap and odd", ""},
		{"flex", ""}, {"flex", TierFlex}, {"dear cache", TierFlex},
	} {
		for _, most := range []int{400, 1000} {
			model := asked.model
			worst, known := prices.WorstCost(model, asked.tier, most, 100)
			if !known {
				t.Fatal(model)
			}
			for in := 0; in <= most; in += 100 {
				for cached := 0; cached <= in; cached += 100 {
					for written := 0; written <= in-cached; written += 100 {
						u := Usage{In: in, CachedIn: cached, CacheWriteIn: written, Out: 100}
						for _, billed := range []Tier{TierStandard, asked.tier} { // the tier that the answer names
							if cost, _ := prices.Cost(model, billed, u); cost > worst+1e-12 {
								t.Errorf("%s at %s: %+v costs %g, more than %g", model, billed, u, cost, worst)
							}
						}
					}
				}
			}
		}
	}
}
