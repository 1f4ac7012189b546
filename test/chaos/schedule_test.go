package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]faultPlan{"long": longPlan(), "short": shortPlan()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := s.schedule(7)
			if !cmp.Equal(all, s.schedule(7), cmp.AllowUnexported(fault{})) {
				t.Error("one seed gives two schedules")
			}
			if cmp.Equal(all, s.schedule(8), cmp.AllowUnexported(fault{})) {
				t.Error("two seeds give one schedule")
			}
			counts := map[kind]int{}
			before := time.Duration(0)
			for _, f := range all {
				counts[f.kind]++
				if f.at < before || f.at >= s.duration {
					t.Errorf("%s at %s, after %s, in a plan of %s", f, f.at, before, s.duration)
				}
				before = f.at
				if f.slot < 0 || f.slot > s.workers || f.slot == s.workers && f.kind != cutOff {
					t.Errorf("%s has no target", f)
				}
				if f.kind == cutOff && (f.link == "" || f.cut == "" || f.len <= 0) {
					t.Errorf("%s is not a valid cut", f)
				}
			}
			if diff := cmp.Diff(s.counts, counts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The long plan has 200 kills and 10,000 documents, and every kind of cut at every link.
func TestLongPlan(t *testing.T) {
	t.Parallel()
	s := longPlan()
	if kills := s.counts[killWorker] + s.counts[killServer] + s.counts[killEnqueue]; kills != 200 || s.documents != 10_000 {
		t.Errorf("%d kills, %d documents", kills, s.documents)
	}
	seen := map[cut]bool{}
	links := map[link]bool{}
	slots := map[int]bool{}
	for _, f := range s.schedule(1) {
		if f.kind == cutOff {
			seen[f.cut], links[f.link], slots[f.slot] = true, true, true
		}
	}
	if len(seen) != 5 || len(links) != 3 || len(slots) != s.workers+1 {
		t.Errorf("%v, %v, %v", seen, links, slots)
	}
	if cuts := slices.IndexFunc(s.schedule(1), func(f fault) bool { return f.len > 30*time.Second }); cuts < 0 {
		t.Error("no cut outlasts a lease")
	}
}
