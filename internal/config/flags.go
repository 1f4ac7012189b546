package config

import (
	"strings"

	"github.com/spf13/pflag"
)

const (
	configFlag     = "config"
	configVariable = "GISTMILL_CONFIG"
)

// AddFlags registers the named settings on a command's flag set, and --config.
// Without names it registers all settings but the secrets. Values are kept as
// written: [Load] judges them, so that wrong ones are reported together. It
// panics on a name that the table does not have.
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
		fs.Var(&value{kind: KindFile}, configFlag, "YAML file with settings, keys written x_y; also "+configVariable)
	}
	for _, name := range names {
		s := find(table, name)
		if s.Secret {
			panic("config: " + name + " is a secret and has no flag")
		}
		// pflag takes back-quoted words for the name of the value.
		usage := strings.ReplaceAll(s.Usage, "`", "")
		if s.DefaultText != "" {
			usage += " (default " + strings.ReplaceAll(s.DefaultText, "`", "") + ")"
		}
		fs.Var(&value{kind: s.Kind, raw: s.Default}, s.Name, usage)
		if s.Kind == KindBool {
			fs.Lookup(s.Name).NoOptDefVal = "true"
		}
	}
}

// value keeps a flag as it was written.
type value struct {
	kind    Kind
	raw     string
	changed bool
}

// String is the value as written.
func (v *value) String() string { return v.raw }

// Set takes a value; a list that is given twice grows.
func (v *value) Set(raw string) error {
	if v.kind == KindList && v.changed {
		raw = v.raw + "," + raw
	}
	v.raw, v.changed = raw, true
	return nil
}

// Type is the word the help text shows for the value.
func (v *value) Type() string { return string(v.kind) }
