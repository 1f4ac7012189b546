package terminal

import (
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestBar(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		width       int
		done, total int64
		want        string
	}{
		{80, 0, 0, "5/9 [>                             ] 1.0/s ETA 4s"},
		{80, 5, 10, "5/9 [===============>              ] 1.0/s ETA 4s"},
		{80, 10, 10, "5/9 [==============================] 1.0/s ETA 4s"},
		{80, 30, 10, "5/9 [==============================] 1.0/s ETA 4s"},
		{29, 5, 10, "5/9 [=====>    ] 1.0/s ETA 4s"},
		{26, 5, 10, "5/9 1.0/s ETA 4s"},
		{10, 5, 10, "5/9 1.0/s…"},
	} {
		got := Bar(tc.width, "5/9", tc.done, tc.total, "1.0/s ETA 4s")
		if got != tc.want || runewidth.StringWidth(got) > tc.width {
			t.Errorf("%d of %d in %d columns: %q, want %q", tc.done, tc.total, tc.width, got, tc.want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", "12345": "12345", "123456": "1234…", "漢字漢字": "漢字…", "a\nb": "a b"} {
		if got := Cut(s, 5); got != want {
			t.Errorf("Cut(%q) = %q, want %q", s, got, want)
		}
	}
	if got := Cut("12", 0); got != "" {
		t.Errorf("no columns: %q", got)
	}
}
