package llm_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gistmill/gistmill/internal/llm"
)

// A call, its cost, and the class of a failure.
func ExampleClient_Complete() {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk-example" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":"invalid_api_key","message":"Incorrect API key provided."}}`)
			return
		}
		fmt.Fprint(w, `{
			"model": "gpt-4o-mini-2024-07-18",
			"choices": [{"message": {"content": "The bridge is closed."}, "finish_reason": "stop"}],
			"usage": {"prompt_tokens": 1000, "completion_tokens": 50}
		}`)
	}))
	defer endpoint.Close()

	request := llm.Request{
		Model: "gpt-4o-mini",
		Messages: []llm.Message{
			{Role: llm.RoleSystem, Content: "Summarize the document in one sentence."},
			{Role: llm.RoleUser, Content: "The river rose in the night and took the old wooden bridge with it."},
		},
		MaxOutputTokens: 400,
	}
	prices, err := llm.LoadPrices("")
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(key string) {
		client, err := llm.New(llm.Config{BaseURL: endpoint.URL, APIKey: key})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer client.Close()
		response, err := client.Complete(context.Background(), request)
		var failed *llm.Error
		switch {
		case errors.As(err, &failed) && failed.Class == llm.Halted:
			fmt.Println("halted:", failed.Message)
		case err != nil:
			fmt.Println(err)
		default:
			usd, _ := prices.Cost(request.Model, response.Tier, response.Usage)
			fmt.Printf("%s (%d tokens, $%.5f)\n", response.Content, response.Usage.In+response.Usage.Out, usd)
		}
	}
	ask("sk-example")
	ask("sk-expired")
	// Output:
	// The bridge is closed. (1050 tokens, $0.00018)
	// halted: the endpoint refused the API key: check OPENAI_API_KEY: Incorrect API key provided.
}

// answering is a client that gives one answer, or one error.
type answering struct {
	content string
	err     error
}

func (a answering) Complete(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{Content: a.content}, a.err
}

func (a answering) Down() error { return nil }

// The first endpoint has no credit left, so its fallback answers.
func ExampleFallback() {
	endpoints := llm.NewEndpoints(
		llm.Endpoint{BaseURL: "https://api.openai.com/v1", APIKey: "sk-example"},
		llm.Endpoint{Model: "llama3.1:8b", BaseURL: "http://localhost:11434/v1"},
	)
	endpoints[0].Client = answering{err: &llm.Error{Class: llm.Halted, Message: "no credit left"}}
	endpoints[1].Client = answering{content: "The bridge is closed."}

	fallback := llm.NewFallback(slog.New(slog.DiscardHandler), endpoints...)
	response, err := fallback.Complete(func(e llm.Endpoint) (llm.Response, error) {
		fmt.Println("asking", e)
		return e.Client.Complete(context.Background(), llm.Request{Model: "gpt-4o-mini"})
	})
	fmt.Println(response.Content, err)
	// Output:
	// asking api.openai.com
	// asking llama3.1:8b at localhost:11434
	// The bridge is closed. <nil>
}
