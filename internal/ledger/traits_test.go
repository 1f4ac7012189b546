package ledger_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Processes that add lessons at the same time lose none, and the next one reads them.
func testTraitsOfConcurrentWorkers(t *testing.T, db database) {
	const processes, lessons = 4, 10
	var all sync.WaitGroup
	for i := range processes {
		l := db.open(t)
		all.Go(func() {
			for range lessons {
				_, err := l.ChangeTraits(t.Context(), ledger.Traits{Hash: "h", Host: "api.example.com", Model: "m"},
					func(body string) (string, error) { return body + string(rune('a'+i)), nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stored, err := db.open(t).Traits(t.Context())
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	for i := range processes {
		if n := strings.Count(stored[0].Body, string(rune('a'+i))); n != lessons {
			t.Errorf("process %d: %d of %d lessons are stored", i, n, lessons)
		}
	}
	if got := stored[0]; got.Host != "api.example.com" || got.Model != "m" || got.Changed.IsZero() {
		t.Errorf("%+v", got)
	}
}
