package config

import (
	"strings"

	"github.com/gistmill/gistmill/internal/usage"
)

// Template returns a configuration file with all settings and their defaults, as comments: the file
// has no effect until a line is changed. Secrets are named, because they cannot be set there.
func Template() string {
	const width = 80
	var b strings.Builder
	comment := func(text string) {
		for line := range strings.SplitSeq(usage.Reflow(text, width-2), "\n") {
			b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
	comment("Settings of gistmill. Remove the # in front of a setting to change it. Flags and environment variables " +
		"take precedence over this file. `gistmill config` shows the values in force and where each comes from.")
	for _, group := range usage.Groups() {
		begun := false
		for _, s := range Settings() {
			if s.Group != group {
				continue
			}
			if !begun {
				b.WriteString("\n## " + group + "\n")
				begun = true
			}
			b.WriteString("\n")
			if s.Secret {
				comment(s.Name + ": " + s.Usage + ". Not read from a file: set the variable " + strings.Join(append([]string{s.Env()}, s.Aliases...), " or ") + ".")
				continue
			}
			if s.FlagOrEnv {
				comment(s.Name + ": " + s.Usage + ". Not read from a file: use --" + s.Name + " or " + s.Env() + ".")
				continue
			}
			comment(s.Usage)
			if s.DefaultText != "" {
				comment("default: " + s.DefaultText)
			}
			b.WriteString(strings.TrimRight("#"+s.Key()+": "+s.Default, " ") + "\n")
		}
	}
	return b.String()
}
