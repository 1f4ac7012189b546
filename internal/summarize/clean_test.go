package summarize

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCleanSource(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "Plain text,\n\twith a tab.", "Plain text,\n\twith a tab."},
		{"accents and scripts", "Müller, naïve, Привет, 光", "Müller, naïve, Привет, 光"},
		{"zero width", "pass\u200bword\ufeff", "password"},
		{"soft hyphen", "hyphen\u00adated", "hyphenated"},
		{"tags", "Hi\U000e0049\U000e0067\U000e006e!", "Hi!"},
		{"variation selectors", "A\ufe00\U000e0100\U000e0101B", "AB"},
		{"direction", "\u202eevil\u202c \u2066x\u2069", "evil x"},
		{"controls", "a\x00b\x1b[31mc\u0085d\x7f", "ab[31mc\nd"},
		{"line ends", "a\r\nb\rc\u2028d\fe", "a\nb\nc\nd\ne"},
		{"blank letters", "a\u3164\u115f\u2800b", "ab"},
		{"bad bytes", "a\xffb", "a\ufffdb"},
		{"joined emoji stay", "👩\u200d💻 ❤\ufe0f 1\ufe0f", "👩\u200d💻 ❤\ufe0f 1\ufe0f"},
		{"joiners of Persian and Hindi stay", "می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"},
		{"joiners in Latin go", "a\u200db\u200cc", "abc"},
		{"a run of joiners is one", "می\u200c\u200c\u200cخ", "می\u200cخ"},
		{"Arabic number sign stays", "\u0600 12", "\u0600 12"},
	} {
		if got := cleanSource(tc.in); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestCleanAnswer(t *testing.T) {
	t.Parallel()
	source := Document{Title: "Guide", URI: "https://site.example/page", Text: "See https://good.example/a?b=c for more, or [the list](https://good.example/list)."}
	for _, tc := range []struct{ name, in, want string }{
		{"no link", "  A summary: fine [1], 3 < 4. ", "A summary: fine [1], 3 < 4."},
		{"known bare", "Read https://good.example/a?b=c.", "Read https://good.example/a?b=c."},
		{"known inline", "Read [it](https://good.example/list).", "Read [it](https://good.example/list)."},
		{"own address", "From https://site.example/page", "From https://site.example/page"},
		{"foreign bare", "Read https://evil.example/?q=secret, now.", "Read , now."},
		{"foreign inline", "Read [the guide](https://evil.example/x \"t\").", "Read the guide."},
		{"foreign image", "Fine ![](https://evil.example/p.png?d=secret)", "Fine"},
		{"image in a link", "[![alt](http://evil.example/a)](http://evil.example/b) end", "alt end"},
		{"relative image", "![logo](/img/x.png) end", "logo end"},
		{"parentheses in it", "[a](http://evil.example/x_(y)) end", "a end"},
		{"in pointed brackets", "See <http://evil.example/>.", "See ."},
		{"without scheme", "See www.evil.example/x!", "See !"},
		{"definition", "See [a][1].\n\n[1]: http://evil.example/x \"t\"", "See [a][1]."},
		{"html", "A <img src=\"http://evil.example/x\"> b <a href='http://evil.example'>c</a>", "A  b c"},
		{"unclosed html", "A <img src=http://evil.example/x", "A"},
		{"script", "[x](javascript:alert(1)) javascript:alert(1)", "x"},
		{"hidden within", "htt\u200bps://evil.example/x", ""},
		{"longer than the known one", "https://good.example/a?b=cd", ""},
	} {
		if got := (cleaner{source}).clean(tc.in); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\u200b[x](http://e.example/![y](z))")
	f.Add("<<http://a>>![[a]](b)\r\r\n")
	f.Add("👩\u200d\u200d💻\ufe0f")
	f.Fuzz(func(t *testing.T, s string) {
		clean := cleanSource(s)
		if !utf8.ValidString(clean) || cleanSource(clean) != clean {
			t.Errorf("%q is not clean at once: %q", s, clean)
		}
		if utf8.ValidString(s) && plain(s) && clean != s {
			t.Errorf("%q was changed", s)
		}
		got := (cleaner{}).clean(s)
		if strings.Contains(got, "https://e") || strings.Contains(got, "](/x)") || strings.Contains(got, "<img") {
			t.Errorf("a link is left in %q", got)
		}
		if again := (cleaner{}).clean(got); again != got {
			t.Errorf("%q is cleaned again to %q", got, again)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	s, err := compileSchema(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("```json\n{\"summary\":\"x\"}\n```")
	f.Add(`{"summary":"x","summary":{"a":[1,{}]}}`)
	f.Add("<think></think>{")
	f.Fuzz(func(t *testing.T, content string) {
		answer, _ := bare(content, true)
		object, p := s.object(reply{content: answer})
		if p != nil {
			return
		}
		if text, _, p := s.summary(object, cleaner{}, 0); p == nil && strings.TrimSpace(text) == "" {
			t.Errorf("%q gives an empty summary", content)
		}
	})
}

func TestCleanIsLinear(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"links": "[a](http://b)", "open": "[", "images": "![", "brackets": "[a]", "tags": "<", "autolinks": "<http://a>", "schemes": "http://", "parentheses": "](",
		"joiners": "\u200d", "letters": "a", "entities": "&lt;", "fences": "```\n",
	} {
		took := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			(cleaner{Document{Text: cleanSource(text)}}).clean(text)
			return time.Since(start)
		}
		// Answers are short. Quadratic work would take 256 times as long for 16 times the text.
		if small, big := took(1<<13), took(1<<17); big > 80*small+5*time.Second {
			t.Errorf("%s: %v for 8 KiB, %v for 128 KiB", name, small, big)
		}
	}
}
