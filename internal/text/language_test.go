package text_test

import (
	"testing"

	"github.com/gistmill/gistmill/internal/text"
)

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tag, canonical, name string }{
		{"de", "de", "German"},
		{"DE", "de", "German"},
		{"pt-br", "pt-BR", "Portuguese (pt-BR)"},
		{"de_AT", "de-AT", "German (de-AT)"},
		{"de-Latn", "de-Latn", "German (de-Latn)"},
		{"iw", "he", "Hebrew"},
		{"en-gb", "en-GB", "British English"},
		{"zh-hant", "zh-Hant", "Traditional Chinese"},
		{"zh-TW", "zh-TW", "Chinese (zh-TW)"},
		{"sr-latn", "sr-Latn", "Serbian (sr-Latn)"},
		{"es-419", "es-419", "Spanish (es-419)"},
		{"ceb", "ceb", "the language with the BCP 47 tag ceb"},
		{"", "", ""},
		{"same", "", ""},
		{"german", "", ""},
		{"zz", "", ""},
		{"und", "", ""},
		{"mul", "", ""},
		{"zxx", "", ""},
		{"x-klingon", "", ""},
		{"de en", "", ""},
		{"d", "", ""},
	} {
		got, err := text.LanguageTag(c.tag)
		if got != c.canonical || (err == nil) != (c.canonical != "") {
			t.Errorf("%q: %q, %v", c.tag, got, err)
		}
		if err == nil && text.LanguageName(got) != c.name {
			t.Errorf("%q is %q", c.tag, text.LanguageName(got))
		}
	}
}
