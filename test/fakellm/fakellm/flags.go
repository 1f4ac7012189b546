package fakellm

import (
	"encoding/json"
	"flag"
	"reflect"
	"strings"
)

// Flags adds a flag for every field of c to fs, with the values in c as defaults. Lists are
// JSON; everything else is written as in a JSON string.
func (c *Config) Flags(fs *flag.FlagSet) {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		field, target := v.Type().Field(i), v.Field(i)
		name := strings.ReplaceAll(field.Tag.Get("json"), "_", "-")
		help := field.Tag.Get("help")
		if target.Kind() == reflect.Bool {
			fs.BoolVar(target.Addr().Interface().(*bool), name, target.Bool(), help)
			continue
		}
		fs.Func(name, help+defaultText(target.Interface()), func(text string) error {
			if json.Unmarshal([]byte(text), target.Addr().Interface()) == nil {
				return nil
			}
			quoted, err := json.Marshal(text)
			if err != nil {
				return err
			}
			return json.Unmarshal(quoted, target.Addr().Interface())
		})
	}
}

func defaultText(v any) string {
	if reflect.ValueOf(v).IsZero() {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return " (default " + strings.Trim(string(b), `"`) + ")"
}
