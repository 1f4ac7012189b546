package llm

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEndpoints shows what a fallback takes from the first endpoint. A key goes to its own host
// only.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	first := Endpoint{BaseURL: "https://one.example/v1", APIKey: "key", APIVersion: "2024-10-21"}
	tests := map[string]struct{ fallback, want Endpoint }{
		"model alone": {
			Endpoint{Model: "gpt-4o"},
			Endpoint{Model: "gpt-4o", BaseURL: first.BaseURL, APIKey: "key", APIVersion: first.APIVersion},
		},
		"other host": {
			Endpoint{BaseURL: "https://two.example/v1"},
			Endpoint{BaseURL: "https://two.example/v1"},
		},
		"other host with a key": {
			Endpoint{BaseURL: "https://two.example/v1", APIKey: "own"},
			Endpoint{BaseURL: "https://two.example/v1", APIKey: "own"},
		},
		"same host with a key": {
			Endpoint{Model: "m", APIKey: "own"},
			Endpoint{Model: "m", BaseURL: first.BaseURL, APIKey: "own", APIVersion: first.APIVersion},
		},
		"same host in capitals, other path": {
			Endpoint{BaseURL: "https://ONE.example/v2"},
			Endpoint{BaseURL: "https://ONE.example/v2", APIKey: "key", APIVersion: first.APIVersion},
		},
		"same host without TLS": {
			Endpoint{BaseURL: "http://one.example/v1"},
			Endpoint{BaseURL: "http://one.example/v1"},
		},
		"other port": {
			Endpoint{BaseURL: "https://one.example:8443/v1"},
			Endpoint{BaseURL: "https://one.example:8443/v1"},
		},
		"name that begins alike": {
			Endpoint{BaseURL: "https://one.example.evil/v1"},
			Endpoint{BaseURL: "https://one.example.evil/v1"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := NewEndpoints(first, tt.fallback)
			if diff := cmp.Diff(Endpoints{first, tt.want}, got, cmp.Transformer("fields", func(e Endpoint) [4]string {
				return [4]string{e.Model, e.BaseURL, e.APIKey, e.APIVersion}
			})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := NewEndpoints(Endpoint{APIKey: "key"}, Endpoint{BaseURL: DefaultBaseURL}); got[0].BaseURL != DefaultBaseURL || got[1].APIKey != "key" {
		t.Errorf("defaults: %v", got)
	}
}

func TestModelsOfEndpoints(t *testing.T) {
	t.Parallel()
	e := NewEndpoints(Endpoint{}, Endpoint{Model: "a"}, Endpoint{BaseURL: "http://other.example"}, Endpoint{Model: "b"})
	if diff := cmp.Diff([]string{"run's", "a", "b"}, e.Models("run's")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"m"}, Endpoints(nil).Models("m")); diff != "" {
		t.Error(diff)
	}
}

func TestEndpointHidesSecrets(t *testing.T) {
	t.Parallel()
	e := Endpoint{Model: "m", BaseURL: "https://user:canary@one.example:8443/v1?key=canary", APIKey: "canary"}
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("text", "one", e, "all", Endpoints{e})
	shown := fmt.Sprintf("%v %+v %#v %s %v", e, e, e, e, []Endpoint{e})
	if !strings.Contains(shown, "m at one.example:8443") {
		t.Error(shown)
	}
	if strings.Contains(shown+log.String(), "canary") {
		t.Error(shown, log.String())
	}
}
