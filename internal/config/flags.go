package config

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/usage"
)

const (
	configFlag     = "config"
	configVariable = "GISTMILL_CONFIG"
)

// AddFlags registers the named settings and --config on a command's flag set. Without names it
// registers all settings except secrets. Flags keep their values as written; [Load] checks them, so
// that it can report all problems together. AddFlags panics for a name that is not in the table.
func AddFlags(fs *pflag.FlagSet, names ...string) {
	table := Settings()
	if len(names) == 0 {
		for _, s := range table {
			if !s.Secret {
				names = append(names, s.Name)
			}
		}
	}
	if fs.Lookup(configFlag) == nil {
		fs.Var(&value{kind: KindFile}, configFlag, "YAML file of settings, or none; also "+configVariable+
			" (default gistmill/config.yaml in the user's configuration folder, if it exists)")
		usage.SetGroup(fs, usage.Connection, configFlag)
	}
	for _, name := range names {
		s := find(table, name)
		if s.Secret {
			panic("config: " + name + " is a secret and has no flag")
		}
		// pflag takes a back-quoted word for the name of the value.
		about := strings.ReplaceAll(s.Usage, "`", "")
		if s.DefaultText != "" && s.DefaultText != "none" && !s.DefaultByCommand {
			about += " (default " + strings.ReplaceAll(s.DefaultText, "`", "") + ")"
		}
		fs.Var(&value{kind: s.Kind, raw: s.Default}, s.Name, about)
		usage.SetGroup(fs, s.Group, s.Name)
		if s.Kind == KindBool {
			fs.Lookup(s.Name).NoOptDefVal = "true"
		}
	}
}

// value is a flag as written.
type value struct {
	kind    Kind
	raw     string
	changed bool
}

// String implements [pflag.Value]: it returns the value as written.
func (v *value) String() string { return v.raw }

// Set implements [pflag.Value]. A repeated list flag appends.
func (v *value) Set(raw string) error {
	if v.kind == KindList && v.changed {
		raw = v.raw + "," + raw
	}
	v.raw, v.changed = raw, true
	return nil
}

// Type implements [pflag.Value]: it returns the word that the help text shows for the value.
func (v *value) Type() string { return string(v.kind) }
