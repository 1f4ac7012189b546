package fakellm

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestScanRequest compares with encoding/json, which is right by definition.
func TestScanRequest(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, ` { "model" : "m" } `,
		`{"temperature":0,"model":"m","messages":[{"role":"user","content":"a\"b\\"},{"content":"é \u00e9\n","role":"system","name":null}],"max_tokens":5,"stream":false,"x":{"y":[1,{"z":"}"}]}}`,
		`{"messages":[],"max_completion_tokens":7,"response_format":{"type":"json_schema","json_schema":{"schema":{"a":["]"]}}}}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"parts"}]}]}`,
		`{"model":null,"max_tokens":1.0}`, `{"max_tokens":1e2}`, `{"messages":null}`, `{"response_format":null}`,
		``, `{`, `[]`, `{"model":"m"`, `{"model":"m"}x`, `{"model":5}`, `{"a":}`, `{"model":"m",}`, `{"messages":[{"role":"user"]}`, `"x"`, `{"model":"\x"}`,
	} {
		got, gotErr := scanRequest([]byte(body))
		var want request
		wantErr := json.Unmarshal([]byte(body), &want)
		if (gotErr == nil) != (wantErr == nil) || wantErr == nil && got.prompt() != want.prompt() {
			t.Errorf("%s: %+v, %v; want %+v, %v", body, got, gotErr, want, wantErr)
		}
		if wantErr == nil && (len(got.Messages) != len(want.Messages) || got.Model != want.Model || got.cap() != want.cap() || !reflect.DeepEqual(got.ResponseFormat, want.ResponseFormat)) {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}

func FuzzScanRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"a\"b"}],"max_tokens":5,"x":[1,"]"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want request
		if json.Unmarshal(body, &want) != nil {
			return // invalid JSON may be accepted; it must not panic
		}
		got, err := scanRequest(body)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		_ = got
	})
}
