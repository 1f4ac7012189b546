package summarize

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/text"
)

// cleanSource prepares text for a model. It removes characters that people do not see but
// models read, because they can hide instructions (tag characters, variation selectors,
// zero-width and direction marks), and control characters except newline and tab.
func cleanSource(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	prev := utf8.RuneError
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r':
			// CRLF is one line end, and so is a lone CR.
			if i+1 >= len(s) || s[i+1] != '\n' {
				b.WriteByte('\n')
			}
		case r == '\u2028' || r == '\u2029' || r == '\u0085' || r == '\f' || r == '\v':
			b.WriteByte('\n')
		case r == utf8.RuneError && n == 1:
			b.WriteRune(utf8.RuneError)
		case invisible(r):
			next, _ := utf8.DecodeRuneInString(s[i+n:])
			if shapes(prev, r, next) {
				b.WriteString(s[i : i+n])
			} else {
				i += n
				continue // prev stays the last character that is kept
			}
		default:
			b.WriteString(s[i : i+n])
		}
		prev = r
		i += n
	}
	return b.String()
}

// plain reports that s has nothing to remove, as most text.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' || invisible(r) {
				return false
			}
			i += n - 1
		}
	}
	return true
}

// invisible reports characters without a shape or width of their own: controls, format
// characters (Unicode category Cf, without the visible number signs of Arabic), variation
// selectors, and other characters that Unicode lets renderers ignore.
func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return true
	case r < 0xad:
		return false
	// Blank letters.
	case r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0' || r == '\u2800':
		return true
	case r >= 0xe0000 && r <= 0xe0fff: // tags, selectors and the unassigned rest of that block
		return true
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// shapes reports that an invisible character changes the look of its visible neighbours, and
// is part of the text: a joiner within words of scripts that need it or within emoji, or the
// selector for the emoji form.
func shapes(prev, r, next rune) bool {
	switch r {
	case '\u200c', '\u200d':
		if joined(prev) && joined(next) {
			return true
		}
		return r == '\u200d' && (unicode.Is(unicode.So, prev) || unicode.Is(unicode.Sk, prev) || prev == '\ufe0f') && unicode.Is(unicode.So, next)
	case '\ufe0f':
		return unicode.Is(unicode.So, prev) || unicode.Is(unicode.Sm, prev) || prev == '#' || prev == '*' || prev >= '0' && prev <= '9'
	}
	return false
}

// joined reports letters and marks of scripts in which joiners select a form.
func joined(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada,
		unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar, unicode.Tibetan)
}

// oneLine makes a title or a URI fit for a line of a prompt: one line of at most limit
// bytes.
func oneLine(s string, limit int) string {
	return strings.TrimSpace(text.Cut(text.OneLine(cleanSource(s)), limit))
}

// cleaner cleans answers. It removes links and images whose address is not in the document.
// A document can make a model write an address that sends text elsewhere when it is shown
// or clicked.
type cleaner struct{ source Document }

var (
	// ![alt](address "title") and [text](address "title")
	inlineLink = regexp.MustCompile(`!?\[([^\[\]]*)\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+["'(][^)]*)?\s*\)`)
	// [id]: address
	linkDefinition = regexp.MustCompile(`(?m)^ {0,3}\[[^\]\n]+\]:\s*<?(\S+?)>?(?:\s+["'(].*)?$`)
	htmlTag        = regexp.MustCompile(`(?is)</?(?:a|img|iframe|script|style|object|embed|link|video|audio|source|form|svg|base|meta|input|button)\b[^<>]*>?`)
	// Bare addresses, and those between < and >.
	bareLink = regexp.MustCompile(`(?i)<?(?:(?:https?|ftp|wss?|file)://|\b(?:www\.|data:[a-z]+/|javascript:|mailto:))[^\s<>"'` + "`" + `\]]*>?`)
)

// clean returns s without invisible characters, without links and images that are not in
// the document, and without space at its ends.
func (c cleaner) clean(s string) string {
	s = cleanSource(s)
	if strings.ContainsAny(s, "[<:") || strings.Contains(s, "www.") || strings.Contains(s, "WWW.") {
		s = c.links(s)
	}
	return strings.TrimSpace(s)
}

// links removes foreign links until none is left. An image can be inside a link, and a
// removal can form a new link. Each round makes s shorter.
func (c cleaner) links(s string) string {
	for {
		next := c.linksOnce(s)
		if len(next) >= len(s) {
			return next
		}
		s = next
	}
}

func (c cleaner) linksOnce(s string) string {
	s = replace(htmlTag, s, func(m []string) string {
		if c.inSource(m[0]) {
			return m[0]
		}
		return ""
	})
	s = replace(inlineLink, s, func(m []string) string {
		if c.known(m[2]) {
			return m[0]
		}
		return m[1]
	})
	s = replace(linkDefinition, s, func(m []string) string {
		if c.known(m[1]) {
			return m[0]
		}
		return ""
	})
	return replace(bareLink, s, func(m []string) string {
		address := strings.Trim(m[0], "<>")
		core := withoutPunctuation(address)
		if c.known(core) {
			return m[0]
		}
		return address[len(core):]
	})
}

// withoutPunctuation removes the end of a sentence or of brackets around an address.
func withoutPunctuation(address string) string {
	for {
		core := strings.TrimRight(address, ".,;:!?*_")
		if strings.Count(core, ")") > strings.Count(core, "(") {
			core = strings.TrimSuffix(core, ")")
		}
		if core == address {
			return core
		}
		address = core
	}
}

// known reports that the document contains an address, whole or as the beginning of one.
func (c cleaner) known(address string) bool {
	return address != "" && c.inSource(address)
}

func (c cleaner) inSource(s string) bool {
	return strings.Contains(c.source.Text, s) || strings.Contains(c.source.Title, s) || s == c.source.URI
}

// replace is [regexp.Regexp.ReplaceAllStringFunc] with submatches.
func replace(re *regexp.Regexp, s string, f func(m []string) string) string {
	return re.ReplaceAllStringFunc(s, func(m string) string { return f(re.FindStringSubmatch(m)) })
}
