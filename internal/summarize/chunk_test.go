package summarize

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// checkChunks checks what split guarantees.
func checkChunks(t *testing.T, text string, budget int, chunks []chunk, count counter) {
	t.Helper()
	budget = max(budget, 16)
	at := 0
	for i, c := range chunks {
		if c.start != at || c.end <= c.start || c.overlap > c.start {
			t.Fatalf("chunk %d is %+v, the one before ends at %d", i, c, at)
		}
		at = c.end
		if c.tokens > budget {
			t.Errorf("chunk %d has %d tokens, the budget is %d", i, c.tokens, budget)
		}
		again := 0
		if c.overlap < c.start {
			again = count(text[c.overlap:c.start])
		}
		if again > budget/overlapShare {
			t.Errorf("chunk %d reads %d tokens again, a budget of %d allows %d", i, again, budget, budget/overlapShare)
		}
		if i > 0 && c.overlap <= chunks[i-1].start && chunks[i-1].end-chunks[i-1].start > 0 && c.overlap != c.start {
			t.Errorf("chunk %d reads all of the one before again", i)
		}
		if utf8.ValidString(text) && !utf8.ValidString(c.text(text)) {
			t.Errorf("chunk %d splits a character", i)
		}
	}
	if at != len(text) {
		t.Fatalf("the chunks end at %d of %d", at, len(text))
	}
}

// bytesCounter counts every byte as a token. That is the most that a tokenizer may count, and
// the sum does not depend on how the text is cut.
func bytesCounter(s string) int { return len(s) }

func FuzzSplit(f *testing.F) {
	f.Add("# A\n\nText one. Text two.\n\n## B\n\nMore.", 20)
	f.Add(strings.Repeat("é", 100), 17)
	f.Add("\x80\x80\x80```\n# no heading\n```\n", 16)
	f.Add("   \n\n  ", 1)
	f.Add(strings.Repeat("Word ", 300)+"\n\n\n"+strings.Repeat("x", 900), 64)
	f.Fuzz(func(t *testing.T, text string, budget int) {
		budget = min(max(budget, 0), 1<<20)
		chunks := split(text, budget, bytesCounter)
		checkChunks(t, text, budget, chunks, bytesCounter)
	})
}

func TestSplitCoversTheText(t *testing.T) {
	t.Parallel()
	book := opticks(t)
	texts := map[string]string{
		"opticks":      book[:200_000],
		"one word":     strings.Repeat("x", 50_000),
		"no sentence":  strings.Repeat("word ", 10_000),
		"empty lines":  strings.Repeat("\n", 5_000),
		"wide letters": strings.Repeat("光學", 9_000),
		"lines":        strings.Repeat("1,2,3\n", 9_000),
		"joined emoji": strings.Repeat("👩‍👩‍👧", 2_000),
		"one letter":   "a",
		"bad encoding": strings.Repeat("\xff\xfe ", 4_000),
	}
	for name, text := range texts {
		for _, budget := range []int{0, 16, 100, 1000, 6000, 1 << 20} {
			checkChunks(t, text, budget, split(text, budget, quarter), quarter)
		}
		if got := split(text, len(text)+16, quarter); len(got) != 1 {
			t.Errorf("%s: %d chunks for a budget that holds it all", name, len(got))
		}
	}
	if got := split("", 100, quarter); len(got) != 0 {
		t.Errorf("an empty text gives %v", got)
	}
}

func TestSplitKeepsStructure(t *testing.T) {
	t.Parallel()
	para := strings.TrimSpace(strings.Repeat("This sentence is here to fill the section up. ", 6))
	text := "# One\n\n" + para + "\n\n" + para + "\n\n## Two\n\n" + para + "\n\n" + para + "\n\n## Three\n\n" + para + "\n\n" + para + "\n"
	chunks := split(text, quarter(text)/3+30, quarter)
	if len(chunks) != 3 {
		t.Fatalf("%d chunks, want 3", len(chunks))
	}
	for i, want := range []string{"# One", "## Two", "## Three"} {
		if got := chunks[i].text(text); !strings.HasPrefix(got, want) {
			t.Errorf("chunk %d begins %.20q, want %q", i, got, want)
		}
		if chunks[i].overlap != chunks[i].start {
			t.Errorf("chunk %d overlaps at a heading", i)
		}
	}

	// A paragraph that has to be cut is cut between sentences, and a little is read twice.
	long := strings.Repeat("Light is bent. ", 400)
	for i, c := range split(long, 500, quarter) {
		if s := c.text(long); !strings.HasPrefix(s, "Light") {
			t.Errorf("chunk %d begins %.20q", i, s)
		}
		if i > 0 && c.overlap == c.start {
			t.Errorf("chunk %d of a cut paragraph has no overlap", i)
		}
	}

	// A table stays whole where there is another place to cut.
	table := para + "\n\n" + para + "\n\n" + strings.Repeat("| a | b |\n", 40)
	if parts := split(table, quarter(table)*3/4, quarter); len(parts) != 2 || !strings.HasPrefix(parts[1].text(table), "| a") {
		t.Errorf("%d parts, the last begins %.20q", len(parts), parts[len(parts)-1].text(table))
	}

	// Chunks are about equal: no short rest.
	book := opticks(t)
	list := split(book, 6000, quarter)
	if last := list[len(list)-1]; last.tokens < 3000 {
		t.Errorf("the last of %d chunks has %d tokens of 6000", len(list), last.tokens)
	}
	if least := quarter(book)/6000 + 1; len(list) > least*5/4 {
		t.Errorf("%d chunks, %d would do", len(list), least)
	}
}

func TestSplitTakesLinearTime(t *testing.T) {
	t.Parallel()
	// The shapes that make quadratic splitters crawl; 1 MB each.
	for name, text := range map[string]string{
		"one word":   strings.Repeat("x", 1<<20),
		"one line":   strings.Repeat("word ", 1<<20/5),
		"headings":   strings.Repeat("# a\n", 1<<18),
		"full stops": strings.Repeat(".", 1<<20),
		"blank":      strings.Repeat("\n", 1<<20),
	} {
		start := time.Now()
		split(text, 1000, quarter)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: 1 MB took %v", name, d)
		}
	}
}

func TestCountOfPiecesIsThatOfTheWhole(t *testing.T) {
	t.Parallel()
	words := func(s string) int { return len(strings.Fields(s)) }
	text := opticks(t)[:100_000]
	if got, want := counter(words).count(text), words(text); got != want {
		t.Errorf("counted %d words, want %d", got, want)
	}
}

func BenchmarkSplit(b *testing.B) {
	book := opticks(b)
	b.SetBytes(int64(len(book)))
	for b.Loop() {
		split(book, 6000, quarter)
	}
}
