package enqueuer_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/tasks"
)

// parties are a ledger whose time stands still unless it is moved, and Redis servers.
type parties struct {
	*testing.T
	later  atomic.Int64
	ledger *ledger.Ledger
}

func newParties(t *testing.T) *parties {
	t.Helper()
	p := &parties{T: t}
	begun := time.Now()
	var err error
	p.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{
		Now: func() time.Time { return begun.Add(time.Duration(p.later.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.ledger.Close() })
	return p
}

// at is a process of this ledger at a Redis.
func (p *parties) at(server *miniredis.Miniredis) *enqueuer.Enqueuer {
	p.Helper()
	client, err := tasks.Dial("redis://" + server.Addr())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { client.Close() })
	return &enqueuer.Enqueuer{Ledger: p.ledger, Queue: tasks.NewQueue(client, "documents"), Log: slog.New(slog.DiscardHandler)}
}

func TestQueueOfAnotherLedgerIsRefused(t *testing.T) {
	t.Parallel()
	one, two := newParties(t), newParties(t)
	server := miniredis.RunT(t)
	if err := one.at(server).Own(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.at(server).Own(t.Context()); err != nil {
		t.Errorf("a second process of the same ledger: %v", err)
	}
	var other *enqueuer.OtherLedgerError
	if err := two.at(server).Own(t.Context()); !errors.As(err, &other) || other.Key != "gistmill:{documents}:ledger" {
		t.Errorf("another ledger: %v", err)
	}
	if err := one.at(server).KeepOwn(t.Context()); err != nil {
		t.Errorf("the first ledger after that: %v", err)
	}
	server.FlushAll()
	if err := two.at(server).Own(t.Context()); err != nil {
		t.Fatalf("another ledger at a flushed Redis: %v", err)
	}
	if err := one.at(server).KeepOwn(t.Context()); !errors.As(err, &other) {
		t.Errorf("the first ledger, whose queue was taken: %v", err)
	}
}

func TestFlushedQueueIsMarkedAgain(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	server := miniredis.RunT(t)
	e := p.at(server)
	if err := e.Own(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark, err := e.Queue.Mark(t.Context())
	if err != nil || mark == "" {
		t.Fatalf("the mark is %q, %v", mark, err)
	}
	server.FlushAll()
	if err := e.KeepOwn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := e.Queue.Mark(t.Context()); err != nil || again != mark {
		t.Errorf("after the flush the mark is %q, %v, and it was %q", again, err, mark)
	}
}

// TestSecondRedisIsRefused: as long as the mark is seen in one Redis an empty other one is not begun, but nothing hinders it when nobody has
// seen the mark for a while.
func TestSecondRedisIsRefused(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	if err := p.at(miniredis.RunT(t)).Own(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := miniredis.RunT(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := p.at(empty).Own(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an empty Redis beside one in use: %v", err)
	}
	if len(empty.Keys()) > 0 {
		t.Errorf("the second Redis has keys %v", empty.Keys())
	}
	p.later.Add(int64(ledger.MarkLease + time.Second))
	if err := p.at(empty).Own(t.Context()); err != nil {
		t.Errorf("nobody has seen the first Redis for long: %v", err)
	}
}
