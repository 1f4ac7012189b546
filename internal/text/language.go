package text

import (
	"errors"
	"fmt"

	"golang.org/x/text/language"
)

// LanguageTag returns the canonical form of a BCP 47 tag: "pt-BR" for "pt-br", "he" for "iw". It
// fails for a tag that is malformed, unknown, or names no single language.
func LanguageTag(s string) (string, error) {
	tag, err := language.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q is no language tag", s)
	}
	base, _, _ := tag.Raw()
	switch base.String() {
	case "und", "mul", "mis", "zxx":
		return "", errors.New(base.String() + " names no language")
	}
	return tag.String(), nil
}

// LanguageName returns the name of a canonical tag in English, for a prompt: "German",
// "Portuguese (pt-BR)". A language that is not in its list is named by its tag.
func LanguageName(tag string) string {
	if name := languageNames[tag]; name != "" {
		return name
	}
	base, _ := language.Make(tag).Base()
	if name := languageNames[base.String()]; name != "" {
		return name + " (" + tag + ")"
	}
	return "the language with the BCP 47 tag " + tag
}

// languageNames has the languages that have most texts, as Unicode's CLDR names them. Its whole
// list (golang.org/x/text/language/display) would add 2 MB to the program.
var languageNames = map[string]string{ //nolint:gochecknoglobals // a constant table
	"af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
	"bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
	"en-GB": "British English", "en-US": "American English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque",
	"fa": "Persian", "fi": "Finnish", "fil": "Filipino", "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati",
	"he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic",
	"it": "Italian", "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "la": "Latin",
	"lo": "Lao", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi",
	"ms": "Malay", "mt": "Maltese", "my": "Burmese", "nb": "Norwegian Bokmål", "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian Nynorsk",
	"no": "Norwegian", "or": "Odia", "pa": "Punjabi", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese", "ro": "Romanian",
	"ru": "Russian", "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
	"sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian",
	"ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "yi": "Yiddish", "zh": "Chinese", "zh-Hans": "Simplified Chinese",
	"zh-Hant": "Traditional Chinese", "zu": "Zulu",
}
