package text

import "testing"

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                              "",
		"one\r\ntwo\rthree\n\n\n\nfour": "one\ntwo\nthree\n\nfour",
		"end \t\n  indented\n":          "end\n  indented",
		"no\u00a0break\u2003em":         "no break em",
		"vis\u200bible\u202e\x07 text":  "visible text",
		"a\u200db":                      "ab",            // a joiner between Latin letters only hides
		"می\u200cخواهم":                 "می\u200cخواهم", // here it is part of the word
		"bad \xff byte":                 "bad \ufffd byte",
		"column\tvalue":                 "column\tvalue",
		"page\fnext\u2028line":          "page\n\nnext\nline",
	} {
		got, _ := Clean([]byte(in))
		if got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
		if again, _ := Clean([]byte(got)); again != got {
			t.Errorf("Clean(%q) = %q", got, again)
		}
	}
}

func TestCleanStats(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Stats{
		"ab\x00":   {Runes: 3, Bad: 1, Visible: true},
		" \u200b ": {Runes: 3},
	} {
		if _, got := Clean([]byte(in)); got != want {
			t.Errorf("Clean(%q) reports %+v, want %+v", in, got, want)
		}
	}
	if !(Stats{Runes: 9, Bad: 1}).Binary() || (Stats{Runes: 10, Bad: 1}).Binary() {
		t.Error("Binary does not begin above one bad character in ten")
	}
}

func TestCleanLine(t *testing.T) {
	t.Parallel()
	if got := CleanLine("  a \n\n title\u200b\there "); got != "a title here" {
		t.Errorf("got %q", got)
	}
}
