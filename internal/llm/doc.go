// Package llm calls chat models that speak the OpenAI API: OpenAI itself, Azure
// OpenAI, vLLM, Ollama, llama.cpp and what imitates them.
//
// It owns the request and its name, the one classification of everything an
// endpoint can answer, the pause after a 429, token counts and prices. It is the
// only package that knows go-openai.
//
// It refuses to own prompts, chunking and the validation of an answer against
// its schema (internal/summarize), attempts and their backoff (worker), and the
// account of what was spent (internal/ledger).
package llm
