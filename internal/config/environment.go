package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func snake(name string) string      { return strings.ReplaceAll(name, "-", "_") }
func upperSnake(name string) string { return strings.ToUpper(snake(name)) }

// environment is environ as a map; of equal names the last wins.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, v, ok := strings.Cut(kv, "="); ok {
			env[name] = v
		}
	}
	return env
}

// Kubernetes puts the addresses of Services into every pod's environment; a
// Service called gistmill-server gives GISTMILL_SERVER_PORT and the like.
var serviceAddress = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// unknownVariables warns about GISTMILL_ variables that nothing reads: a
// misspelt setting would otherwise be silently without effect.
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
			warnings = append(warnings, fmt.Sprintf("the environment variable %s is no setting and has no effect%s", name, didYouMean(name, names)))
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

// didYouMean gives "; did you mean X?" for the nearest of the names, or "".
func didYouMean(wrong string, names []string) string {
	best, least := "", len(wrong)/3+1
	for _, name := range names {
		// Hyphens for underscores, and capitals, are no misspelling worth counting.
		if d := distance(snake(strings.ToLower(wrong)), snake(strings.ToLower(name))); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's: the least number of letters to insert, delete or
// replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
