package completion

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const good = `{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`

func parse(t *testing.T, body string) Completion {
	t.Helper()
	c, err := Parse([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return c
}

// What does not matter never fails what does: ids, usage and reasons of any type.
func TestAnswerIsReadByItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, finish string }{
		{"plain", good, "stop"},
		{"data after it", good + "\n\ndata: [DONE]", "stop"},
		{"byte order mark", "\xef\xbb\xbf" + good, "stop"},
		{"white space before it", "\n   \n\n" + good, "stop"},
		{"comments before it", ": OPENROUTER PROCESSING\n\n: keep-alive\r\n" + good, "stop"},
		{"odd ids", `{"id":7,"object":null,"created":"now","model":["m"],"choices":[{"index":"0","message":{"role":1,"content":"fine"},"finish_reason":"stop"}]}`, "stop"},
		{"reason null", `{"choices":[{"message":{"content":"fine"},"finish_reason":null}]}`, ""},
		{"reason missing", `{"choices":[{"message":{"content":"fine"}}]}`, ""},
		{"reason as an object", `{"choices":[{"message":{"content":"fine"},"finish_reason":{"type":"stop"}}]}`, "stop"},
		{"reason as a list", `{"choices":[{"message":{"content":"fine"},"finish_reason":["length"]}]}`, "length"},
		{"reason as Gemini's number", `{"choices":[{"message":{"content":"fine"},"finish_reason":2}]}`, "MAX_TOKENS"},
		{"reason as a float", `{"choices":[{"message":{"content":"fine"},"finish_reason":1.0}]}`, "STOP"},
		{"reason as a number that says nothing", `{"choices":[{"message":{"content":"fine"},"finish_reason":151645}]}`, ""},
		{"stop_reason", `{"choices":[{"message":{"content":"fine"},"stop_reason":"max_tokens"}]}`, "max_tokens"},
		{"stop_reason is a sequence", `{"choices":[{"message":{"content":"fine"},"stop_reason":"###"}]}`, ""},
		{"usage as text", `{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":"none"}`, "stop"},
		{"usage as a list", `{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":[1]}`, "stop"},
		{"usage of odd parts", `{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":[],"prompt_tokens_details":"x"}}`, "stop"},
		{"tool_calls of an odd type", `{"choices":[{"message":{"content":"fine","tool_calls":"none","function_call":7,"refusal":null},"finish_reason":"stop"}]}`, "stop"},
		{"one choice without a list", `{"choices":{"message":{"content":"fine"},"finish_reason":"stop"}}`, "stop"},
		{"message as text", `{"choices":[{"message":"fine","finish_reason":"stop"}]}`, "stop"},
		{"text of the older API", `{"choices":[{"text":"fine","finish_reason":"stop"}]}`, "stop"},
		{"delta in place of message", `{"choices":[{"delta":{"content":"fine"},"finish_reason":"stop"}]}`, "stop"},
		{"parts", `{"choices":[{"message":{"content":[{"type":"text","text":"fi"},{"type":"text","text":"ne"}]},"finish_reason":"stop"}]}`, "stop"},
		{"output_text parts", `{"choices":[{"message":{"content":[{"type":"output_text","text":"fine","annotations":[]}]},"finish_reason":"stop"}]}`, "stop"},
		{"nested parts", `{"choices":[{"message":{"content":{"parts":[{"text":"fine"}]}},"finish_reason":"STOP"}]}`, "STOP"},
		{"text with a value", `{"choices":[{"message":{"content":[{"type":"text","text":{"value":"fine"}}]},"finish_reason":"stop"}]}`, "stop"},
		{"strings as parts", `{"choices":[{"message":{"content":["fi","ne"]},"finish_reason":"stop"}]}`, "stop"},
		{"output_text", `{"object":"response","status":"completed","output_text":"fine"}`, "completed"},
		{"output of the Responses API", `{"status":"completed","output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"fine"}]}]}`, "completed"},
		{"Ollama's own API", `{"model":"m","message":{"role":"assistant","content":"fine"},"done":true,"done_reason":"stop"}`, "stop"},
		{"an envelope", `{"success":true,"result":{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}]}}`, "stop"},
		{"JSON in a string", `"{\"choices\":[{\"message\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}"`, "stop"},
		{"an error that is null", `{"error":null,"choices":[{"message":{"content":"fine"},"finish_reason":"stop","error":null}]}`, "stop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := parse(t, tt.body)
			if !c.Answered || c.Text != "fine" || c.Finish != tt.finish || c.Blocked || c.Error != nil {
				t.Errorf("%+v", c)
			}
		})
	}
}

// The JSON that was asked for can come as it is, or as the arguments of a call.
func TestAnswerAsJSON(t *testing.T) {
	t.Parallel()
	const want = `{"summary":"fine"}`
	for name, message := range map[string]string{
		"object":                   `{"content":{"summary": "fine"}}`,
		"tool call":                `{"content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"summary","arguments":"{\"summary\":\"fine\"}"}}]}`,
		"tool call with an object": `{"content":"","tool_calls":[{"function":{"name":"summary","arguments":{"summary":"fine"}}}]}`,
		"function call":            `{"content":null,"function_call":{"name":"summary","arguments":"{\"summary\":\"fine\"}"}}`,
		"tool_use part":            `{"content":[{"type":"tool_use","name":"summary","input":{"summary":"fine"}}]}`,
	} {
		if c := parse(t, `{"choices":[{"finish_reason":"tool_calls","message":`+message+`}]}`); c.Text != want {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := parse(t, `{"choices":[{"message":{"content":[{"summary": "fine"}]}}]}`); c.Text != "["+want+"]" {
		t.Errorf("list: %+v", c)
	}
}

func TestThoughtsBesideTheText(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"reasoning_content": `{"content":"fine","reasoning_content":"hm"}`,
		"reasoning":         `{"content":"fine","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}`,
		"both":              `{"content":"fine","reasoning":"hm","reasoning_content":"hm"}`,
		"thinking":          `{"content":"fine","thinking":"hm"}`,
		"Mistral":           `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"fine"}]}`,
		"Databricks":        `{"content":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"text","text":"fine"}]}`,
		"Gemini":            `{"content":{"parts":[{"text":"hm","thought":true},{"text":"fine"}]}}`,
	} {
		if c := parse(t, `{"choices":[{"message":`+message+`}]}`); c.Text != "fine" || c.Thoughts != "hm" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	want := Completion{Model: "m", Answered: true, Text: "It is fine.", Thoughts: "hm", Finish: "stop", Usage: Usage{Prompt: 7, Completion: 5}}
	chunks := []string{
		`{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
		`{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"reasoning_content":"hm"}}]}`,
		`{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"It is "}}]}`,
		`{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"fine."}}],"usage":null}`,
		`{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}`,
		`{"object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
	}
	for name, body := range map[string]string{
		"events":                "data: " + strings.Join(chunks, "\n\ndata: ") + "\n\ndata: [DONE]\n\n",
		"without [DONE]":        "data: " + strings.Join(chunks, "\n\ndata: ") + "\n\n",
		"without space":         "data:" + strings.Join(chunks, "\n\ndata:") + "\n\n",
		"without empty lines":   "data: " + strings.Join(chunks, "\ndata: ") + "\ndata: [DONE]",
		"with names and CRLF":   "event: message\r\nid: 1\r\ndata: " + strings.Join(chunks, "\r\n\r\nevent: message\r\ndata: ") + "\r\n\r\n",
		"with comments":         ": keep-alive\n\ndata: " + strings.Join(chunks, "\n\n: OPENROUTER PROCESSING\n\ndata: ") + "\n\ndata: [DONE]\n\n",
		"lines of JSON":         strings.Join(chunks, "\n"),
		"a list":                "[" + strings.Join(chunks, ",\n") + "]",
		"over several lines":    "data: {\"object\":\"chat.completion\",\ndata: \"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"It is fine.\",\"reasoning\":\"hm\"},\ndata: \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n",
		"with a mark, and more": "\xef\xbb\xbfdata: " + strings.Join(chunks, "\n\ndata: ") + "\n\ndata: [DONE]\n\nretry: 1",
	} {
		if diff := cmp.Diff(want, parse(t, body)); diff != "" {
			t.Errorf("%s (- wanted, + read):\n%s", name, diff)
		}
	}
	if c := parse(t, "data:"+good+"\n\n"); c.Text != "fine" || c.Usage.Prompt != 7 {
		t.Errorf("one object: %+v", c)
	}
	// A stream that only stops is cut, unless its JSON is whole.
	open := "data: " + strings.Join(chunks[:4], "\n\ndata: ") + "\n\n"
	if c, err := Parse([]byte(open)); !errors.Is(err, io.ErrUnexpectedEOF) || c.Answered {
		t.Errorf("%+v %v", c, err)
	}
	if c := parse(t, `data: {"choices":[{"delta":{"content":"{\"summary\":\"fine\"}"}}]}`+"\n\n"); !c.Answered {
		t.Errorf("%+v", c)
	}
	if _, err := Parse([]byte("data: {\"choices\":[{\"del")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a chunk: %v", err)
	}
}

func TestErrorsInAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		begun      bool
	}{
		{"choice", `{"choices":[{"message":{"content":""},"finish_reason":null,"error":{"code":502,"message":"Upstream error"}}]}`, true},
		{"choice with half a text", `{"choices":[{"message":{"content":"ha"},"finish_reason":"error","error":{"code":502,"message":"Upstream error"}}]}`, true},
		{"beside choices", `{"choices":[{"message":{"content":"ha"},"finish_reason":"length"}],"error":{"code":502,"message":"Upstream error"}}`, true},
		{"in a stream", "data: {\"choices\":[{\"delta\":{\"content\":\"ha\"}}]}\n\ndata: {\"error\":{\"code\":502,\"message\":\"Upstream error\"}}\n\n", true},
		{"first in a stream", "data: {\"error\":{\"code\":502,\"message\":\"Upstream error\"}}\n\n", false},
		{"beside null choices", `{"choices":null,"error":{"code":502,"message":"Upstream error"}}`, false},
	} {
		c := parse(t, tt.body)
		if c.Answered || c.Blocked || c.Begun != tt.begun || string(c.Error) != `{"error":{"code":502,"message":"Upstream error"}}` {
			t.Errorf("%s: %+v %s", tt.name, c, c.Error)
		}
	}
	if c := parse(t, `{"choices":[{"message":{"content":"fine"},"finish_reason":"stop","error":{"message":"logging failed"}}]}`); !c.Answered || c.Text != "fine" {
		t.Errorf("an error beside a whole answer: %+v", c)
	}
	if got := ErrorBody([]byte(": wait\n\nevent: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n")); string(got) != `{"error":{"message":"no"}}` {
		t.Errorf("got %s", got)
	}
	if got := ErrorBody([]byte("\n: x\n {\"error\":\"no\"}")); string(got) != `{"error":"no"}` {
		t.Errorf("got %s", got)
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"object":"chat.completion","usage":{"prompt_tokens":300,"completion_tokens":0}}`: true,
		`{"choices":[],"usage":{"prompt_tokens":300}}`:                                     true,
		`{"choices":null,"usage":{"prompt_tokens":"300","completion_tokens":0}}`:           true,
		`{"promptFeedback":{"blockReason":"SAFETY"}}`:                                      true,
		`{"choices":[]}`: false,
		`{}`:             false,
		`{"error":{"message":"no"},"usage":{"prompt_tokens":300}}`:                                       false,
		`{"choices":[{"message":{"content":null}}],"usage":{"prompt_tokens":300,"completion_tokens":0}}`: false,
	} {
		if c := parse(t, body); c.Blocked != want {
			t.Errorf("%s: %+v", body, c)
		}
	}
}

func TestNoCompletion(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "  ", "<html>", "[1,2]", "7", `"text"`, `{"choices":[{"message":{"content":"fi`, "data: \n\n", "data: [DONE]", ": only a comment", "null", "[]"} {
		if c, err := Parse([]byte(body)); err == nil {
			t.Errorf("%q: %+v", body, c)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for usage, want := range map[string]Usage{
		`{"prompt_tokens":312,"completion_tokens":41,"total_tokens":353}`:                                               {Prompt: 312, Completion: 41},
		`{"prompt_tokens":312.0,"completion_tokens":41.0}`:                                                              {Prompt: 312, Completion: 41},
		`{"prompt_tokens":"312","completion_tokens":" 41.7 "}`:                                                          {Prompt: 312, Completion: 41},
		`{"prompt_tokens":3.12e2,"completion_tokens":null}`:                                                             {Prompt: 312},
		`{"prompt_tokens":-5,"completion_tokens":1e300}`:                                                                {Completion: maxUsage},
		`{"prompt_tokens":true,"completion_tokens":"many"}`:                                                             {},
		`{"input_tokens":312,"output_tokens":41}`:                                                                       {Prompt: 312, Completion: 41},
		`{"completion_tokens":41,"total_tokens":353}`:                                                                   {Prompt: 312, Completion: 41},
		`{"prompt_tokens":312,"total_tokens":353}`:                                                                      {Prompt: 312, Completion: 41},
		`{"prompt_tokens":0,"completion_tokens":41,"total_tokens":41}`:                                                  {Completion: 41},
		`{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":6}}`: {Prompt: 10, Completion: 2, Cached: 4, CacheWrite: 6},
		`{"prompt_tokens":10,"completion_tokens":2,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2}`:           {Prompt: 10, Completion: 2, Cached: 8},
		`{"prompt_tokens":10,"completion_tokens":2,"cached_tokens":8}`:                                                  {Prompt: 10, Completion: 2, Cached: 8},
		`{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":"30"}}`:                     {Prompt: 40, Completion: 2, Cached: 30},
		`{"prompt_tokens":10,"completion_tokens":2,"cache_read_input_tokens":20,"cache_creation_input_tokens":5}`:       {Prompt: 35, Completion: 2, Cached: 20, CacheWrite: 5},
		`{"prompt_tokens":10,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":7.0}}`:               {Prompt: 10, Completion: 9, Reasoning: 7},
		`{"prompt_tokens":10,"completion_tokens":9,"cost":"0.0012"}`:                                                    {Prompt: 10, Completion: 9, Cost: 0.0012, HasCost: true},
	} {
		c := parse(t, `{"choices":[{"message":{"content":"fine"}}],"usage":`+usage+`}`)
		if diff := cmp.Diff(want, c.Usage); diff != "" || c.Text != "fine" {
			t.Errorf("%s (- wanted, + read):\n%s", usage, diff)
		}
	}
}

func TestDecompress(t *testing.T) {
	t.Parallel()
	packed := func(pack func(io.Writer) io.WriteCloser, body []byte) []byte {
		var b bytes.Buffer
		w := pack(&b)
		_, _ = w.Write(body)
		_ = w.Close()
		return b.Bytes()
	}
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zl := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	fl := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f }
	plain := []byte(good)
	for _, tt := range []struct {
		name, encoding string
		body           []byte
	}{
		{"plain", "", plain},
		{"gzip without a header", "", packed(gz, plain)},
		{"gzip", "gzip", packed(gz, plain)},
		{"gzip twice", "gzip, gzip", packed(gz, packed(gz, plain))},
		{"deflate", "deflate", packed(zl, plain)},
		{"deflate without its frame", "Deflate", packed(fl, plain)},
		{"a wrong header", "br", plain},
		{"another wrong header", "deflate", plain},
	} {
		if got, err := Decompress(tt.body, tt.encoding, 1<<20); err != nil || string(got) != good {
			t.Errorf("%s: %q %v", tt.name, got, err)
		}
	}
	if _, err := Decompress([]byte{0x0b, 0x02, 0x80}, "br", 1<<20); !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), "br") {
		t.Errorf("br: %v", err)
	}
	if _, err := Decompress(packed(gz, make([]byte, 1<<16)), "gzip", 1<<10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a bomb: %v", err)
	}
	half := packed(gz, plain)
	if _, err := Decompress(half[:len(half)/2], "gzip", 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("data: " + good + "\n\ndata: [DONE]"))
	f.Add([]byte(`{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{}]},{"text":{"value":"x"}}]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Parse(body)
		if err != nil && c.Answered || c.Answered && (c.Blocked || c.Error != nil) {
			t.Errorf("%+v %v", c, err)
		}
		if u := c.Usage; min(u.Prompt, u.Completion, u.Cached, u.CacheWrite, u.Reasoning) < 0 || max(u.Prompt, u.Completion) > maxUsage {
			t.Errorf("%+v", u)
		}
		_, _ = Decompress(body, "deflate", 1<<16)
	})
}
