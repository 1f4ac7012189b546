package sentences_test

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

func texts(list []sentences.Sentence) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, s.Text)
	}
	return out
}

// A bar in a text marks the end of a sentence.
func TestSplitEndsSentencesWhereAReaderDoes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":           "One came.| Two went!| Did three stay?| Four did.",
		"title":           "Dr. Smith met Mrs. Jones and Prof. Lee.| They talked.",
		"initials":        "J. R. R. Tolkien and George W. Bush never met.| Nobody minds.",
		"country":         "He left the U.S. in May.| He came from the U.S.| The trip was long.",
		"latin":           "Some tools, e.g. Hammers or i.e. Saws, are old.| Others are not.",
		"citation":        "As shown by Smith et al. (2004), it works.| We follow Brown et al.| The rest is new.",
		"decimals":        "It rose by 3.14 percent, from 1,000.50 to 1.031.| Fine.",
		"year":            "It began in 1999.| In 2001 it ended.| 20 people saw it.",
		"url":             "See https://example.com/a.b?c=d.| Ask google.com or mail a.b@c.org.| Then stop.",
		"file":            "Edit main.go and run Node.js on it.| Done.",
		"quote":           "“Is it so?” he asked.| \"It is.\"| She left.",
		"quote end":       "He said: \"We are done.\" and left.| Nobody spoke.",
		"ellipsis":        "Well... maybe not.| He waited...| Nothing came.| And so… yes.",
		"figure":          "See Fig. 3 and Sec. 2 on p. 7.| No. 5 is alive.| He said no.| The end.",
		"company":         "Apple Inc. Shares fell.| Apple Inc.| The firm is big.",
		"parenthesis":     "It works (mostly.)| It fails (see Eq. 4).| End.",
		"note":            "It was so.[12]| The next followed.[3]",
		"emphasis":        "It was **so.**| *Next* it was not.",
		"number first":    "1. First comes this.| Then that.",
		"numbered":        "_Exper._ 7. I took a prism.| Then Obs. 3 came.",
		"german":          "Am 3. Oktober 1990 kam z. B. Herr Dr. Maier, d.h. der Arzt, ca. 5 Min. zu spät.| Er war krank.",
		"german quote":    "„Wer da?“ rief er.| „Ich.“| Er ging.",
		"french":          "M. Dupont et Mme. Durand, cf. p. 12, sont venus.| « Bonjour ! » dit-il.| Il part.",
		"spanish":         "El Sr. García y la Sra. López llegaron.| ¿Quién llamó?| ¡Nadie!| Los EE.UU. son grandes.",
		"italian":         "Il sig. Rossi e il dott. Verdi, art. 5, ecc. sono qui.| È tardi.",
		"portuguese":      "O Sr. Silva e a Dra. Costa vieram.| A pág. 3 está em branco.",
		"dutch":           "Dhr. Jansen kwam o.a. met mevr. De Vries.| Zij bleef.",
		"swedish":         "Vi har t.ex. Volvo och bl.a. Saab.| De är bilar.",
		"danish":          "Den 5. december kom f.eks. Hansen.| Han gik igen.",
		"polish":          "Prof. dr hab. Nowak mieszka przy ul. Długiej.| Jest np. Lekarzem.",
		"japanese":        "私は学生です。|彼は先生です。|「はい。」|終わり",
		"chinese":         "他来了！|她走了？|好。",
		"hindi":           "यह एक है।| यह दो है।",
		"no end":          "no stop here",
		"hard wrap":       "The rays of light which differ in\ncolour differ also in degrees of\nrefrangibility.| The proof by\nexperiments follows now.",
		"missing capital": "this one is small. and so is this? yes.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.Split(text, "|")
			for i := range want {
				want[i] = strings.TrimSpace(want[i])
			}
			if got := texts(sentences.Split(strings.ReplaceAll(text, "|", ""))); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestSplitKnowsStructure(t *testing.T) {
	t.Parallel()
	const text = "# Title\n\n## 1 Introduction\nFirst one. Second\none.\n\nOld Heading\n-----------\n\n" +
		"- item one. More of it.\n- item two\n  goes on\n1. third\n\n| a | b |\n|---|---|\n\n```go\nx := 1. + 2\n\n```\n" +
		"> He wrote\n> this. And that.\n\nTHE SECOND PART\n\nHome\nAbout us\nContact the editors\n\nA\tb\tc\nx    12    13\n\nBest regards,\nAnna\n"
	type row struct {
		Text      string
		Kind      sentences.Kind
		Level     int
		Paragraph int
	}
	want := []row{
		{"# Title", sentences.Heading, 1, 0},
		{"## 1 Introduction", sentences.Heading, 2, 1},
		{"First one.", sentences.Prose, 0, 2},
		{"Second\none.", sentences.Prose, 0, 2},
		{"Old Heading\n-----------", sentences.Heading, 2, 3},
		{"- item one.", sentences.Item, 0, 4},
		{"More of it.", sentences.Item, 0, 4},
		{"- item two\n  goes on", sentences.Item, 0, 5},
		{"1. third", sentences.Item, 0, 6},
		{"| a | b |", sentences.Table, 0, 7},
		{"|---|---|", sentences.Table, 0, 8},
		{"```go\nx := 1. + 2\n\n```", sentences.Code, 0, 9},
		{"> He wrote\n> this.", sentences.Quote, 0, 10},
		{"And that.", sentences.Quote, 0, 10},
		{"THE SECOND PART", sentences.Heading, 7, 11},
		{"Home", sentences.Prose, 0, 12},
		{"About us", sentences.Prose, 0, 12},
		{"Contact the editors", sentences.Prose, 0, 12},
		{"A\tb\tc", sentences.Table, 0, 13},
		{"x    12    13", sentences.Table, 0, 14},
		{"Best regards,\nAnna", sentences.Prose, 0, 15},
	}
	var got []row
	for _, s := range sentences.Split(text) {
		got = append(got, row{s.Text, s.Kind, s.Level, s.Paragraph})
		if s.Heading != (s.Kind == sentences.Heading) {
			t.Errorf("%q: Heading and Kind disagree", s.Text)
		}
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("at %d\ngot  %+v\nwant %+v", i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	list := sentences.Split("Before.\n\n# One\n\nA. B here. C.\n\n## Two\n\n# Three\n\nD.\n")
	want := []sentences.Section{{-1, 0, 0, 1}, {1, 1, 2, 4}, {4, 2, 5, 5}, {5, 1, 6, 7}}
	if got := sentences.Sections(list); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v of %q", got, want, texts(list))
	}
	if got := sentences.Sections(nil); got != nil {
		t.Errorf("sections of nothing: %v", got)
	}
}

func TestSplitIsLinear(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"stops": ".", "spaces": ". ", "quotes": ".\"", "fences": "```\n", "words": "a", "lines": "A b\n", "greater": ">\n", "notes": ".[", "rows": "| ",
	} {
		took := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			sentences.Split(text)
			return time.Since(start)
		}
		took(1 << 16)
		// Quadratic work would take 256 times as long for 16 times the text.
		small, big := took(1<<15), took(1<<19)
		if big > 100*small+time.Second {
			t.Errorf("%s: %v for 32 KiB, %v for 512 KiB", name, small, big)
		}
	}
}

func check(t *testing.T, text string) {
	t.Helper()
	at, paragraph := 0, 0
	for _, s := range sentences.Split(text) {
		if s.Start < at || s.End <= s.Start || s.End > len(text) || text[s.Start:s.End] != s.Text {
			t.Fatalf("bad offsets %d:%d after %d", s.Start, s.End, at)
		}
		if gap := text[at:s.Start]; strings.TrimSpace(gap) != "" {
			t.Fatalf("lost %q", gap)
		}
		if strings.TrimFunc(s.Text, unicode.IsSpace) != s.Text {
			t.Fatalf("untrimmed %q", s.Text)
		}
		if s.Paragraph < paragraph || s.Paragraph > paragraph+1 {
			t.Fatalf("paragraph %d after %d", s.Paragraph, paragraph)
		}
		at, paragraph = s.End, s.Paragraph
	}
	if gap := text[at:]; strings.TrimSpace(gap) != "" {
		t.Fatalf("lost %q at the end", gap)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		"", " ", "A. B.", "# H\n\ntext. More\r\n\r\n- a\n- b\n", "```\ncode", "a\n===\n", "> q. Q\n>\n> r", "日本。語", "\xff. \xfeA.",
		"x.[1] Y", "1. 2. 3.", "U.S. e.g. \"A.\" (B.)", "a\fb\rc", "| a |\n|-|\n", "A\nB\nC\nD d d d d d d d d d\n",
	} {
		f.Add(s)
	}
	f.Fuzz(check)
}
