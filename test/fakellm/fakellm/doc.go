// Package fakellm is an OpenAI-compatible endpoint for tests and benchmarks. It answers at
// once, costs nothing, and fails on demand.
//
// It owns the protocol (chat completions, Azure's path, models), deterministic answers,
// latency, rate limits charged at admission, faults, and a record of every call. It makes no
// assertions: a test reads the record and decides.
//
// A Server is an http.Handler. The command in the parent folder serves one; tests in this
// process pass one to httptest.NewServer.
package fakellm
