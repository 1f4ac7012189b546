package summarize_test

import (
	"context"
	"fmt"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// model answers every request in the same way and counts the requests.
type model struct{ calls int }

func (m *model) Complete(context.Context, llm.Request) (llm.Response, error) {
	m.calls++
	return llm.Response{Content: `{"summary": "The ferry runs daily from May on."}`, FinishReason: llm.FinishStop, Model: "small-1"}, nil
}

// A profile determines the summary of a document, and with it the summary's name. The engine
// turns a document into requests and the answers into a summary.
func Example() {
	profile := summarize.Profile{
		Model: "small", PromptVersion: summarize.PromptV2, Words: 20, MaxOutputTokens: 100,
	}
	engine, err := summarize.New(profile, 8192)
	if err != nil {
		fmt.Println(err)
		return
	}
	document := summarize.Document{URI: "ferry.txt", Title: "Timetable", Text: "From May on the ferry runs daily."}
	calls, _, tokensOut := engine.Estimate(document)
	fmt.Println(calls, "call, at most", tokensOut, "tokens out")

	var m model
	summary, err := engine.Summarize(context.Background(), &m, document)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(summary.Text)
	fmt.Println("by", summary.Model, "with", m.calls, "call")
	fmt.Println(profile.Namer()(document)[:12])
	// Output:
	// 1 call, at most 100 tokens out
	// The ferry runs daily from May on.
	// by small-1 with 1 call
	// 97f0b40f130a
}
