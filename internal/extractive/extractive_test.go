package extractive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/extractive"
)

func summarize(t *testing.T, title, text string, words int) string {
	t.Helper()
	s, err := extractive.Summarize(t.Context(), title, text, words)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// report is a text of several sections with everything a summary should not show.
const report = `# The mill

- [Home](/)
- [About](/about)

## 1 Introduction

People have ground grain beside the river for seven hundred years. The mill was bought by the village last year. This paper trail is long and nobody has read all of it. The mill will produce flour and electricity for the village from next summer.

## 2 The wheel

The wheel of the mill is eleven metres wide and was built of oak. Table 2 shows the parts of the wheel of the mill that were replaced by the village. However, it has to be replaced by steel where the water is deepest. Work on the wheel of the mill begins in March and ends before the summer [12]. See https://mill.example/wheel for pictures of the wheel of the mill.

| part | price |
|---|---|
| wheel of the mill | 12,000 |
| village | The mill of the village is here. |

` + "```\nvar mill = wheel.of(village). The mill of the village is code.\n```" + `

## 3 The money

The village pays half of the price of the mill, the state the other half (Miller and Sons, 2019; Baker, 2020). Flour from the mill will be sold in the shop of the village. A loan of 90,000 covers what is left after the sale of the old machines.

## 4 Outlook

The mill should pay for itself within twelve years. The village will decide on a second wheel when the first one has run for a year. Children from the school have painted the door.
`

func TestSummarizeTakesCleanSentencesInOrder(t *testing.T) {
	t.Parallel()
	const words = 60
	s := summarize(t, "The mill", report, words)
	if n := len(strings.Fields(s)); n < words*7/10 || n > words*11/10 {
		t.Errorf("%d words for %d: %s", n, words, s)
	}
	for _, bad := range []string{"|", "#", "`", "[", "](", "http", "var mill", "12,000", "Introduction", "2019", "Table 2", "However"} {
		if strings.Contains(s, bad) {
			t.Errorf("%q in the summary: %s", bad, s)
		}
	}
	at := 0
	for _, sentence := range strings.SplitAfter(s, ". ") {
		i := strings.Index(report[at:], strings.TrimSuffix(strings.TrimSpace(sentence), "."))
		if i < 0 {
			t.Fatalf("not a sentence of the text, or out of order: %q", sentence)
		}
		at += i
	}
}

func TestSummarizeTakesNotesAndCitationsOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"It ends before the summer [12]. So it is.":                       "It ends before the summer. So it is.",
		"The rest is known (Miller and Sons, 2019; Baker et al., 2020a).": "The rest is known.",
		"It was built (in 1999) by hand.":                                 "It was built (in 1999) by hand.",
		"See **the [guide](http://x.example)** and _this_ snake_case.":    "See the guide and this snake_case.",
		"> It was\n> so.":                             "It was so.",
		"- One thing.\n- Another thing.":              "One thing. Another thing.",
		"\"We are done. It is over.\" Then she left.": "We are done. It is over. Then she left.",
		"# Only\n\n## Headings":                       "Only Headings",
		"那是一天。他来了。":                                   "那是一天。他来了。",
		"  ":                                          "",
	} {
		if got := summarize(t, "", text, 50); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestSummarizeWithoutSentences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		words int
		want  string
	}{
		"a list of words":  {strings.Repeat("alpha beta gamma ", 100), 4, "alpha beta gamma alpha"},
		"a table":          {strings.Repeat("| a | b |\n", 100), 4, "| a | b"},
		"one word of data": {strings.Repeat("x", 1<<20), 150, strings.Repeat("x", 64)},
		"no words wanted":  {report, 0, ""},
		"small letters":    {strings.Repeat("so we talk like this in the chat. and nobody minds at all. ", 20), 8, "so we talk like this in the chat."},
		"one long":         {"The mill " + strings.Repeat("of the village ", 10) + "is old. " + "No" + strings.Repeat(" no", 300), 5, "The mill " + strings.Repeat("of the village ", 10) + "is old."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := summarize(t, "", c.text, c.words); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// essay writes n different sentences about nothing in particular.
func essay(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, seed))
	noun := func() string {
		syllables := strings.Fields("ba ke lo mi nu pa re so ti vu")
		return syllables[r.IntN(10)] + syllables[r.IntN(10)] + syllables[r.IntN(3)] + "n"
	}
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "The %s of the %s was in the %s before they saw the %s. ", noun(), noun(), noun(), noun())
		if i%7 == 6 {
			b.WriteString("\n\n")
		}
	}
	return b.String()
}

func TestSummarizeIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	text := essay(1, 3000)
	want := summarize(t, "The mill", text, 150)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if got, err := extractive.Summarize(t.Context(), "The mill", text, 150); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	wait.Wait()
}

// A statement that the whole text repeats is found at any place, also in a book of several
// rounds.
func TestSummarizeFindsWhatTheTextIsAbout(t *testing.T) {
	t.Parallel()
	const key = "The lighthouse keeper saved the drowning sailors of the wreck."
	aside := []string{"The lighthouse stood over the wreck for %d days.", "The sailors of wreck %d thanked the keeper.", "The keeper of the lighthouse had %d boats.", "Sailors were saved from drowning %d times here."}
	for _, n := range []int{100, 400, 4000} {
		parts := strings.SplitAfter(essay(2, n), ". ")
		for i := range parts {
			if i%5 == 0 {
				parts[i] += fmt.Sprintf(aside[i/5%len(aside)], i) + " "
			}
		}
		parts[len(parts)/2] += key + " "
		if s := summarize(t, "", strings.Join(parts, ""), 100); !strings.Contains(s, key) {
			t.Errorf("of %d sentences: %s", n, s)
		}
	}
}

func TestSummarizeSaysNothingTwice(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("The mill of the village grinds the grain of the valley. ", 50) + essay(3, 60) +
		strings.Repeat("In the valley the mill of the village grinds the grain. ", 50)
	if s := summarize(t, "", text, 100); strings.Count(s, "grinds the grain") > 1 {
		t.Error(s)
	}
}

func TestSummarizeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := extractive.Summarize(ctx, "", essay(4, 5000), 150); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSummarizeIsLinear(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"essay": essay(5, 200), "headings": "# a\n\nThe mill of the village is very old. \n\n", "dots": ". ", "letters": "a", "same": "The mill of the village is old. ",
		"brackets": "[(", "citations": "The (Mill, Mill and Mill ", "stars": "**", "cjk": "他来了，",
	} {
		took := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			summarize(t, "", text, 150)
			return time.Since(start)
		}
		// Quadratic work would take 256 times as long for 16 times the text.
		if small, big := took(1<<15), took(1<<19); big > 80*small+2*time.Second {
			t.Errorf("%s: %v for 32 KiB, %v for 512 KiB", name, small, big)
		}
	}
}

func FuzzSummarize(f *testing.F) {
	f.Add("", "", 10)
	f.Add("The mill", report, 60)
	f.Add("", "> q. Q\n\n- (a, 1999) [1] \"x", 3)
	f.Add("他", "日本。語\xff！ \"a", 1)
	f.Fuzz(func(t *testing.T, title, text string, words int) {
		s, err := extractive.Summarize(t.Context(), title, text, words)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(s) != s {
			t.Fatalf("untrimmed %q", s)
		}
		if n := len(strings.Fields(s)); words > 0 && n > max(2*words, 210) && n > len(strings.Fields(text)) {
			t.Fatalf("%d words for %d", n, words)
		}
	})
}
