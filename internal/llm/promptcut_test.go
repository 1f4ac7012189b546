package llm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// TestSilentCuts sends prompts one after the other to an endpoint that reports the given usages.
func TestSilentCuts(t *testing.T) {
	t.Parallel()
	const sentence = "The harbour master wrote down the name of every ship that came in. " // 14 tokens
	prose := func(tokens int) string { return strings.Repeat(sentence, tokens/14) }
	han := func(tokens int) string {
		return strings.Repeat("港口在风暴之后重建，渡轮每四十分钟开往城市。", tokens/14)
	}
	type call struct {
		prompt string
		usage  string
		cut    bool
		in     int // tokens that count; 0: as reported
	}
	for _, tt := range []struct {
		name  string
		calls []call
		warns string
	}{
		{"whole", []call{{prose(3000), `"prompt_tokens":3010`, false, 0}, {prose(5000), `"prompt_tokens":4800`, false, 0}}, ""},
		{"far", []call{{prose(9000), `"prompt_tokens":4000`, true, 0}}, "cuts long prompts"},
		{"a fifth, at a power of two", []call{{prose(5000), `"prompt_tokens":4096`, true, 0}}, "cuts long prompts"},
		{"a fifth, in Chinese", []call{{han(5200), `"prompt_tokens":4096`, true, 0}}, "cuts long prompts"},
		{"a power of two that is the prompt", []call{{prose(4050), `"prompt_tokens":4096`, false, 0}}, ""},
		{"the same number twice", []call{{prose(3900), `"prompt_tokens":3800`, false, 0}, {prose(5200), `"prompt_tokens":3800`, true, 0}, {prose(4000), `"prompt_tokens":3800`, true, 0}}, "cuts long prompts"},
		{"the same number for equal prompts", []call{{prose(3900), `"prompt_tokens":3800`, false, 0}, {prose(4200), `"prompt_tokens":3800`, false, 0}}, ""},
		{"cached tokens left out", []call{{prose(3300), `"prompt_tokens":560,"prompt_tokens_details":{"cached_tokens":2740}`, false, 3300}}, ""},
		{"some cached tokens left out", []call{{prose(9000), `"prompt_tokens":5000,"cache_read_input_tokens":4000`, false, 9000}}, ""},
		{"cached tokens included", []call{{prose(9000), `"prompt_tokens":4096,"prompt_tokens_details":{"cached_tokens":1000}`, true, 0}}, "cuts long prompts"},
		{"fewer than before", []call{{prose(3300), `"prompt_tokens":3300`, false, 0}, {prose(3400), `"prompt_tokens":560`, false, 0}, {prose(3500), `"prompt_tokens":600`, false, 0}}, "fewer prompt tokens"},
		{"a window that shrinks", []call{{prose(9000), `"prompt_tokens":4000`, true, 0}, {prose(3300), `"prompt_tokens":900`, false, 0}}, "cuts long prompts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			var logged bytes.Buffer
			c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				reply(w, http.StatusOK, fmt.Sprintf(`{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":{%s,"completion_tokens":9}}`, tt.calls[n].usage))
			}), Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			for i, call := range tt.calls {
				n = i
				r := testRequest(call.prompt)
				r.Model = "llama3.2"
				resp, err := c.Complete(t.Context(), r)
				var failed *Error
				if cut := errors.As(err, &failed) && failed.Code == "prompt_cut"; cut != call.cut {
					t.Fatalf("call %d: %+v %v", i+1, resp, err)
				}
				if call.cut && (failed.Class != ContextLength || failed.Window != failed.Usage.In) {
					t.Errorf("call %d: %+v", i+1, failed)
				}
				if call.in > 0 && resp.Usage.In != call.in {
					t.Errorf("call %d: %+v", i+1, resp.Usage)
				}
			}
			if got := logged.String(); strings.Contains(got, "WARN") != (tt.warns != "") || !strings.Contains(got, tt.warns) {
				t.Errorf("logged %q", got)
			}
		})
	}
}
