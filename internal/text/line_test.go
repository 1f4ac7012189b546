package text

import "testing"

func TestOneLine(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                              "",
		" \n\t ":                        "",
		"a b":                           "a b",
		"  a\r\n\tb\u00a0\u2003c\u2028": "a b c",
	} {
		if got := OneLine(s); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 0, ""},
		{"abc", 0, ""},
		{"abc", 2, "ab"},
		{"abc", 3, "abc"},
		{"abc", 9, "abc"},
		{"aé漢", 2, "a"},
		{"aé漢", 3, "aé"},
		{"aé漢", 5, "aé"},
		{"漢", 1, ""},
	} {
		if got := Cut(test.s, test.n); got != test.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", test.s, test.n, got, test.want)
		}
	}
}

func TestCutRunes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 1, ""},
		{"aé漢", 3, "aé漢"},
		{"aé漢x", 3, "aé…"},
		{"ab", 1, "…"},
	} {
		if got := CutRunes(test.s, test.n); got != test.want {
			t.Errorf("CutRunes(%q, %d) = %q, want %q", test.s, test.n, got, test.want)
		}
	}
}
