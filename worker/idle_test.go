package worker

import (
	"testing"
	"time"
)

// A worker may exit while others hold tasks only if it sees that those are alive.
func TestOwnersMustBeSeenAlive(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	type look struct {
		second int
		leases map[string]time.Time
		live   bool
	}
	cases := []struct {
		name  string
		looks []look
	}{
		{"none is doubtful", []look{{0, nil, true}}},
		{"one without a lease", []look{{0, map[string]time.Time{"a": {}}, false}, {60, map[string]time.Time{"a": {}}, false}}},
		{"a lease that does not grow", []look{{0, map[string]time.Time{"a": at(10)}, false}, {5, map[string]time.Time{"a": at(10)}, false}}},
		{"one that grows, by a clock that is late", []look{
			{0, map[string]time.Time{"a": at(-100)}, false},
			{5, map[string]time.Time{"a": at(-95)}, true},
			{9, map[string]time.Time{"a": at(-95)}, true},
			{10, map[string]time.Time{"a": at(-90)}, true},
		}},
		{"one that grew, and does no more", []look{
			{0, map[string]time.Time{"a": at(-100)}, false},
			{5, map[string]time.Time{"a": at(-95)}, true},
			{20, map[string]time.Time{"a": at(-95)}, false},
		}},
		{"one of two", []look{
			{0, map[string]time.Time{"a": at(1), "b": at(1)}, false},
			{5, map[string]time.Time{"a": at(6), "b": at(1)}, false},
			{6, map[string]time.Time{"a": at(6)}, true},
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var leases taskLeases
			for i, l := range tc.looks {
				if got := leases.live(l.leases, at(l.second)); got != l.live {
					t.Fatalf("look %d: live is %v", i, got)
				}
			}
		})
	}
}
