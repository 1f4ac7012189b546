// Package fakellm is an OpenAI-compatible endpoint for tests and benchmarks: it
// answers at once, for nothing, and fails on demand.
//
// It owns the protocol (chat completions, Azure's path, models), deterministic
// answers, latency, rate limits charged at admission, faults, and a ledger of
// every call. It refuses to own assertions: a test asks the ledger and decides.
//
// A Server is an http.Handler. The command in the folder above serves one; tests
// in this process put one into httptest.NewServer.
package fakellm
