package summarize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/llm"
)

// Ledgers hold these hashes and names. If one of them changes, every document that has a
// summary under the profile is paid for again.
func TestHashesAndNames(t *testing.T) {
	t.Parallel()
	doc := Document{URI: "reports/2024.txt", Title: "Annual report", Text: "Sales grew by 4 % to 1,200 euros.\n\nGrüße — 東京."}
	const instruction = "List the risks in {{.Title}} ({{.URI}}):\n{{.Text}}\n"
	schema := json.RawMessage("{\"type\": \"object\",\n \"properties\": {\"risks\": {\"type\": \"array\"}, \"summary\": {\"type\": \"string\"}}}")
	for _, c := range []struct {
		name       string
		p          Profile
		hash, want string
	}{
		{"built-in prompt", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400},
			"38aeaafbd1c2b2ad41d0ab94fec3c27b3546870eee469ea93923a6ddcd921c53", "e1b8d8af3eb00fb69d9db0b22d1eb88534681fe2be04024065d9583e6601cc95"},
		{"other parameters", Profile{Model: "llama3.2", Words: 60, MaxOutputTokens: 1000, Temperature: 0.3},
			"182edf2faff351ec843886b789219eeaa0e5d42a2b791381f67b3e6a80d49d50", "c4e2cd1ed543cc22aa83a08533dadf1e8cfc1ac2eb128ab96c6d832d7f08bb7f"},
		{"own prompt", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Prompt: instruction},
			"b70e8ecb46deb147040255b1b6e1834e2baf99203e496c2f60226c17c6716d52", "4a5df47cb06247f84ac49998473a585b5452d1bf8df7376baa6a8b13c608a29c"},
		{"own prompt on the text alone", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Prompt: "Name the topic."},
			"83d57f266f040d119355b3679af494bbb5e7510f77d48ba597c0719bcb4f6a36", "18de96c51bc215e5b9197356e42573ef56fcca11d128be2a63900e9a697bcf50"},
		{"schema", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Schema: schema},
			"c9ea7ac32e1891661c90337e5a917df7d6efe79b8c5dd917cf5d74b56be8a55c", "71518a8fca2c0c2dd671f2c9644b6cedd8ce2dcddd4035d5e5b1e62d5e5cadc2"},
		{"own prompt and schema", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Prompt: instruction, Schema: schema, Temperature: 1},
			"52782163e4c185fb357118f608a8106bc1afa607198ca9b51469e1308f92f5da", "ad4aebea4405f7a1cbf7c539d6eae45c624865efe734fe7c81e1bea31c7edd1f"},
		{"extractive", Profile{Model: Extractive, Words: 150},
			"c9025463e9b76d7f0953c8efa38f88ccfdf9a0f954dac02bac340759463f8651", "a991c7f3454d8cdf3a1cc7ba99f2507ee68d1547026d103ed29999f878df4098"},
		{"v2", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, PromptVersion: PromptV2},
			"263ece1295f0062ca61adbdc3868aa8eef2d48e1672869807e5c99431904b0e4", "86a7404f0e2684b2275f7a8ce865a993c6630611d2c7c7c36e568ef0d336ef58"},
		{"v2 with all", Profile{Model: "gpt-4o-mini", Words: 60, MaxOutputTokens: 1_000_000, PromptVersion: PromptV2,
			Prompt: instruction, Schema: schema, Temperature: 0.3},
			"698f1167b56b9c294862245378f338a1ce90607c4fff1f58d02556176e0b7f06", "a8f77f3b92e1fabb757d0a79b71fd8dfbcfc0026f2cb57cdeea32223f05232d9"},
		{"language", Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, PromptVersion: PromptV2, Language: "pt-BR"},
			"04bf68e096248f06208cb1226824054f0fec6f1ffc8fbccedb3f419121b2c2a2", "5c25082999806bdd78bc3910d95910455b0f0f933ccb938f2566aab7f591cda6"},
	} {
		if got := c.p.Hash(); got != c.hash {
			t.Errorf("%s: hash %s, want %s", c.name, got, c.hash)
		}
		if got := c.p.Namer()(doc); got != c.want {
			t.Errorf("%s: name %s, want %s", c.name, got, c.want)
		}
	}
}

// Ledgers keep answers under the names of their requests. These are the requests for a
// document that is read whole, for one that is read in chunks and merged, and for repairs,
// with profiles of every kind.
func TestRequestsOfV1(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&long, "Sentence %d says that sales in region %d grew by %d euros in May. ", i, i%17, 100+i)
		if i%9 == 8 {
			long.WriteString("\n\n")
		}
	}
	const want = "234 requests, f0c6b53283931c32efe39f4b8edb9a4cd662aee9cfcfd34ff8ceb24ae31c7260"
	if got := requestsOf(t, PromptV1, long.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A document whose language is not certain has the same requests as before prompts named the
// language.
func TestRequestsOfV2WithoutALanguage(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&long, "Region %d: %d, %d; %d euros. ", i, i%17, 100+i, 3*i)
		if i%9 == 8 {
			long.WriteString("\n\n")
		}
	}
	const want = "146 requests, 7c66a0c9e863687fae8019694481807771127d924e64e5a3df87d14c5c99c475"
	if got := requestsOf(t, PromptV2, long.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// requestsOf returns the number of requests for a short and a long document, and a hash of
// their names.
func requestsOf(t *testing.T, version, long string) string {
	t.Helper()
	h := sha256.New()
	requests := 0
	for _, p := range []Profile{
		{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400},
		{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Temperature: 0.5, Prompt: "List the risks in {{.Title}} ({{.URI}}):\n{{.Text}}\n"},
		{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400, Prompt: "Name the topic.",
			Schema: json.RawMessage(`{"type":"object","properties":{"summary":{"type":"string","minLength":12}},"required":["summary"]}`)},
	} {
		for _, text := range []string{"Sales grew by 4 % to 1,200 euros.", long} {
			doc := Document{URI: "reports/2024.txt", Title: "Annual report", Text: text}
			for _, answer := range []string{"echo", "", "prose", `{"other":1}`, `{"summary":"ab` + strings.Repeat("\u200b", 12) + `"}`} {
				m := &scripted{}
				if answer != "echo" {
					m.answer = func(int, llm.Request) (llm.Response, error) {
						return llm.Response{Content: answer, FinishReason: llm.FinishStop}, nil
					}
				}
				// Some answers are refused twice: only the requests count here.
				_, _ = engine(t, p.WithPromptVersion(version), m, 4096, WithConcurrency(1)).Summarize(t.Context(), doc)
				requests += len(m.calls)
				writeParts(h, m.names()...)
			}
		}
	}
	return fmt.Sprintf("%d requests, %s", requests, hex.EncodeToString(h.Sum(nil)))
}
