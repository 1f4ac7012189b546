package llm

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func builtIn(t *testing.T) *Prices {
	t.Helper()
	p, err := LoadPrices("")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCost(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	tests := []struct {
		name  string
		model string
		usage Usage
		usd   float64
		known bool
	}{
		{"plain", "gpt-4o-mini", Usage{In: 1e6, Out: 1e6}, 0.75, true},
		{"cached", "gpt-4o-mini", Usage{In: 1e6, CachedIn: 4e5}, 0.6*0.15 + 0.4*0.075, true},
		{"dated", "gpt-4o-mini-2024-07-18", Usage{In: 1e6}, 0.15, true},
		{"dated with a price of its own", "gpt-4o-2024-05-13", Usage{In: 1e6}, 5, true},
		{"prefix", "openai/gpt-4o", Usage{In: 1e6}, 2.5, true},
		{"prefix and date", "azure/gpt-4.1-2025-04-14", Usage{Out: 1e6}, 8, true},
		{"two prefixes", "openrouter/openai/gpt-4o", Usage{In: 1e6}, 2.5, true},
		{"capitals", "GPT-4o", Usage{In: 1e6}, 2.5, true},
		{"Anthropic's date", "claude-haiku-4-5-20251001", Usage{In: 1e6}, 1, true},
		{"Vertex's date", "claude-sonnet-4-5@20250929", Usage{In: 1000}, 0.003, true},
		{"cache write", "gpt-5.6-luna", Usage{In: 2e5, CacheWriteIn: 2e5}, 0.05, true},
		{"long prompt", "gpt-5.4", Usage{In: 3e5, Out: 1e5}, 0.3*2.5*2 + 0.1*15*1.5, true},
		{"just not long", "gpt-5.4", Usage{In: 272000}, 0.272 * 2.5, true},
		{"nothing used", "gpt-4o", Usage{}, 0, true},
		{"extractive", "extractive", Usage{In: 1e6, Out: 1e6}, 0, true},
		{"more cached than sent", "gpt-4o", Usage{In: 1e6, CachedIn: 2e6}, 1.25, true},

		{"unknown", "llama3.1:8b", Usage{In: 1e6}, 0, false},
		{"empty", "", Usage{In: 1e6}, 0, false},
		{"a variant is another model", "gpt-4o-audio-preview", Usage{In: 1e6}, 0, false},
		{"a fine-tune costs more", "ft:gpt-4o-mini:org::id", Usage{In: 1e6}, 0, false},
		{"a host has prices of its own", "groq/openai/gpt-4o", Usage{In: 1e6}, 0, false},
		{"a date alone", "-2024-01-01", Usage{In: 1e6}, 0, false},
	}
	for _, tt := range tests {
		usd, known := p.Cost(tt.model, TierStandard, tt.usage)
		if known != tt.known || math.Abs(usd-tt.usd) > 1e-9 {
			t.Errorf("%s: %g, %v; want %g, %v", tt.name, usd, known, tt.usd, tt.known)
		}
	}
	if usd, known := p.Cost("gpt-4o-mini", TierBatch, Usage{In: 1e6, Out: 1e6}); !known || usd != 0.375 {
		t.Errorf("batch: %g, %v", usd, known)
	}
	if _, known := p.Cost("gpt-5-chat-latest", TierBatch, Usage{In: 1}); known {
		t.Error("batch price of a model without one")
	}
	for _, model := range []string{"gpt-4o-mini", "gpt-5.6-luna", "extractive"} {
		worst, _ := p.WorstCost(model, TierStandard, 10000, 400)
		for _, u := range []Usage{{In: 10000, Out: 400}, {In: 10000, CachedIn: 9000, Out: 100}, {In: 10000, CacheWriteIn: 10000, Out: 400}} {
			if usd, _ := p.Cost(model, TierStandard, u); usd > worst {
				t.Errorf("%s: cost %g of %+v is above the worst case %g", model, usd, u, worst)
			}
		}
	}
	if _, known := p.WorstCost("unknown", TierStandard, 1, 1); known {
		t.Error("worst cost of an unknown model")
	}
}

func TestBuiltInTable(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	for name, row := range p.rows {
		if row.Input == nil || row.Source == "" || row.Context == 0 {
			t.Errorf("%s: price, source or window missing: %+v", name, row)
		}
		if _, err := time.Parse(time.DateOnly, row.Date); err != nil {
			t.Errorf("%s: date: %v", name, err)
		}
		if row.CachedInput == nil || *row.CachedInput > *row.Input || *row.Output < *row.Input {
			t.Errorf("%s: cached %v, input %g, output %g do not look right", name, row.CachedInput, *row.Input, *row.Output)
		}
		if row.MaxOutput > row.Context {
			t.Errorf("%s: output %d is above the window %d", name, row.MaxOutput, row.Context)
		}
	}
	var file priceFile
	if err := yaml.Unmarshal(builtInPrices, &file); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.DateOnly, file.Date); err != nil {
		t.Errorf("date of the table: %v", err)
	}
}

func TestContextWindow(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	for model, want := range map[string]int{
		"gpt-4o-mini": 128000, "openai/gpt-4.1-2025-04-14": 1047576, "gpt-4": 8192, "llama3.1:8b": DefaultContextTokens, "": DefaultContextTokens,
	} {
		if got := p.contextWindow(model); got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
	if p.MaxOutput("gpt-4o") != 16384 || p.MaxOutput("unknown") != 0 {
		t.Error("max output")
	}
}

func TestOverrideFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "prices.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`models:
  - {name: gpt-4o-mini, input: 1, output: 2}
  - {name: "Our-Deployment", input: 0.5, output: 1, context: 32000}
  - {name: "llama3.1:8b", context: 4096}
`)
	p, err := LoadPrices(path)
	if err != nil {
		t.Fatal(err)
	}
	if usd, known := p.Cost("gpt-4o-mini", TierStandard, Usage{In: 1e6, CachedIn: 1e6, Out: 1e6}); !known || usd != 3 {
		t.Errorf("overridden: %g, %v", usd, known)
	}
	if usd, known := p.Cost("our-deployment", TierStandard, Usage{In: 1e6}); !known || usd != 0.5 {
		t.Errorf("added: %g, %v", usd, known)
	}
	if _, known := p.Cost("llama3.1:8b", TierStandard, Usage{In: 1}); known || p.contextWindow("llama3.1:8b") != 4096 {
		t.Error("a row may give only a window")
	}
	if _, known := p.Cost("gpt-4o", TierStandard, Usage{In: 1}); !known {
		t.Error("the other rows are gone")
	}
	write(`{"models": [{"name": "m", "input": 1, "output": 2}]}`)
	if p, err = LoadPrices(path); err != nil {
		t.Fatalf("JSON: %v", err)
	}
	if usd, _ := p.Cost("m", TierStandard, Usage{Out: 1e6}); usd != 2 {
		t.Errorf("JSON: %g", usd)
	}
	write("")
	if _, err := LoadPrices(path); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	for name, bad := range map[string]string{
		"misspelt":  `models: [{name: m, input: 1, ouput: 2}]`,
		"negative":  `models: [{name: m, input: -1, output: 2}]`,
		"half":      `models: [{name: m, input: 1}]`,
		"nameless":  `models: [{input: 1, output: 2}]`,
		"twice":     `models: [{name: m, input: 1, output: 2}, {name: M, input: 1, output: 2}]`,
		"NaN":       `models: [{name: m, input: .nan, output: 2}]`,
		"no YAML":   `models: [`,
		"version 2": `version: 2`,
		"long":      `models: [{name: m, input: 1, output: 2, long_above: 10}]`,
	} {
		write(bad)
		if _, err := LoadPrices(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := LoadPrices(path + ".not"); err == nil {
		t.Error("a missing file is no error")
	}
}

// An error in a file of prices names line and field, in words.
func TestErrorsOfPrices(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"models:\n- name: m\n  input: cheap\n  output: 2": `line 3: input must be a number, not "cheap"`,
		"models:\n- name: m\n  input: [1]\n  output: 2":   `line 3: input must be a number`,
		"models:\n- name: m\n  context: 1.5":              `line 3: context must be a whole number, not "1.5"`,
		"models:\n- name: [m]":                            `line 2: name must be a text`,
		"models:\n- name: m\n  inptu: 1\n  output: 2":     `line 3: "inptu" is not a field of a model; did you mean input?`,
		"models:\n- name: m\n  name: m":                   `line 3: name is given twice`,
		"models: 5":                                       `line 1: models must be a list`,
		"models:\n- gpt-4":                                `line 2: a model must be an object with fields`,
		"[1]":                                             `line 1: the file must be an object with fields`,
		"\nmodel: []":                                     `line 2: "model" is not a field of the file; did you mean models?`,
		"sources: 1":                                      `line 1: sources must be an object of names and texts`,
		"models:\n- {name: m, input: 1, output: 1}\n- {name: m}": `line 3: model 2 ("m") is listed twice`,
		"models:\n- {name: m, input: -1, output: 1}":             `line 2: model 1 ("m"): input is -1, and must be a number from 0 to 1,000,000`,
		"models:\n- {name: m, context: -1}":                      `line 2: model 1 ("m"): context is -1, and must not be negative`,
		"models:\n- {name: m, input: x}\n- {name: n, output: y}": `line 2: input must be a number, not "x"; line 3: output must be a number, not "y"`,
		"models:\n\t- x": `line 2: found character that cannot start any token`,
	} {
		_, err := NewPrices(strings.NewReader(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
			continue
		}
		for _, jargon := range []string{"unmarshal", "!!", "float64", "llm.", "yaml"} {
			if strings.Contains(err.Error(), jargon) {
				t.Errorf("%q: %v has %s", file, err, jargon)
			}
		}
	}
	for _, file := range []string{"# nothing", "version: 1", "models:\n- &m {name: m, input: 1, output: 2}\n- {<<: *m, name: n}"} {
		p, err := NewPrices(strings.NewReader(file))
		if err != nil {
			t.Errorf("%q: %v", file, err)
			continue
		}
		if usd, known := p.Cost("n", TierStandard, Usage{In: 1e6}); strings.Contains(file, "<<") && (!known || usd != 1) {
			t.Errorf("merged: %g, %v", usd, known)
		}
	}
}
