package summarize

import (
	"errors"
	"testing"
)

// A document with too few words costs no call, in an estimate either.
func TestMinWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		least      int
		want       string // the error; empty: one call
	}{
		{"enough", "One two three four five.", 5, ""},
		{"too few", "One two three.", 5, "3 words after extraction, and min-words is 5"},
		{"one", "- 1 -", 5, "1 word after extraction, and min-words is 5"},
		{"none", "* * *", 5, "no words after extraction, and min-words is 5"},
		{"none is asked for", "* * *", 0, ""},
		{"Chinese", "今天天气很好。", 5, "3 words after extraction, and min-words is 5"},
		{"longer Chinese", "今天上海的天气很好。", 5, ""},
		{"no text", " \u200b\n", 5, "the document has no text"},
		{"no text and none is asked for", "\n", 0, "the document has no text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &scripted{}
			e := engine(t, profile(), m, 8192, WithMinWords(c.least))
			d := Document{Title: "A title that has many words of its own", Text: c.text}
			_, err := e.Summarize(t.Context(), d)
			calls, _, _ := e.Estimate(d)
			if c.want == "" {
				if err != nil || len(m.calls) != 1 || calls != 1 {
					t.Errorf("%v, %d calls, %d estimated", err, len(m.calls), calls)
				}
				return
			}
			if err == nil || err.Error() != c.want || len(m.calls) != 0 || calls != 0 {
				t.Errorf("%v, %d calls, %d estimated", err, len(m.calls), calls)
			}
			var short *ShortError
			if errors.As(err, &short) == errors.Is(err, ErrNoText) {
				t.Errorf("%v is neither or both", err)
			}
		})
	}
	built, err := New(Profile{Model: Extractive, Words: 100}, 0, WithMinWords(100))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := built.Summarize(t.Context(), nil, Document{Text: "The bridge was built in 1900."}); err != nil || s.Text == "" {
		t.Errorf("the extractive engine: %q, %v", s.Text, err)
	}
}
