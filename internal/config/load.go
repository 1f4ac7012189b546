package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/gistmill/gistmill/internal/text"
)

// layer is one source of settings.
type layer struct {
	values map[string]string // raw, by setting name
	// origin describes the source for Explain; name begins an error about a value.
	origin func(s Setting) string
	name   func(s Setting) string
}

// Load returns the settings. The flag takes precedence over the environment, the environment over
// the file, and the file over the default. An empty environment variable counts as not set, because
// templates produce them. The file is the one named by --config or GISTMILL_CONFIG ("none" for no
// file), otherwise [DefaultFile] if it exists.
//
// flags is the command's flag set after parsing. Files must exist only for the settings that it
// has ([AddFlags]). Nil means no flags, and that all settings are in use. environ has the form of
// [os.Environ]. required names settings that the command needs; "api-key" is satisfied by a base
// URL or the extractive model too.
//
// The error is an *[InvalidError] that lists all problems.
func Load(flags *pflag.FlagSet, environ []string, required ...string) (Config, error) {
	table := Settings()
	env := environment(environ)

	var problems, warnings []string
	fromEnv := envLayer(table, env)
	warnings = append(warnings, unknownVariables(table, environ)...)
	fromFlags, flagWarnings := flagLayer(table, flags)
	warnings = append(warnings, flagWarnings...)
	path, isDefault, why := configPath(flags, env)
	if why != "" {
		problems = append(problems, "the config file "+why)
	}
	fromFile, fileProblems := fileLayer(table, path)
	problems = append(problems, fileProblems...)

	merged := make(map[string]string, len(table))
	source := make(map[string]layer, len(table))
	for _, l := range []layer{defaultLayer(table), fromFile, fromEnv, fromFlags} {
		for name, v := range l.values {
			merged[name], source[name] = v, l
		}
	}

	problem, warning := chooseKey(table, merged, source)
	if problem != "" {
		problems = append(problems, problem)
	}
	if warning != "" && (flags == nil || flags.Lookup("api-key-file") != nil) {
		warnings = append(warnings, warning)
	}

	var c Config
	bad := make(map[string]bool)
	for _, s := range table {
		raw, why := s.resolve(merged[s.Name], env)
		if why == "" {
			why = s.parse(&c, raw)
		}
		if why != "" {
			bad[s.Name] = true
			problems = append(problems, sentence(source[s.Name].name(s), why))
		}
	}
	isSet := func(name string) bool { return merged[name] != "" }
	uses := func(name string) bool { return flags == nil || flags.Lookup(name) != nil }
	c.complete(isSet)
	for _, p := range c.cross(uses) {
		if bad[p.setting] {
			continue
		}
		bad[p.setting] = true
		problems = append(problems, sentence(source[p.setting].name(find(table, p.setting)), p.text))
	}
	if uses("base-url") || uses("redis") {
		problems = append(problems, checkForeign(env)...)
	}
	for _, name := range required {
		switch {
		case bad[name]:
		case name == "api-key":
			if why := c.endpointMissing(); why != "" {
				problems = append(problems, why)
			}
		case !isSet(name):
			s := find(table, name)
			problems = append(problems, fmt.Sprintf("%s is required: set --%s or %s", name, s.Name, s.Env()))
		}
	}
	if len(problems) > 0 {
		return Config{Warnings: warnings}, &InvalidError{Problems: problems}
	}
	c.Warnings = append(warnings, c.advise(uses)...)
	if isDefault {
		c.DefaultFile = path
	}
	c.entries = explain(table, &c, source)
	return c, nil
}

// sentence joins the name of an invalid setting and the reason.
func sentence(name, why string) string {
	if strings.HasPrefix(why, `"`) || strings.HasPrefix(why, "the ") {
		return name + ": " + why
	}
	return name + " " + why
}

func find(table []Setting, name string) Setting {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		panic("config: no setting " + name)
	}
	return table[i]
}

func defaultLayer(table []Setting) layer {
	l := layer{
		values: make(map[string]string, len(table)),
		origin: func(Setting) string { return "default" },
		name:   func(s Setting) string { return s.Name },
	}
	for _, s := range table {
		l.values[s.Name] = s.Default
	}
	return l
}

func envLayer(table []Setting, env map[string]string) layer {
	values, variable := map[string]string{}, map[string]string{}
	for _, s := range table {
		for _, name := range append([]string{s.Env()}, s.Aliases...) {
			if v := strings.TrimSpace(env[name]); v != "" {
				values[s.Name], variable[s.Name] = v, name
				break
			}
		}
	}
	return layer{
		values: values,
		origin: func(s Setting) string { return "environment " + variable[s.Name] },
		name:   func(s Setting) string { return variable[s.Name] },
	}
}

func flagLayer(table []Setting, flags *pflag.FlagSet) (layer, []string) {
	l := layer{
		values: map[string]string{},
		origin: func(s Setting) string { return "flag --" + s.Name },
		name:   func(s Setting) string { return "--" + s.Name },
	}
	var warnings []string
	for _, s := range table {
		if flags == nil {
			break
		}
		f := flags.Lookup(s.Name)
		if f == nil || !f.Changed {
			continue
		}
		// An empty flag restores the default.
		l.values[s.Name] = cmp.Or(strings.TrimSpace(f.Value.String()), s.Default)
		if s.Kind == KindURL && hasPassword(f.Value.String()) {
			warnings = append(warnings, fmt.Sprintf(
				"--%s contains a password, which other users of this machine can see: set %s instead", s.Name, s.Env()))
		}
	}
	return l, warnings
}

// configPath returns the path of the configuration file, or "", whether it is the default one, and
// what is wrong with it.
func configPath(flags *pflag.FlagSet, env map[string]string) (path string, isDefault bool, problem string) {
	path = env[configVariable]
	if flags != nil {
		if f := flags.Lookup(configFlag); f != nil && f.Changed {
			path = cmp.Or(f.Value.String(), noFile)
		}
	}
	switch path {
	case noFile:
		return "", false, ""
	case "":
		path = defaultFile(env)
		// The home folder may be /dev/null, or one without rights. That is no reason to fail.
		if _, err := os.Stat(path); err != nil {
			return "", false, ""
		}
		return path, true, ""
	}
	path, problem = expandHome(path, env)
	return path, false, problem
}

// noFile is the value of --config for no file.
const noFile = "none"

// DefaultFile returns the path of the configuration file that [Load] reads if none is named:
// gistmill/config.yaml in the user's configuration folder. It is never in the working directory,
// because a file in a folder from elsewhere could send the API key to another endpoint. It is empty
// if environ names no home folder.
func DefaultFile(environ []string) string { return defaultFile(environment(environ)) }

func defaultFile(env map[string]string) string {
	folder := env["XDG_CONFIG_HOME"]
	if !filepath.IsAbs(folder) { // to be ignored (XDG Base Directory Specification)
		if !filepath.IsAbs(env["HOME"]) {
			return ""
		}
		folder = filepath.Join(env["HOME"], ".config")
		if runtime.GOOS == "darwin" { // as os.UserConfigDir
			folder = filepath.Join(env["HOME"], "Library", "Application Support")
		}
	}
	return filepath.Join(folder, "gistmill", "config.yaml")
}

func fileLayer(table []Setting, path string) (layer, []string) {
	l := layer{
		values: map[string]string{},
		origin: func(Setting) string { return "file " + path },
		name:   func(s Setting) string { return s.Key() + " in " + path },
	}
	if path == "" {
		return l, nil
	}
	var raw map[string]any
	content, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(content, &raw)
	}
	if err != nil {
		return l, []string{configFileProblem(path, err)}
	}
	keys := make(map[string]Setting, len(table))
	var names []string
	for _, s := range table {
		keys[s.Key()] = s
		if !s.Secret && !s.FlagOrEnv {
			names = append(names, s.Key())
		}
	}
	var problems []string
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		s, known := keys[key]
		switch {
		case !known:
			problems = append(problems, fmt.Sprintf("%s has an unknown key %s%s", path, quote(key), text.DidYouMean(key, names)))
			continue
		case s.Secret:
			problems = append(problems, fmt.Sprintf("%s has %s, but secrets are read from the environment only: set %s",
				path, key, strings.Join(append([]string{s.Env()}, s.Aliases...), " or ")))
			continue
		case s.FlagOrEnv:
			problems = append(problems, fmt.Sprintf("%s has %s, but a command is never read from a file, because a file from elsewhere could run one: use --%s or %s",
				path, key, s.Name, s.Env()))
			continue
		}
		v, ok := scalar(raw[key], s.Kind == KindList)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s in %s must be a single value", key, path))
			continue
		}
		if v != "" {
			l.values[s.Name] = v
		}
	}
	return l, problems
}

func configFileProblem(path string, err error) string {
	var unreadable *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("config file %s does not exist: set --config to the path of a YAML file", quote(path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("config file %s cannot be read by this user: change its mode or owner", quote(path))
	case errors.As(err, &unreadable):
		return fmt.Sprintf("config file %s cannot be read: %v", quote(path), unreadable.Err)
	default:
		where := ""
		if line := yamlLine.FindString(err.Error()); line != "" {
			where = " at " + line
		}
		// The parser's own text quotes the file, which may contain passwords.
		return fmt.Sprintf("config file %s cannot be read%s: it is not YAML with lines such as \"rpm: 500\", each setting once", quote(path), where)
	}
}

var yamlLine = regexp.MustCompile(`line \d+`)

// scalar returns a YAML value in the form of a flag. It reports false for lists (unless list is
// true) and maps.
func scalar(v any, list bool) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return strings.TrimSpace(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		return number(v), true
	case bool:
		return strconv.FormatBool(v), true
	case []any:
		if !list {
			return "", false
		}
		items := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := scalar(item, false)
			if !ok {
				return "", false
			}
			items = append(items, s)
		}
		return strings.Join(items, ","), true
	default:
		return "", false
	}
}
