//go:build benchmark

package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// BenchmarkFigures reads the figures of a ledger with a million documents that are to be done, a thousand workers that are gone, and
// ten thousand dead letters; on SQLite, and on the empty PostgreSQL database of GISTMILL_BENCH_POSTGRES if that is set.
func BenchmarkFigures(b *testing.B) {
	urls := map[string]string{"sqlite": "sqlite:" + filepath.Join(b.TempDir(), "ledger.db")}
	if url := os.Getenv("GISTMILL_BENCH_POSTGRES"); url != "" {
		urls["postgres"] = url
	}
	for name, url := range urls {
		b.Run(name, func(b *testing.B) {
			l, err := ledger.Open(b.Context(), url, ledger.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			if err := fill(b, l); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				f, err := l.Figures(b.Context())
				if err != nil || f.Remaining != 990_000 || f.DeadLetters["input"] != 10_000 {
					b.Fatal(f.Remaining, f.DeadLetters, err)
				}
			}
		})
	}
}

func fill(b *testing.B, l *ledger.Ledger) error {
	b.Helper()
	ctx := b.Context()
	source, err := l.PutSource(ctx, "file:///docs")
	if err != nil {
		return err
	}
	profile, err := l.PutProfile(ctx, "hash", "model", "{}")
	if err != nil {
		return err
	}
	run, _, err := l.OpenRun(ctx, source, profile, false, nil, nil)
	if err != nil {
		return err
	}
	for batch := range 50 {
		all := make([]ledger.Entry, 20_000)
		for i := range all {
			all[i] = ledger.Entry{URI: fmt.Sprintf("doc%02d%05d.txt", batch, i), Version: "v1", Size: 1000, Modified: time.Unix(1000, 0)}
			if batch == 0 && i%2 == 0 {
				all[i].Problem = "may not be read"
			}
		}
		if err := l.LockPlan(ctx, source, profile, "planner"); err != nil {
			return err
		}
		if _, err := l.Plan(ctx, run, "planner", all, ledger.PartitionSize{Documents: 50, Bytes: 1 << 30}, nil); err != nil {
			return err
		}
	}
	if err := l.Publish(ctx, run.Num); err != nil {
		return err
	}
	for range 1000 {
		worker, err := l.Register(ctx, "host")
		if err != nil {
			return err
		}
		counts := ledger.Counts{}
		for label := range 10 {
			counts[ledger.Count{Name: ledger.CountCalls, Label: fmt.Sprint(label)}] = 1
		}
		if err := l.Leave(ctx, worker, counts); err != nil {
			return err
		}
	}
	return nil
}
