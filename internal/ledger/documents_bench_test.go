//go:build benchmark

package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// BenchmarkDocuments does what a worker does with the ledger for a document of one call, 96 documents at once, on SQLite. Processor time
// is what counts: the rest of a worker wants it.
func BenchmarkDocuments(b *testing.B) {
	l, err := ledger.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	worker, run, partitions, err := planned(b.Context(), l, b.N)
	if err != nil {
		b.Fatal(err)
	}
	work := make(chan ledger.Claimed)
	var wait sync.WaitGroup
	var failed atomic.Pointer[error]
	b.ResetTimer()
	before := processor()
	for range 96 {
		wait.Go(func() {
			for c := range work {
				if err := oneCall(b.Context(), l, worker, c); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	for partition := int64(1); partition <= partitions; partition++ {
		claimed, err := l.Claim(b.Context(), worker, partition, 64)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range claimed {
			work <- c
		}
	}
	close(work)
	wait.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	b.ReportMetric(float64((processor()-before).Microseconds())/float64(b.N), "cpu-µs/op")
	if totals, _, err := l.Totals(b.Context(), run); err != nil || totals.Done != int64(b.N) {
		b.Fatalf("%d of %d done: %v", totals.Done, b.N, err)
	}
}

func planned(ctx context.Context, l *ledger.Ledger, n int) (worker, run, partitions int64, err error) {
	source, err := l.PutSource(ctx, "file:///docs")
	if err != nil {
		return 0, 0, 0, err
	}
	profile, err := l.PutProfile(ctx, "hash", "model", "{}")
	if err != nil {
		return 0, 0, 0, err
	}
	opened, _, err := l.OpenRun(ctx, source, profile, false, nil, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	all := make([]ledger.Entry, n)
	for i := range all {
		all[i] = ledger.Entry{URI: fmt.Sprintf("doc%07d.txt", i), Version: "v1", Size: 1000, Modified: time.Unix(1000, 0)}
	}
	if err := l.LockPlan(ctx, source, profile, "planner"); err != nil {
		return 0, 0, 0, err
	}
	if _, err := l.Plan(ctx, opened, "planner", all, ledger.PartitionSize{Documents: 50, Bytes: 1 << 30}, nil); err != nil {
		return 0, 0, 0, err
	}
	if err := l.Publish(ctx, opened.Num); err != nil {
		return 0, 0, 0, err
	}
	worker, err = l.Register(ctx, "host")
	return worker, opened.Num, int64(n+49) / 50, err
}

func oneCall(ctx context.Context, l *ledger.Ledger, worker int64, c ledger.Claimed) error {
	name := func(of string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", of, c.Document))
		return hex.EncodeToString(sum[:])
	}
	cost := int64(1234)
	if _, err := l.Summary(ctx, name("summary"), time.Time{}); err == nil {
		return fmt.Errorf("document %d has a summary", c.Document)
	}
	in := ledger.Intent{Run: c.Run, Document: c.Document, Worker: worker, Name: name("call"), Model: "gpt-4o-mini", ReservedNano: &cost, ReservedTokens: 1000, Token: c.Document}
	call, _, err := l.BeginCall(ctx, in)
	if err != nil {
		return err
	}
	text := "It was copied by hand. " + name("a") + name("b") + name("c") + name("d") + name("e") + name("f") + name("g")
	if err := l.EndCall(ctx, call, in, ledger.Answer{Content: `{"summary":"` + text + `"}`, FinishReason: "stop", Model: "gpt-4o-mini-2024-07-18",
		Endpoint: "api.example.com", TokensIn: 640, TokensOut: 120, CostNano: &cost}); err != nil {
		return err
	}
	return l.Done(ctx, worker, c, ledger.Read{Version: c.Version, SHA256: name("content")}, ledger.Summary{
		Name: name("summary"), Text: text, Model: "gpt-4o-mini-2024-07-18", Endpoint: "api.example.com", TokensIn: 640, TokensOut: 120, CostNano: &cost, Chunks: 1,
	})
}

func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
