package preflight

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// models are the models that an endpoint lists.
type models struct {
	names   []string
	windows map[string]int // in tokens
}

// parseModels reads the answer to GET /models. Servers name the window in fields of their own:
//   - vLLM max_model_len (vllm/entrypoints/openai/protocol.py), SGLang likewise
//   - OpenRouter and Together context_length, Groq context_window, Mistral and LM Studio
//     max_context_length, Gemini inputTokenLimit
//   - llama.cpp meta.n_ctx, that of the server, before n_ctx_train, that of the model
//     (tools/server/README.md)
//
// Together sends a list without the object around it.
func parseModels(body []byte) (models, bool) {
	type entry struct {
		ID, Name         string
		MaxModelLen      int `json:"max_model_len"`
		ContextLength    int `json:"context_length"`
		ContextWindow    int `json:"context_window"`
		MaxContextLength int `json:"max_context_length"`
		InputTokenLimit  int `json:"inputTokenLimit"`
		Meta             struct {
			Window  int `json:"n_ctx"`
			Trained int `json:"n_ctx_train"`
		}
	}
	var whole struct{ Data, Models []json.RawMessage }
	if json.Unmarshal(body, &whole) != nil {
		if json.Unmarshal(body, &whole.Data) != nil {
			return models{}, false
		}
	}
	list := whole.Data
	if len(list) == 0 {
		list = whole.Models
	}
	found := models{windows: map[string]int{}}
	for _, raw := range list {
		var e entry
		_ = json.Unmarshal(raw, &e) // a field of another type leaves the others
		name := e.ID
		if name == "" {
			name = e.Name
		}
		if name == "" {
			continue
		}
		found.names = append(found.names, name)
		for _, window := range []int{e.MaxModelLen, e.ContextLength, e.ContextWindow, e.MaxContextLength, e.InputTokenLimit, e.Meta.Window, e.Meta.Trained} {
			if window > 0 {
				found.windows[name] = window
				break
			}
		}
	}
	return found, len(found.names) > 0
}

// find returns the name in the list by which a model is known: Gemini lists models/NAME, Ollama
// NAME:latest.
func (m models) find(model string) (name string, ok bool) {
	i := slices.IndexFunc(m.names, func(n string) bool {
		return strings.EqualFold(n, model) || strings.EqualFold(n, "models/"+model) || strings.EqualFold(n, model+":latest")
	})
	if i < 0 {
		return "", false
	}
	return m.names[i], true
}

// announced returns the limits that the headers of an answer name, in their own words: makers agree
// on "ratelimit" and "limit", and not on the rest.
func announced(h http.Header) []string {
	var all []string
	for name, values := range h {
		lower := strings.ReplaceAll(strings.ToLower(name), "rate-limit", "ratelimit")
		_, rest, ok := strings.Cut(lower, "ratelimit-")
		if !ok || !strings.Contains(rest, "limit") || len(values) == 0 {
			continue
		}
		unit := strings.Trim(strings.Replace(rest, "limit", "", 1), "-")
		if n, err := strconv.ParseInt(strings.TrimSpace(values[0]), 10, 64); err == nil && n > 0 {
			all = append(all, strings.TrimSpace(values[0]+" "+strings.ReplaceAll(unit, "-", " ")))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
