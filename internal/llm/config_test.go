package llm

import (
	"strings"
	"testing"
	"time"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw   string
		azure bool
		want  string // empty: an error that says err
		err   string
	}{
		{raw: "https://api.openai.com/v1", want: "https://api.openai.com/v1"},
		{raw: "https://api.openai.com/v1/", want: "https://api.openai.com/v1"},
		{raw: "https://api.openai.com", want: "https://api.openai.com/v1"},
		{raw: "http://localhost:11434", want: "http://localhost:11434/v1"},
		{raw: "http://localhost:11434/", want: "http://localhost:11434/v1"},
		{raw: "http://localhost:11434/v1//", want: "http://localhost:11434/v1"},
		{raw: "http://host/v1/chat/completions", want: "http://host/v1"},
		{raw: "https://openrouter.ai/api/v1", want: "https://openrouter.ai/api/v1"},
		{raw: "https://generativelanguage.googleapis.com/v1beta/openai/", want: "https://generativelanguage.googleapis.com/v1beta/openai"},
		{raw: "https://r.openai.azure.com/openai/v1/", want: "https://r.openai.azure.com/openai/v1"},
		{raw: "https://r.openai.azure.com", azure: true, want: "https://r.openai.azure.com"},
		{raw: "https://r.openai.azure.com/", azure: true, want: "https://r.openai.azure.com"},
		{raw: "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=x", azure: true, want: "https://r.openai.azure.com"},
		{raw: "http://[::1]:8000", want: "http://[::1]:8000/v1"},
		{raw: "localhost:11434", err: "did you mean http://localhost:11434"},
		{raw: "api.openai.com/v1", err: "did you mean http://api.openai.com/v1"},
		{raw: "ftp://host/v1", err: "http:// or https://"},
		{raw: "http://", err: "no host"},
		{raw: "http:///v1", err: "no host"},
		{raw: "http://host:port", err: "not a URL"},
		{raw: "::", err: "not a URL"},
		{raw: "https://r.openai.azure.com/?api-version=1", err: "--api-version"},
	}
	for _, tt := range tests {
		u, err := parseBaseURL(tt.raw, tt.azure)
		switch {
		case tt.want != "" && (err != nil || u.String() != tt.want):
			t.Errorf("%s: %v, %v; want %s", tt.raw, u, err, tt.want)
		case tt.want == "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, %v; want an error with %q", tt.raw, u, err, tt.err)
		}
	}
}

func TestConfigNamesAllErrors(t *testing.T) {
	t.Parallel()
	_, err := New(Config{BaseURL: "localhost", APIKey: "sk-secret\nsecond", Timeout: -time.Second, MaxConnections: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"base URL", "API key", "timeout", "concurrency"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the key is in: %v", err)
	}
}

func TestPasswordInURLIsNotShown(t *testing.T) {
	t.Parallel()
	c, err := New(Config{BaseURL: "http://user:hunter2@127.0.0.1:1/v1"})
	if err != nil {
		t.Fatal(err)
	}
	_, callErr := c.Complete(t.Context(), testRequest("text"))
	if text := c.String() + c.Host() + callErr.Error(); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	for _, raw := range []string{"http://user:hunter2@host:port/", "ftp://user:hunter2@host", "http://user:hunter2@host/?q=1"} {
		if _, err := New(Config{BaseURL: raw}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
