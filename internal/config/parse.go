package config

import (
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// parse sets the setting's field to raw and checks it. It returns the problem and what to do, or
// "". The text repeats the value only if it cannot contain a secret.
func (s Setting) parse(c *Config, raw string) string {
	if raw == "" {
		return "" // not set; the field keeps its zero value
	}
	field := s.bind(c)
	var v any
	switch p := field.(type) {
	case *string:
		*p, v = raw, raw
	case *Secret:
		*p, v = Secret(raw), raw
	case *int:
		n, err := strconv.Atoi(raw)
		if err != nil {
			return quote(raw) + " is not a whole number; example: " + s.example()
		}
		*p, v = n, float64(n)
	case *int64:
		n, why := s.parseInt64(raw)
		if why != "" {
			return why
		}
		*p, v = n, float64(n)
	case *float64:
		f, err := strconv.ParseFloat(raw, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return quote(raw) + " is not a number; example: " + s.example()
		}
		*p, v = f, f
	case *time.Duration:
		d, err := time.ParseDuration(raw)
		if err != nil {
			return quote(raw) + " is not a duration with a unit; example: " + s.example()
		}
		*p, v = d, d
	case *slog.Level:
		level, ok := parseLevel(raw)
		if !ok {
			return notOneOf(raw, "debug", "info", "warn", "error")
		}
		*p, v = level, level
	case *bool:
		b, err := strconv.ParseBool(raw)
		if err != nil {
			return notOneOf(raw, "true", "false")
		}
		*p, v = b, b
	case *[]int:
		list, why := parseLimits(raw)
		if why != "" {
			return why
		}
		*p, v = list, list
	case *[]llm.Endpoint:
		list, why := parseFallbacks(raw)
		if why != "" {
			return why
		}
		*p, v = list, list
	default:
		panic(fmt.Sprintf("config: setting %s is bound to a %T", s.Name, field))
	}
	if s.check == nil {
		return ""
	}
	return s.check(v)
}

func (s Setting) parseInt64(raw string) (int64, string) {
	if s.Kind != KindBytes {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return 0, quote(raw) + " is not a whole number; example: " + s.example()
		}
		return n, ""
	}
	n, err := humanize.ParseBytes(raw)
	if err != nil || n > math.MaxInt64 {
		return 0, quote(raw) + " is not a size in bytes or with a unit; example: " + s.example()
	}
	return int64(n), ""
}

// example returns a valid value.
func (s Setting) example() string {
	if s.Default != "" && s.Default != "0" {
		return s.Default
	}
	switch s.Kind {
	case KindDuration:
		return "130s"
	case KindFloat:
		return "2.50"
	default:
		return "500"
	}
}

func parseLevel(raw string) (slog.Level, bool) {
	switch strings.ToLower(raw) {
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn", "warning":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return 0, false
}

// parseLimits parses numbers separated by commas. An empty item is 0.
func parseLimits(raw string) ([]int, string) {
	var list []int
	for item := range strings.SplitSeq(raw, ",") {
		n := 0
		if item = strings.TrimSpace(item); item != "" {
			var err error
			if n, err = strconv.Atoi(item); err != nil || n < 0 {
				return nil, "item " + strconv.Itoa(len(list)+1) + ", " + quote(item) + ", is not a whole number of 0 or more; example: 500,,60"
			}
		}
		list = append(list, n)
	}
	return list, ""
}

// endsURL reports whether an item of a list may be the rest of a URL. A model may have a version
// after an @ (name@2026), and those of Cloudflare begin with one.
func endsURL(item string) bool {
	at := strings.LastIndex(item, "@")
	return at >= 0 && strings.ContainsAny(item[at:], ":/.") && !strings.HasPrefix(item, "@cf/") && !strings.HasPrefix(item, "@hf/")
}

// bareURL matches a URL without a path.
var bareURL = regexp.MustCompile(`://[^/]*$`)

func parseFallbacks(raw string) ([]llm.Endpoint, string) {
	var list []llm.Endpoint
	// A comma in the password of a URL cuts it into items, of which the last looks like a
	// model.
	address, bare := false, false
	for item := range strings.SplitSeq(raw, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		model := !strings.Contains(item, "://")
		if model && (address && endsURL(item) || bare && strings.Contains(item, "@")) {
			return nil, encoded + ", a comma as %2C"
		}
		address = address || !model
		bare = bareURL.MatchString(item)
		f := llm.Endpoint{Model: item}
		if scheme := strings.Index(item, "://"); scheme >= 0 {
			f = llm.Endpoint{BaseURL: item}
			// An @ before the scheme ends the model; one after it belongs to the URL.
			if at := strings.LastIndex(item[:scheme], "@"); at >= 0 {
				f = llm.Endpoint{Model: item[:at], BaseURL: item[at+1:]}
			}
			switch checkHTTP(f.BaseURL) {
			case "":
			case encoded:
				return nil, encoded
			default:
				return nil, "entry " + strconv.Itoa(len(list)+1) + " is not MODEL, URL or MODEL@URL; example: gpt-4o@https://api.openai.com/v1"
			}
			f.BaseURL = strings.TrimRight(f.BaseURL, "/")
		}
		list = append(list, f)
	}
	return list, ""
}

// These functions make checks. Numbers of every width arrive as float64, which is exact for all
// limits used here.

func atLeast(low float64) func(any) string {
	return func(v any) string {
		if v.(float64) < low {
			return fmt.Sprintf("is %v and must be %v or more", number(v.(float64)), number(low))
		}
		return ""
	}
}

func between(low, high float64) func(any) string {
	return func(v any) string {
		if f := v.(float64); f < low || f > high {
			return fmt.Sprintf("is %v and must be from %v to %v", number(f), number(low), number(high))
		}
		return ""
	}
}

func positive() func(any) string {
	return func(v any) string {
		if d := v.(time.Duration); d <= 0 {
			return "is " + d.String() + " and must be longer than 0s"
		}
		return ""
	}
}

func notNegative() func(any) string {
	return func(v any) string {
		if d := v.(time.Duration); d < 0 {
			return "is " + d.String() + " and must not be negative"
		}
		return ""
	}
}

func stringCheck(check func(string) string) func(any) string {
	return func(v any) string { return check(v.(string)) }
}

// orEmpty makes a check accept the empty value.
func orEmpty(check func(string) string) func(string) string {
	return func(v string) string {
		if v == "" {
			return ""
		}
		return check(v)
	}
}

// LanguageSame is the language of each document.
const LanguageSame = "same"

func checkLanguage(v string) string {
	if v == LanguageSame {
		return ""
	}
	if _, err := text.LanguageTag(v); err != nil {
		return "is " + quote(v) + ": use " + LanguageSame + ", or a BCP 47 tag such as de or pt-BR"
	}
	return ""
}

func oneOf(allowed ...string) func(string) string {
	return func(v string) string {
		for _, a := range allowed {
			if v == a {
				return ""
			}
		}
		return notOneOf(v, allowed...)
	}
}

// checkService checks a service tier. Batch is a name for later.
func checkService(v string) string {
	if v == string(llm.TierBatch) {
		return "is batch, which does not exist yet: use flex, which costs as little, or standard"
	}
	return oneOf(string(llm.TierStandard), string(llm.TierFlex))(v)
}

// notOneOf is [text.NotOneOf] for a value that may contain a password.
func notOneOf(raw string, allowed ...string) string {
	return quote(raw) + " is not one of " + strings.Join(allowed, ", ") + text.DidYouMean(raw, allowed)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// quote quotes at most 80 characters of a value for an error. The value may be an address with a
// password that was given to the wrong setting.
func quote(s string) string {
	if strings.Contains(s, "://") {
		s = RedactURL(s)
	} else if at := strings.LastIndex(s, "@"); at >= 0 {
		if user, _, ok := strings.Cut(s[:at], ":"); ok {
			s = user + ":xxxxx" + s[at:]
		}
	}
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
