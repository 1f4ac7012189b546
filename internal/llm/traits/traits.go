// Package traits holds what is known of a model at an endpoint: which parts of a request it
// refuses, how much it thinks, its window, and whether it ever answered. Calls teach it, a [Store]
// keeps it, and all workers share it.
//
// It owns how lessons are merged and what follows from them in numbers. It refuses to own how a
// refusal is recognized and how a request is written (internal/llm), and where traits are kept
// (internal/ledger).
package traits

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Kept is how long a refused part stays refused. After that the endpoint is asked again, at the
// cost of one refused call, because servers are updated.
const Kept = 30 * 24 * time.Hour

// Traits is what is known of one model at one endpoint. The zero value is that of an unknown one.
// Its JSON is kept in the ledger, so fields are added and never changed. A value is not changed
// after it was returned or passed on.
type Traits struct {
	// Answered is when (Unix seconds) the model first answered; 0: never.
	Answered int64 `json:"answered,omitempty"`
	// Window is the context window in tokens as the server tells it; 0: unknown.
	Window int `json:"window,omitempty"`
	// WindowAsked is when (Unix seconds) the server was last asked for it; 0: never.
	WindowAsked int64 `json:"window_asked,omitempty"`
	// MostOutput is the most output tokens that a refusal named; 0: unknown.
	MostOutput int `json:"most_output,omitempty"`
	// Refused are the parts of a request that the endpoint refuses, each with the time (Unix
	// seconds) of the refusal.
	Refused map[string]int64 `json:"refused,omitempty"`
	// Thought counts the tokens of thought of its answers.
	Thought Sketch `json:"thought,omitzero"`
}

// IsZero reports whether nothing is known.
func (t Traits) IsZero() bool {
	return t.Answered == 0 && t.Window == 0 && t.WindowAsked == 0 && t.MostOutput == 0 && len(t.Refused) == 0 && t.Thought.IsZero()
}

// Merge returns t with a later lesson. It does not depend on the order of the lessons, except for
// numbers that a later lesson replaces (Window, MostOutput) and for the weights of a [Sketch].
func (t Traits) Merge(lesson Traits) Traits {
	out := t
	if lesson.Answered > 0 && (t.Answered == 0 || lesson.Answered < t.Answered) {
		out.Answered = lesson.Answered
	}
	out.Window = cmp.Or(lesson.Window, t.Window)
	out.WindowAsked = max(lesson.WindowAsked, t.WindowAsked)
	out.MostOutput = cmp.Or(lesson.MostOutput, t.MostOutput)
	if len(lesson.Refused) > 0 {
		out.Refused = maps.Clone(t.Refused)
		if out.Refused == nil {
			out.Refused = make(map[string]int64, len(lesson.Refused))
		}
		for part, at := range lesson.Refused {
			out.Refused[part] = max(out.Refused[part], at)
		}
	}
	out.Thought = t.Thought.merge(lesson.Thought)
	return out
}

// Without reports whether requests leave out a part, because the endpoint refused it.
func (t Traits) Without(part string, now time.Time) bool {
	at, ok := t.Refused[part]
	return ok && now.Sub(time.Unix(at, 0)) < Kept
}

// Key names a model at an endpoint in a [Store].
type Key struct {
	// Hash is the SHA-256, in hex, of the base URL without user and password, and of the model.
	Hash string
	// Host and Model are for people.
	Host, Model string
}

// KeyOf returns the key of a model at a base URL.
func KeyOf(base *url.URL, model string) Key {
	sum := sha256.Sum256([]byte(base.Scheme + "://" + base.Host + base.Path + "\n" + model))
	return Key{Hash: hex.EncodeToString(sum[:]), Host: base.Host, Model: model}
}

// Describe says what is known, for people; "" if nothing is known but that the model answered.
func (t Traits) Describe(now time.Time) string {
	var said []string
	if room := t.Thought.Headroom(); room > 0 {
		said = append(said, fmt.Sprintf("thinks for about %d tokens, %d more than the cap are asked for", t.Thought.Typical(), room))
	}
	if t.MostOutput > 0 {
		said = append(said, fmt.Sprintf("gives at most %d tokens", t.MostOutput))
	}
	if t.Window > 0 {
		said = append(said, fmt.Sprintf("has a window of %d tokens", t.Window))
	}
	if parts := t.LeftOut(now); len(parts) > 0 {
		said = append(said, "refuses "+strings.Join(parts, ", "))
	}
	return strings.Join(said, "; ")
}

// LeftOut returns the parts that requests leave out, sorted, without the hashes of schemas.
func (t Traits) LeftOut(now time.Time) []string {
	var parts []string
	for part := range t.Refused {
		if t.Without(part, now) {
			name, value, _ := strings.Cut(part, ":")
			if name == "effort" {
				name = "reasoning effort " + value
			}
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}
