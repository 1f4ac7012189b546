//go:build benchmark

package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// BenchmarkStats reads the statistics of a ledger with a million remaining documents, a thousand
// ended workers, and ten thousand dead letters; on SQLite, and on the empty PostgreSQL database of
// GISTMILL_BENCH_POSTGRES if that is set.
func BenchmarkStats(b *testing.B) {
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
				f, err := report.New(l).Stats(b.Context())
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
	if _, err := planned(ctx, l, func(yield func([]ledger.Entry) bool) {
		for batch := range 50 {
			all := alike(fmt.Sprintf("doc%02d", batch), 20_000)
			for i := range all {
				if batch == 0 && i%2 == 0 {
					all[i].Problem = "may not be read"
				}
			}
			if !yield(all) {
				return
			}
		}
	}); err != nil {
		return err
	}
	for range 1000 {
		worker, err := l.Register(ctx, ledger.WorkerProcess{Name: "host"})
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
