package completion

import "strings"

// End is the way in which an answer ended.
type End int

// The ways in which an answer ends. Only [Whole] is an answer.
const (
	Unknown  End = iota // a word that says nothing known
	Whole               // the model was done
	Cut                 // at the output cap
	Full                // at the end of the context window
	Filtered            // a content filter stopped it
	Failed              // an error, an abort, a lack of resources
)

// EndOf decides a finish reason, without case. No reason is an end: many local servers send none.
// Words are compared by what they contain, because makers combine them ("content_filter:
// PROHIBITED_CONTENT", "FINISH_REASON_MAX_TOKENS", "stopped_limit").
//
// Sources: OpenAI's reference (stop, length, content_filter, tool_calls); Gemini's FinishReason
// (MAX_TOKENS, SAFETY, RECITATION, LANGUAGE, BLOCKLIST, PROHIBITED_CONTENT, SPII, IMAGE_SAFETY,
// MALFORMED_FUNCTION_CALL, OTHER); Anthropic's stop_reason (end_turn, stop_sequence, max_tokens,
// refusal, pause_turn, model_context_window_exceeded); Bedrock Converse (guardrail_intervened,
// content_filtered); Cohere (COMPLETE, STOP_SEQUENCE, ERROR_TOXIC, ERROR_LIMIT); Mistral
// (model_length); TGI (eos_token); Together (eos); Zhipu (sensitive, network_error); DeepSeek
// (insufficient_system_resource); Ollama's done_reason (stop, length, load); the tables of
// BerriAI/litellm (core_helpers.py, map_finish_reason) and Portkey-AI/gateway (finishReasonMap).
func EndOf(reason string) End {
	word := normalize(reason)
	switch {
	case contains(word, "context_window", "context_length", "contextlength", "context_limit", "context_full", "window_exceeded"):
		return Full
	case contains(word, "filter", "safety", "prohibited", "blocklist", "blocked", "block_", "spii", "recitation", "guardrail", "sensitive",
		"moderat", "refus", "policy", "toxic", "jailbreak", "model_armor", "copyright", "harmful", "risk_"), word == "language", word == "risk", word == "declined":
		return Filtered
	case contains(word, "max_token", "maxtoken", "max_output", "max_new_token", "max_completion", "max_length", "maxlength", "token_limit",
		"tokens_limit", "tokenlimit", "output_limit", "length_limit", "model_length", "truncat"),
		strings.HasPrefix(word, "length"), word == "limit", word == "stop_limit", word == "stopped_limit", word == "error_limit", word == "incomplete", word == "max":
		return Cut
	case contains(word, "error", "abort", "fail", "cancel", "timeout", "timed_out", "time_limit", "insufficient", "overload", "unavailable",
		"malformed", "interrupt", "disconnect", "network", "exception", "killed", "preempt", "shutdown", "pause"), word == "other", word == "load":
		return Failed
	case word == "", word == "null", word == "none", word == "nil", word == "unspecified", word == "true", word == "normal", word == "natural",
		word == "success", word == "ok", word == "done", word == "eog", word == "word",
		hasPrefix(word, "stop", "eos", "eot", "end_", "endof", "endturn", "end_of", "complete", "finish", "tool_call", "tool_use", "function_call"), word == "end":
		return Whole
	}
	return Unknown
}

// normalize returns a reason in lower case with _ between its words, without the prefixes of enum
// names ("FinishReason.STOP", "FINISH_REASON_STOP").
func normalize(reason string) string {
	word := strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(reason), `"'<>|`)))
	word = strings.NewReplacer("-", "_", " ", "_", ".", "_", ":", "_").Replace(word)
	for _, prefix := range []string{"finishreason_", "finish_reason_", "stopreason_", "stop_reason_"} {
		word = strings.TrimPrefix(word, prefix)
	}
	return word
}

func contains(word string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(word, p) {
			return true
		}
	}
	return false
}

func hasPrefix(word string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(word, p) {
			return true
		}
	}
	return false
}
