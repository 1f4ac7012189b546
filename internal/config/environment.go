package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/text"
)

func snake(name string) string      { return strings.ReplaceAll(name, "-", "_") }
func upperSnake(name string) string { return strings.ToUpper(snake(name)) }

// environment returns environ as a map. The last value of a name wins.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, v, ok := strings.Cut(kv, "="); ok {
			env[name] = v
		}
	}
	return env
}

// serviceAddress matches the variables that Kubernetes sets in every pod for each Service: a
// Service gistmill-server gives GISTMILL_SERVER_PORT and others.
var serviceAddress = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// unknownVariables warns about GISTMILL_ variables that are no settings, because a misspelled
// setting has no effect.
func unknownVariables(table []Setting, environ []string) []string {
	names := []string{configVariable}
	for _, s := range table {
		names = append(names, s.Env())
	}
	var warnings []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case !strings.HasPrefix(name, "GISTMILL_"), slices.Contains(names, name), serviceAddress.MatchString(name):
		case strings.HasPrefix(name, "GISTMILL_TEST_"): // addresses of test servers
		case name == "GISTMILL_ACTIVE_HELP", name == "GISTMILL_COMPLETION_DESCRIPTIONS": // read by cobra
		default:
			warnings = append(warnings, fmt.Sprintf("environment variable %s is not a setting and has no effect%s", name, text.DidYouMean(name, names)))
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}
