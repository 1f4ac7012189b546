package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// DeadGroup is the dead letters of one class with the same message, apart from quoted parts and
// words and numbers with a digit.
type DeadGroup struct {
	ID      string    `json:"group"` // of [DeadLetter.Group]
	Class   Class     `json:"class"`
	Message string    `json:"message"` // with "…" for each part that differs
	Count   int64     `json:"count"`
	Oldest  time.Time `json:"oldest_at"`
	Newest  time.Time `json:"newest_at"`
	Example string    `json:"example"` // URI of the newest, of several the last by name
}

// DeadSummary counts dead letters.
type DeadSummary struct {
	Total  int64
	Groups []DeadGroup     // the largest first
	Runs   map[RunID]int64 // by the run that a redrive makes them pending in
}

// Classes counts the dead letters by class.
func (s DeadSummary) Classes() map[Class]int64 {
	n := map[Class]int64{}
	for _, g := range s.Groups {
		n[g.Class] += g.Count
	}
	return n
}

// DeadSummary reads the dead letters that a filter selects and counts them.
func (l *Ledger) DeadSummary(ctx context.Context, f DeadFilter) (DeadSummary, error) {
	s := DeadSummary{Runs: map[RunID]int64{}}
	groups := map[string]*DeadGroup{}
	err := l.DeadLetters(ctx, f, func(letters []DeadLetter) error {
		for _, d := range letters {
			s.Total++
			s.Runs[d.RunID]++
			pattern := d.pattern()
			id := groupID(d.Class, pattern)
			g := groups[id]
			if g == nil {
				g = &DeadGroup{ID: id, Class: d.Class, Message: d.Message, Oldest: d.At}
				groups[id] = g
			}
			g.Count++
			if g.Message != d.Message {
				g.Message = pattern
			}
			if d.At.Before(g.Oldest) {
				g.Oldest = d.At
			}
			if c := d.At.Compare(g.Newest); c > 0 || c == 0 && d.URI > g.Example {
				g.Newest, g.Example = d.At, d.URI
			}
		}
		return nil
	})
	for _, g := range groups {
		s.Groups = append(s.Groups, *g)
	}
	slices.SortFunc(s.Groups, func(a, b DeadGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Newest.Compare(a.Newest), cmp.Compare(a.ID, b.ID))
	})
	return s, err
}

// Group returns the id of the group of a dead letter: 8 hexadecimal digits that depend on class and
// message only.
func (d DeadLetter) Group() string { return groupID(d.Class, d.pattern()) }

func groupID(class Class, pattern string) string {
	sum := sha256.Sum256([]byte(string(class) + "\n" + pattern))
	return hex.EncodeToString(sum[:4])
}

// varying finds the parts of a message that vary among equal failures: quoted text, and words and
// numbers with a digit. It finds an HTTP status too, which pattern keeps.
var varying = sync.OnceValue(func() *regexp.Regexp { //nolint:gochecknoglobals // compiled once, never changed
	return regexp.MustCompile("status [1-5][0-9][0-9]\\b|\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`|\\B'[^']*'\\B|[\\pL_-]*[0-9][\\pL0-9_]*(?:[.,:/-][\\pL0-9_]+)*")
})

// pattern returns the message with "…" for each varying part.
func (d DeadLetter) pattern() string {
	return varying().ReplaceAllStringFunc(d.Message, func(part string) string {
		if strings.HasPrefix(part, "status ") {
			return part
		}
		return "…"
	})
}
