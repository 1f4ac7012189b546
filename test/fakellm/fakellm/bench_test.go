package fakellm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// BenchmarkHandler measures the endpoint without the network: its cost beyond net/http.
func BenchmarkHandler(b *testing.B) {
	cfg := fakellm.Defaults()
	cfg.Record = false
	s, err := fakellm.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	body := `{"model":"fake","messages":[{"role":"system","content":"Summarize."},{"role":"user","content":"` +
		strings.Repeat("The quick brown fox jumps over the lazy dog near the river bank. ", 30) + `"}],"max_tokens":400,"temperature":0,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":` +
		`{"type":"object","required":["summary","points"],"additionalProperties":false,"properties":{"summary":{"type":"string"},"points":{"type":"array","items":{"type":"string"}}}}}}}`
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
}
