package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// thinker is an endpoint with a model that thinks before each answer. Thought counts against the
// cap. Its name tells nothing.
type thinker struct {
	mu     sync.Mutex
	random *rand.Rand
	least  float64
	most   float64
	factor float64
	after  int // calls until the model thinks factor times as much; 0: never
	calls  int
	cut    int
}

// thought returns tokens of thought between least and most, distributed lognormally.
func (m *thinker) thought() int {
	middle, spread := (math.Log(m.least)+math.Log(m.most))/2, (math.Log(m.most)-math.Log(m.least))/4
	tokens := math.Exp(middle + spread*m.random.NormFloat64())
	tokens = min(max(tokens, m.least), m.most)
	if m.after > 0 && m.calls > m.after {
		tokens *= m.factor
	}
	return int(tokens)
}

func (m *thinker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		MaxTokens int `json:"max_tokens"`
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&body) != nil {
		http.NotFound(w, r)
		return
	}
	const answer = 60
	m.mu.Lock()
	m.calls++
	thought := m.thought()
	content, reason, out := `{"summary": "The harbour office reports on fares and a new pier."}`, "stop", thought+answer
	if out > body.MaxTokens {
		content, reason, out, thought = "", "length", body.MaxTokens, min(thought, body.MaxTokens)
		m.cut++
	}
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"model":   "thinker",
		"choices": []any{map[string]any{"finish_reason": reason, "message": map[string]any{"role": "assistant", "content": content}}},
		"usage": map[string]any{"prompt_tokens": 300, "completion_tokens": out,
			"completion_tokens_details": map[string]any{"reasoning_tokens": thought}},
	})
}

// A thinking model whose name is not known costs one call a document but for the first ones, no
// document dies of it, and the next process knows what it needs.
func TestThinkingIsLearned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		after   int
		perCall float64
	}{
		{"steady", 0, 1.05},
		{"four times as much from the middle on", 250, 1.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			model := &thinker{random: rand.New(rand.NewPCG(1, 2)), least: 400, most: 3000, factor: 4, after: tt.after}
			server := httptest.NewServer(model)
			t.Cleanup(server.Close)
			environ := []string{"HOME=" + dir, "GISTMILL_STORE=sqlite:" + dir + "/l.db", "GISTMILL_OUT=" + dir + "/out", "GISTMILL_RETRY_BASE=10ms", "GISTMILL_CONTEXT_TOKENS=32768", "OPENAI_BASE_URL=" + server.URL}
			write := func(from, to int) {
				for i := from; i < to; i++ {
					text := fmt.Sprintf("Report %d of the harbour office. ", i) + strings.Repeat("Ferries leave each hour for the islands. ", 20)
					if err := os.WriteFile(filepath.Join(dir, "docs", fmt.Sprintf("%04d.txt", i)), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := os.Mkdir(filepath.Join(dir, "docs"), 0o700); err != nil {
				t.Fatal(err)
			}
			command := func(args ...string) string {
				var out, said strings.Builder
				if code := run(context.WithoutCancel(t.Context()), noSignals(), args, environ, strings.NewReader(""), &out, &said); code != 0 {
					t.Fatalf("%v: exit %d: %s", args, code, said.String())
				}
				return out.String()
			}
			const documents, more = 500, 100
			work := func() { command("run", dir+"/docs", "--model", "thinker", "--max-output-tokens", "400", "--quiet") }
			write(0, documents)
			work()
			first, firstCut := model.calls, model.cut
			var status struct {
				Documents struct{ Done, Dead int }
				Learned   []learnedView
			}
			if err := json.Unmarshal([]byte(command("status", "-o", "json")), &status); err != nil {
				t.Fatal(err)
			}
			write(documents, documents+more)
			work()
			second, secondCut := model.calls-first, model.cut-firstCut
			t.Logf("%d documents: %d calls, %d cut by thought, %.3f calls a document; dead %d; learned %+v; next process: %d documents, %d calls, %d cut",
				documents, first, firstCut, float64(first)/documents, status.Documents.Dead, status.Learned, more, second, secondCut)
			if status.Documents.Dead != 0 || status.Documents.Done != documents {
				t.Errorf("%+v", status.Documents)
			}
			if float64(first) > tt.perCall*documents {
				t.Errorf("%d calls for %d documents", first, documents)
			}
			if len(status.Learned) != 1 || status.Learned[0].Headroom < 1500 {
				t.Errorf("status shows %+v", status.Learned)
			}
			if second > more*105/100 {
				t.Errorf("the next process made %d calls for %d documents", second, more)
			}
			if shown := command("config"); !strings.Contains(shown, "thinks for about") {
				t.Error("config does not show what was learned:", shown)
			}
		})
	}
}
