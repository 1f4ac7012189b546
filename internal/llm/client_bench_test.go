package llm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// discarding is a transport that reads requests to their end and always gives the same answer.
type discarding struct{ answer string }

func (d discarding) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(d.answer)), ContentLength: int64(len(d.answer)),
	}, nil
}

// BenchmarkComplete makes calls without a network: it writes the request, reads the answer, and
// does everything else that the client does for a call.
func BenchmarkComplete(b *testing.B) {
	content, err := json.Marshal(`{"summary":"` + strings.Repeat(`The \"committee\" met on Tuesday and agreed to build the bridge in spring. `, 8) + `","points":[]}`)
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{8, 100} {
		b.Run(fmt.Sprintf("%dKB", size), func(b *testing.B) {
			answer := fmt.Sprintf(`{"id":"1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant",`+
				`"content":%s,"refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":120,"prompt_tokens_details":{"cached_tokens":0}}}`,
				content, size*250)
			c, err := New(Config{BaseURL: "http://endpoint.example", APIKey: "sk-test", HTTPClient: &http.Client{Transport: discarding{answer}}})
			if err != nil {
				b.Fatal(err)
			}
			r := testRequest(strings.Repeat("The river rose in the night \"again\" and took the bridge.\n", size*1000/58))
			r.Schema = testSchema
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Complete(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
