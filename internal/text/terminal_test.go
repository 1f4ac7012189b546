package text

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

func TestTerminalSafe(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"plain\ttext\n":                "plain\ttext\n",
		"\x1b[31mred\x1b[0m":           "[31mred[0m",
		"a\r\nb\rc\vd\fe\u2028f":       "a\nb\nc\nd\ne\nf",
		"\u009b1m\x7f\u202eover\u2066": "1mover",
		"bad\xffbyte, é漢\u200d":        "bad\ufffdbyte, é漢\u200d",
	} {
		if got := TerminalSafe(s); got != want {
			t.Errorf("TerminalSafe(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestTerminalLine(t *testing.T) {
	t.Parallel()
	if got, want := TerminalLine("a  b\r\nc\td\x1b"), "a  b c d"; got != want {
		t.Errorf("TerminalLine = %q, want %q", got, want)
	}
}

func TestEscapedControlsReadTheSame(t *testing.T) {
	t.Parallel()
	const s = "a\x1b[31m\x7f\u009b1m\u202e\u2066é漢\u200d"
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	escaped := TerminalSafeJSON(encoded)
	var decoded string
	if err := json.Unmarshal(escaped, &decoded); err != nil || decoded != s {
		t.Errorf("%s decodes to %q, %v", escaped, decoded, err)
	}
	if bytes.ContainsFunc(escaped, func(r rune) bool { return unicode.IsControl(r) || isBidiControl(r) }) {
		t.Errorf("a control character remains: %q", escaped)
	}
}
