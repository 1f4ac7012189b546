package text

import "testing"

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	names := []string{"model", "words", "base-url", "json", "text", "bar", "plain", "info", "parquet"}
	for wrong, want := range map[string]string{
		"modle":    "; did you mean model?",
		"base_url": "; did you mean base-url?",
		"BASE-URL": "; did you mean base-url?",
		"jsno":     "; did you mean json?",
		"bra":      "; did you mean bar?",
		"inof":     "; did you mean info?",
		"parqet":   "; did you mean parquet?",
		"zebra":    "",
		"":         "",
	} {
		if got := DidYouMean(wrong, names); got != want {
			t.Errorf("%q: got %q, want %q", wrong, got, want)
		}
	}
}

func TestNotOneOf(t *testing.T) {
	t.Parallel()
	if got, want := NotOneOf("jsno", "text", "json"), `"jsno" is not one of text, json; did you mean json?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := NotOneOf("x\x1b", "text", "json"), `"x\x1b" is not one of text, json`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
