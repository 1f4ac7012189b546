package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// explain returns all settings with their values and origins.
func explain(table []Setting, c *Config, source map[string]layer) []Entry {
	entries := make([]Entry, 0, len(table))
	for _, s := range table {
		e := Entry{Setting: s.Name, Value: s.show(c), Origin: "default"}
		if l, ok := source[s.Name]; ok {
			e.Origin = l.origin(s)
		}
		entries = append(entries, e)
	}
	return entries
}

// show returns the value in the form of a flag.
func (s Setting) show(c *Config) string {
	switch p := s.bind(c).(type) {
	case *string: // of every kind: the address may have been given to the wrong setting
		return RedactURL(*p)
	case *Secret:
		return p.String()
	case *int:
		return strconv.Itoa(*p)
	case *int64:
		if s.Kind == KindBytes {
			return size(*p)
		}
		return strconv.FormatInt(*p, 10)
	case *float64:
		return number(*p)
	case *time.Duration:
		return shortDuration(*p)
	case *slog.Level:
		return strings.ToLower(p.String())
	case *bool:
		return strconv.FormatBool(*p)
	case *[]int:
		shown := make([]string, len(*p))
		for i, n := range *p {
			if n > 0 {
				shown[i] = strconv.Itoa(n)
			}
		}
		return strings.Join(shown, ",")
	case *[]llm.Endpoint:
		return showFallbacks(*p)
	default:
		panic(fmt.Sprintf("config: setting %s is bound to a %T", s.Name, p))
	}
}

func showFallbacks(list []llm.Endpoint) string {
	shown := make([]string, 0, len(list))
	for _, f := range list {
		switch {
		case f.BaseURL == "":
			shown = append(shown, f.Model)
		case f.Model == "":
			shown = append(shown, RedactURL(f.BaseURL))
		default:
			shown = append(shown, f.Model+"@"+RedactURL(f.BaseURL))
		}
	}
	return strings.Join(shown, ",")
}

// size formats bytes with the largest binary unit that divides them.
func size(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + units[i]
}

// shortDuration formats a duration without the zeros of "2h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
