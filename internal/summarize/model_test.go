package summarize

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// scripted is a Completer that answers like a model which repeats the beginning of its
// input, unless answer returns something else. With memo it stores answers by name. It
// refuses requests that do not fit its window.
type scripted struct {
	window int // in tokens of quarter; 0 is no limit
	memo   bool
	// answer gets the number of the call, from 1. An empty response is replaced by the echo.
	answer func(n int, r llm.Request) (llm.Response, error)

	mu     sync.Mutex
	calls  []llm.Request
	stored map[string]llm.Response
}

func (m *scripted) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return llm.Response{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if resp, ok := m.stored[r.Name()]; ok {
		return resp, nil
	}
	m.calls = append(m.calls, r)
	in := 0
	for _, msg := range r.Messages {
		in += quarter(msg.Content)
	}
	if m.window > 0 && in+r.MaxOutputTokens > m.window {
		return llm.Response{}, &llm.Error{Class: llm.ContextLength, Status: 400, Message: "the prompt is too long"}
	}
	var resp llm.Response
	if m.answer != nil {
		var err error
		if resp, err = m.answer(len(m.calls), r); err != nil {
			return resp, err
		}
	}
	if resp.Content == "" && resp.FinishReason == "" {
		resp = echo(r)
	}
	resp.Usage = llm.Usage{In: in, Out: quarter(resp.Content)}
	if m.memo {
		if m.stored == nil {
			m.stored = map[string]llm.Response{}
		}
		m.stored[r.Name()] = resp
	}
	return resp, nil
}

// names are the names of the requests that were answered or refused, sorted.
func (m *scripted) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := names(m.calls)
	slices.Sort(out)
	return out
}

// readIn returns the text between the delimiters of a request, and their id.
func readIn(r llm.Request) (text, id string) {
	_, text, ok := strings.Cut(r.Messages[1].Content, `<document id="`)
	id, text, _ = strings.Cut(text, "\">\n")
	end := strings.LastIndex(text, "\n</document id=\""+id+"\">")
	if !ok || end < 0 {
		return "", ""
	}
	return text[:end], id
}

func echo(r llm.Request) llm.Response {
	source, _ := readIn(r)
	words := strings.Fields(text.Cut(source, 600))
	content := strings.Join(words[:min(len(words), 60)], " ")
	if r.Schema != nil {
		content = summaryObject(content)
	}
	return llm.Response{Content: content, FinishReason: llm.FinishStop, Model: "echo-1"}
}

// summaryObject returns the answer with this summary.
func summaryObject(text string) string {
	b, err := json.Marshal(map[string]string{"summary": text})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// quarter is a cheap tokenizer: four bytes a token.
func quarter(s string) int { return (len(s) + 3) / 4 }

func profile() Profile {
	return Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400}
}

// asking is an engine with its Completer.
type asking struct {
	Engine
	calls Completer
}

func (a asking) Summarize(ctx context.Context, d Document) (Summary, error) {
	return a.Engine.Summarize(ctx, a.calls, d)
}

// eachVersion runs a test with every version of the prompts.
func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, version := range []string{PromptV1, PromptV2} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

func engine(t *testing.T, p Profile, m Completer, window int, opts ...Option) asking {
	t.Helper()
	e, err := New(p, window, append([]Option{WithCounter(quarter)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return asking{e, m}
}

// opticks is Newton's book, 567 KB, which every Go installation has.
func opticks(tb testing.TB) string {
	tb.Helper()
	root, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatalf("find the Go installation: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// answering is a Completer that gives one answer to everything.
type answering string

func (a answering) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{Content: string(a), FinishReason: llm.FinishStop}, nil
}
