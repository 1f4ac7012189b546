// Package llm calls chat models over the OpenAI API: OpenAI itself, Azure OpenAI, vLLM, Ollama,
// llama.cpp and compatible servers.
//
// It owns a request and its name, the classification of every answer and failure, the dialects of
// endpoints, token counts, prices, the circuit breaker and fallbacks. It is the only package that
// knows go-openai. See [Client.Complete] for one call, [Fallback] for several endpoints, and
// [Error] for how a call can fail.
//
// It refuses to own prompts, chunking and the validation of an answer against its schema
// (internal/summarize), attempts and their backoff (worker), the pace of calls
// (internal/llm/limiter), and the account of what was spent (internal/ledger).
package llm
