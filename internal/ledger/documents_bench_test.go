//go:build benchmark

package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// BenchmarkDocuments does what a worker does with the ledger for a document with one call, 96
// documents at once, on SQLite. It measures processor time, which the rest of a worker needs.
func BenchmarkDocuments(b *testing.B) {
	l, err := ledger.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	run, err := planned(b.Context(), l, slices.Values([][]ledger.Entry{alike("doc", b.N)}))
	if err != nil {
		b.Fatal(err)
	}
	worker, err := l.Register(b.Context(), ledger.WorkerProcess{Name: "host"})
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
	for partition := ledger.PartitionID(1); partition <= ledger.PartitionID(b.N+49)/50; partition++ {
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
	if totals, _, err := l.Totals(b.Context(), run.ID); err != nil || totals.Done != int64(b.N) {
		b.Fatalf("%d of %d done: %v", totals.Done, b.N, err)
	}
}

// planned plans and publishes a run of batches of documents.
func planned(ctx context.Context, l *ledger.Ledger, batches iter.Seq[[]ledger.Entry]) (run ledger.Run, err error) {
	source, err := l.PutSource(ctx, "file:///docs")
	if err != nil {
		return run, err
	}
	profile, err := l.PutProfile(ctx, "hash", "model", "{}")
	if err != nil {
		return run, err
	}
	if run, _, err = l.OpenRun(ctx, source, profile, false); err != nil {
		return run, err
	}
	for batch := range batches {
		if err := l.LockPlan(ctx, source, profile, "planner"); err != nil {
			return run, err
		}
		if _, err := l.Plan(ctx, run, "planner", batch, ledger.PartitionSize{Documents: 50, Bytes: 1 << 30}, nil); err != nil {
			return run, err
		}
	}
	return run, l.Publish(ctx, ledger.Publication{Run: run.ID})
}

// alike returns n documents with similar names.
func alike(name string, n int) []ledger.Entry {
	all := make([]ledger.Entry, n)
	for i := range all {
		all[i] = ledger.Entry{URI: fmt.Sprintf("%s%07d.txt", name, i), Version: "v1", Size: 1000, Modified: time.Unix(1000, 0)}
	}
	return all
}

func oneCall(ctx context.Context, l *ledger.Ledger, worker ledger.WorkerID, c ledger.Claimed) error {
	name := func(of string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", of, c.Document))
		return hex.EncodeToString(sum[:])
	}
	cost := int64(1234)
	if _, err := l.Summary(ctx, name("summary"), time.Time{}); err == nil {
		return fmt.Errorf("document %d has a summary", c.Document)
	}
	in := ledger.Reservation{Run: c.Run, Document: c.Document, Worker: worker, Name: name("call"), Model: "gpt-4o-mini", ReservedNano: &cost, ReservedTokens: 1000, Token: int64(c.Document)}
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
