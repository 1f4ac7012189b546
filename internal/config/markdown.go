package config

import "strings"

// Markdown returns the table of settings in docs/reference.md, one row per setting, ending with a
// line break. A test of cmd/gistmill compares the two.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| setting | default | meaning |\n|---|---|---|\n")
	for _, s := range Settings() {
		name := "`" + s.Name + "`"
		if s.Secret {
			var from []string
			for _, v := range append([]string{s.Env()}, s.Aliases...) {
				from = append(from, "`"+v+"`")
			}
			name += " (environment only: " + strings.Join(from, " or ") + ")"
		}
		if s.FlagOrEnv {
			name += " (flag or environment only)"
		}
		fallback := s.DefaultText
		switch {
		case fallback != "":
		case s.Default != "":
			fallback = "`" + s.Default + "`"
		default:
			fallback = "none"
		}
		usage := s.Usage
		if !s.Secret && len(s.Aliases) > 0 {
			usage += "; also from `" + strings.Join(s.Aliases, "`, `") + "`"
		}
		b.WriteString("| " + cell(name) + " | " + cell(fallback) + " | " + cell(usage) + " |\n")
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
