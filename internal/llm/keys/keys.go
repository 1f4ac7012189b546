// Package keys owns API keys that change while a program runs: one in a file, which is read again,
// and one that a command prints. It also owns what is wrong with the text of a key.
//
// It refuses to own requests and where a key is sent (internal/llm). No error and no log line of it
// contains a key or anything that a command has printed.
package keys

import (
	"strings"
	"unicode/utf8"
)

// Check returns what is wrong with a key and what to do, or "". The text does not quote the key.
func Check(key string) string {
	lower := strings.ToLower(key)
	first, _ := utf8.DecodeRuneInString(key)
	last, _ := utf8.DecodeLastRuneInString(key)
	switch {
	case key == "":
		return "is empty"
	case strings.ContainsRune(quotes, first) || strings.ContainsRune(quotes, last):
		// docker --env-file and kubectl create secret --from-env-file keep quotes.
		return "has quotes around it: give the key alone, without quotes"
	case strings.HasPrefix(lower, "bearer ") || strings.HasPrefix(lower, "basic ") ||
		strings.HasPrefix(lower, "authorization:") || strings.HasPrefix(lower, "api-key:"):
		return "is a whole header, with Bearer or its name: give the key alone"
	case strings.HasPrefix(key, "$") || strings.HasPrefix(key, "{{"):
		return "is the name of a variable that was not replaced: give the key itself"
	case strings.HasPrefix(key, "{"), strings.HasPrefix(key, "-----BEGIN"), strings.HasPrefix(key, "<"):
		return "is JSON, a certificate or a page instead of a key: give the key alone"
	case strings.HasPrefix(key, "OPENAI_API_KEY=") || strings.HasPrefix(key, "export "):
		return "is a whole assignment: give what follows the equals sign"
	}
	for _, r := range key { // what an HTTP header cannot contain
		if r <= ' ' || r > '~' {
			return "contains a space, a line break or another character that keys do not have: copy the key again"
		}
	}
	return ""
}

const quotes = "\"'`“”„‘’«»"

// A ProblemError is the error of a source that has no key to give. It names no key.
type ProblemError struct{ text string }

// Error returns what is wrong and what to do.
func (e *ProblemError) Error() string { return e.text }
