package text

import "testing"

func TestShellWord(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "''", "a-b_1./:,=@%+": "a-b_1./:,=@%+", "naïve": "naïve", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~": "'~'", "a\xff": "'a\xff'",
	} {
		if got := ShellWord(s); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", s, got, want)
		}
	}
}
