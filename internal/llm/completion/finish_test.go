package completion

import "testing"

func TestEndOf(t *testing.T) {
	t.Parallel()
	for end, words := range map[End][]string{
		Whole: {"", "stop", "STOP", "Stop", "null", "none", "eos", "EOS", "eos_token", "end_turn", "endoftext", "stop_sequence", "STOP_SEQUENCE", "stop_token", "stopped",
			"COMPLETE", "complete", "completed", "finished", "end", "end-turn", "done", "FinishReason.STOP", "FINISH_REASON_STOP", "FINISH_REASON_UNSPECIFIED",
			"tool_calls", "tool_use", "function_call", "<|eot_id|>", "eot_id", "end of text"},
		Cut: {"length", "LENGTH", "max_tokens", "MAX_TOKENS", "FinishReason.MAX_TOKENS", "model_length", "max_output_tokens", "max_completion_tokens", "max_new_tokens",
			"token_limit", "maxTokens", "max_length", "length_limit", "error_limit", "ERROR_LIMIT", "incomplete", "truncated", "stopped_limit", "limit"},
		Full: {"model_context_window_exceeded", "context_length_exceeded", "context-window", "context_limit"},
		Filtered: {"content_filter", "content_filter: PROHIBITED_CONTENT", "CONTENT_FILTER", "content-filter", "content_filtered", "SAFETY", "FINISH_REASON_SAFETY",
			"PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "LANGUAGE", "IMAGE_SAFETY", "guardrail_intervened", "sensitive", "refusal", "ERROR_TOXIC", "moderation", "blocked",
			"model_armor", "policy_violation"},
		Failed: {"error", "ERROR", "abort", "aborted", "insufficient_system_resource", "network_error", "cancelled", "OTHER", "MALFORMED_FUNCTION_CALL", "timeout", "error_limit_of_rate",
			"pause_turn", "load", "internal_error"},
		Unknown: {"qwertz", "7f", "because"},
	} {
		for _, word := range words {
			if got := EndOf(word); got != end {
				t.Errorf("%q: %d, want %d", word, got, end)
			}
		}
	}
}
