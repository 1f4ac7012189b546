package text

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s     string
		width int
		want  []string
	}{
		{"finishing 8 calls, up to 1m50s", 12, []string{"finishing 8", "calls, up to", "1m50s"}},
		{"", 12, []string{""}},
		{"  two   spaces ", 40, []string{"two spaces"}},
		{"3 dead; see `gistmill dead list --summary`, and retry", 30, []string{"3 dead; see", "`gistmill dead list --summary`,", "and retry"}},
		{"the cost is high\tto start, type: gistmill run ./docs --yes", 20, []string{"the cost is high to", "start, type:", "gistmill run ./docs --yes"}},
		{"type: the same command with --yes", 14, []string{"type: the same", "command with", "--yes"}},
		{`is "my file.txt" a file`, 16, []string{`is "my file.txt"`, "a file"}},
		{`it says "this is a long sentence of an endpoint"`, 16, []string{`it says "this is`, "a long sentence", "of an endpoint\""}},
		{`no file "/home/me/My Documents/report of May.txt" there`, 20, []string{"no file", `"/home/me/My Documents/report of May.txt"`, "there"}},
		{"an open ` mark and 6\" of it", 10, []string{"an open `", "mark and", "6\" of it"}},
		{"wrote /a/very/long/path/to/a/file.txt now", 10, []string{"wrote", "/a/very/long/path/to/a/file.txt", "now"}},
		{"漢字 漢字 漢字", 9, []string{"漢字 漢字", "漢字"}},
	} {
		got := Wrap(tc.s, tc.width)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q in %d columns: %q, want %q", tc.s, tc.width, got, tc.want)
		}
		if joined := strings.Join(got, " "); joined != strings.Join(words(TerminalLine(tc.s), tc.width), " ") {
			t.Errorf("%q became %q", tc.s, joined)
		}
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	if got, want := Hang("gistmill: one two three four five", 13, "  "), []string{"gistmill: one", "  two three", "  four five"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := Hang("gistmill: one", 13, "  "), []string{"gistmill: one"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
