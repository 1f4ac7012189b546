package llm

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAzureURLs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, version, want string }{
		"the resource":       {"", "2024-10-21", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"},
		"the whole URL":      {"/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview", "", "/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview"},
		"the setting wins":   {"/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview", "2024-10-21", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"},
		"v1":                 {"/openai/v1/", "", "/openai/v1/chat/completions"},
		"v1 and a version":   {"/openai/v1", "preview", "/openai/v1/chat/completions?api-version=preview"},
		"v1, the whole URL":  {"/openai/v1/chat/completions?api-version=preview", "", "/openai/v1/chat/completions?api-version=preview"},
		"Foundry":            {"/models", "2024-05-01-preview", "/models/chat/completions?api-version=2024-05-01-preview"},
		"Foundry, whole URL": {"/models/chat/completions?api-version=2024-05-01-preview", "", "/models/chat/completions?api-version=2024-05-01-preview"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked, key string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked, key = r.URL.String(), r.Header.Get("Api-Key")
				reply(w, 200, goodAnswer)
			}))
			defer srv.Close()
			e := NewEndpoints(Endpoint{BaseURL: srv.URL + tt.path, APIVersion: tt.version, APIKey: "a-key-0123"})[0]
			c, err := e.NewClient(Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r := testRequest("text")
			r.Model = "gpt-4o"
			if _, err := c.Complete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if asked != tt.want || (key != "") != (tt.want != "/openai/v1/chat/completions") {
				t.Errorf("asked %s with the api-key %q, want %s", asked, key, tt.want)
			}
		})
	}
}

func TestCheckBaseURL(t *testing.T) {
	t.Parallel()
	for raw, good := range map[string]bool{
		"": true, "https://a.example/v1": true, "localhost:8000": false, "https://a.example/v1?x=1": false,
		"https://a.openai.azure.com/openai/deployments/x/chat/completions?api-version=1": true,
	} {
		if err := CheckBaseURL(raw, ""); (err == nil) != good {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
