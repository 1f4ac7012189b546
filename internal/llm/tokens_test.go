package llm

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktoken-go/tokenizer"
)

func TestTokenizerByModel(t *testing.T) {
	t.Parallel()
	// "नमस्ते दुनिया" has 11 tokens in cl100k_base and 4 in o200k_base. OpenAI's announcement of
	// GPT-4o counts 2.9 times fewer tokens for Hindi.
	const text = "नमस्ते दुनिया"
	o200k, cl100k := TokenizerFor("gpt-4o").Count(text), TokenizerFor("gpt-4").Count(text)
	if o200k >= cl100k {
		t.Fatalf("o200k %d, cl100k %d", o200k, cl100k)
	}
	tests := []struct {
		model string
		count int
		exact bool
	}{
		{"gpt-4o-mini", o200k, true}, {"gpt-4.1-nano-2025-04-14", o200k, true}, {"o3", o200k, true}, {"gpt-5.4", o200k, true},
		{"openai/gpt-4o", o200k, true}, {"ft:gpt-4o-mini:org::x", o200k, true}, {"gpt-oss-120b", o200k, true}, {"GPT-4O", o200k, true},
		{"gpt-4-turbo", cl100k, true}, {"gpt-3.5-turbo", cl100k, true}, {"gpt-35-turbo", cl100k, true}, {"gpt-4-0613", cl100k, true},
		{"llama3.1:8b", o200k, false}, {"", o200k, false}, {"our-deployment", o200k, false},
	}
	for _, tt := range tests {
		tok := TokenizerFor(tt.model)
		if got := tok.Count(text); got != tt.count || tok.exact != tt.exact {
			t.Errorf("%s: %d tokens, exact %v; want %d, %v", tt.model, got, tok.exact, tt.count, tt.exact)
		}
	}
}

func TestCountKnown(t *testing.T) {
	t.Parallel()
	tok := TokenizerFor("gpt-4o")
	for text, want := range map[string]int{"": 0, "hello world": 2, "Hello, world!": 4, "tiktoken is great!": 6} {
		if got := tok.Count(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := tok.countMessages([]Message{{RoleSystem, "hello world"}, {RoleUser, "hello world"}}); got != 3+2*(4+2) {
		t.Errorf("messages: %d", got)
	}
	plain := testRequest("hello world")
	structured := plain
	structured.Schema = testSchema
	if CountRequest(structured) <= CountRequest(plain) {
		t.Error("the schema counts nothing")
	}
}

// corpus is real text: Newton's Opticks and Go source are part of every Go installation.
func corpus(tb testing.TB) map[string]string {
	tb.Helper()
	out := map[string]string{
		"french":  strings.Repeat("Les élèves ont été très étonnés par la réponse du maître d'école, dont l'âge était déjà avancé. ", 50),
		"german":  strings.Repeat("Die Donaudampfschifffahrtsgesellschaft fährt über die grüne Brücke bei Österreichs größter Stadt. ", 50),
		"russian": strings.Repeat("Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. ", 50),
		"greek":   strings.Repeat("Όλες οι ευτυχισμένες οικογένειες μοιάζουν μεταξύ τους, κάθε δυστυχισμένη είναι δυστυχισμένη με τον δικό της τρόπο. ", 50),
		"chinese": strings.Repeat("幸福的家庭都是相似的，不幸的家庭各有各的不幸。", 100),
		"japane":  strings.Repeat("幸福な家庭はどれも似たものだが、不幸な家庭はいずれもそれぞれに不幸なものである。", 100),
		"korean":  strings.Repeat("행복한 가정은 모두 모습이 비슷하고, 불행한 가정은 모두 제각각의 불행을 안고 있다. ", 100),
		"hindi":   strings.Repeat("सभी सुखी परिवार एक जैसे होते हैं, हर दुखी परिवार अपने तरीके से दुखी होता है। ", 100),
		"arabic":  strings.Repeat("كل العائلات السعيدة متشابهة، لكن كل عائلة تعيسة تعيسة على طريقتها الخاصة. ", 100),
		"table":   strings.Repeat("2024-01-17 | 1,284.50 | 0.0031 | EUR | -12.7% |\n", 200),
		"csv":     strings.Repeat("100234,\"Smith, J.\",4.25,17,,NULL,8f3a\n", 200),
	}
	goroot := goRoot(tb)
	for name, path := range map[string]string{
		"opticks": "src/testdata/Isaac.Newton-Opticks.txt",
		"source":  "src/net/http/server.go",
		"json":    "src/cmd/go/testdata/script/README",
	} {
		b, err := os.ReadFile(filepath.Join(goroot, path))
		if err != nil {
			tb.Logf("%s is not installed: %v", path, err)
			continue
		}
		out[name] = string(b[:min(len(b), 200<<10)])
	}
	return out
}

// goRoot returns the folder of the Go installation that runs the tests.
func goRoot(tb testing.TB) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatalf("find the Go installation: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestCountOfPieces: cutting a text into pieces hardly changes its count.
func TestCountOfPieces(t *testing.T) {
	t.Parallel()
	codec, err := tokenizer.Get(tokenizer.O200kBase)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range corpus(t) {
		want, err := codec.Count(text)
		if err != nil {
			t.Fatal(err)
		}
		got := TokenizerFor("gpt-4o").Count(text)
		if diff := got - want; diff < -3 || diff > 3+len(text)/(2*countRun) {
			t.Errorf("%s: %d in pieces, %d whole", name, got, want)
		}
	}
}

func TestEstimateIsAbove(t *testing.T) {
	t.Parallel()
	tok := TokenizerFor("gpt-4o")
	for name, text := range corpus(t) {
		count, estimate := tok.Count(text), EstimateTokens(text)
		t.Logf("%-8s %7d bytes, %6d tokens, estimate %6d (%.2f)", name, len(text), count, estimate, float64(estimate)/float64(count))
		if estimate < count {
			t.Errorf("%s: estimate %d is below the count %d", name, estimate, count)
		}
		if estimate > 4*count {
			t.Errorf("%s: estimate %d is no use for a count of %d", name, estimate, count)
		}
	}
	if EstimateTokens("") > 1 {
		t.Error("nothing is estimated as more than one token")
	}
}

// TestCountIsBounded: the time is linear in the length of any text. A megabyte of prose takes
// about 0.2 s, the worst of these texts about 0.8 s.
func TestCountIsBounded(t *testing.T) {
	t.Parallel()
	const size = 32 << 10
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(alphabet string) string {
		runes := []rune(alphabet)
		var b strings.Builder
		for b.Len() < size {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		return b.String()
	}
	tok := TokenizerFor("gpt-4o")
	tok.Count("load the vocabulary")
	for name, text := range map[string]string{
		"one letter":   strings.Repeat("a", size),
		"spaces":       strings.Repeat(" ", size),
		"newlines":     strings.Repeat("\n", size),
		"tabs, spaces": strings.Repeat(" \t", size/2),
		"punctuation":  strings.Repeat("=", size),
		"digits":       noise("0123456789"),
		"letters":      noise("abcdefghijklmnopqrstuvwxyz"),
		"base64":       noise("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
		"symbols":      noise("!@#$%^&*()_+{}|:<>?"),
		"cjk":          noise("的一是不了人我在有他这为之大来以个中上们"),
		"emoji":        noise("😀😁😂🤣😃😄😅😆"),
		"combining":    "a" + strings.Repeat("\u0301", size/2),
		"not UTF-8":    strings.Repeat("\xff\xfe", size/2),
		"apostrophes":  strings.Repeat("'s", size/2),
	} {
		start := time.Now()
		n := tok.Count(text)
		took := time.Since(start)
		t.Logf("%-12s %7d tokens in %s", name, n, took.Round(time.Millisecond))
		if n == 0 || n > len(text) {
			t.Errorf("%s: %d tokens of %d bytes", name, n, len(text))
		}
		if limit := 20 * time.Second; took > limit { // quadratic time would be minutes
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestCountConcurrently(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Count me from many goroutines at once, please. ", 200)
	want := TokenizerFor("gpt-4o").Count(text)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got := TokenizerFor("gpt-4o").Count(text); got != want {
					t.Errorf("%d, want %d", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzSplit repeats a short text, because long inputs slow the fuzzer down.
func FuzzSplit(f *testing.F) {
	f.Add("word ", uint16(2000))
	f.Add("x", uint16(9000))
	f.Add("\xffé ", uint16(30000))
	f.Fuzz(func(t *testing.T, unit string, times uint16) {
		text := strings.Repeat(unit, min(int(times), (1<<18)/(len(unit)+1)))
		covered := 0
		for rest := text; rest != ""; {
			n := splitPoint(rest)
			if n <= 0 || n > len(rest) || n > countPiece+4 {
				t.Fatalf("split at %d of %d", n, len(rest))
			}
			covered += n
			rest = rest[n:]
		}
		if covered != len(text) {
			t.Fatalf("covered %d of %d bytes", covered, len(text))
		}
	})
}

func BenchmarkCountOpticks(b *testing.B) {
	text := corpus(b)["opticks"]
	if text == "" {
		b.Skip("Opticks is not installed with this Go")
	}
	tok := TokenizerFor("gpt-4o")
	tok.Count("load")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Count(text)
	}
}

func BenchmarkEstimateOpticks(b *testing.B) {
	text := corpus(b)["opticks"]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		EstimateTokens(text)
	}
}
