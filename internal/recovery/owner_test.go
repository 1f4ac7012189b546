package recovery_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/tasks"
)

// parties are a ledger whose clock is moved by hand, and Redis servers.
type parties struct {
	*testing.T
	later  atomic.Int64
	ledger *ledger.Ledger
}

// process has a ledger and a queue.
type process struct {
	*recovery.Recovery
	queue *tasks.Queue
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

// at returns a process of this ledger that uses a Redis.
func (p *parties) at(server *miniredis.Miniredis) *process {
	p.Helper()
	client, err := tasks.Dial("redis://" + server.Addr())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { client.Close() })
	q := tasks.NewQueue(client, "documents")
	return &process{recovery.New(p.ledger, q, nil), q}
}

func TestQueueOfAnotherLedgerIsRefused(t *testing.T) {
	t.Parallel()
	one, two := newParties(t), newParties(t)
	server := miniredis.RunT(t)
	if err := one.at(server).ClaimQueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.at(server).ClaimQueue(t.Context()); err != nil {
		t.Errorf("a second process of the same ledger: %v", err)
	}
	var other *recovery.OtherLedgerError
	if err := two.at(server).ClaimQueue(t.Context()); !errors.As(err, &other) || other.Key != "gistmill:{documents}:ledger" {
		t.Errorf("another ledger: %v", err)
	}
	if err := one.at(server).VerifyQueueOwner(t.Context()); err != nil {
		t.Errorf("the first ledger after that: %v", err)
	}
	server.FlushAll()
	if err := two.at(server).ClaimQueue(t.Context()); err != nil {
		t.Fatalf("another ledger at a flushed Redis: %v", err)
	}
	if err := one.at(server).VerifyQueueOwner(t.Context()); !errors.As(err, &other) {
		t.Errorf("the first ledger, whose queue was taken: %v", err)
	}
}

func TestFlushedQueueKeepsItsOwner(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	server := miniredis.RunT(t)
	r := p.at(server)
	if err := r.ClaimQueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	owner, err := r.queue.Owner(t.Context())
	if err != nil || owner == "" {
		t.Fatalf("the owner is %q, %v", owner, err)
	}
	server.FlushAll()
	if err := r.VerifyQueueOwner(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := r.queue.Owner(t.Context()); err != nil || again != owner {
		t.Errorf("after the flush the owner is %q, %v, and it was %q", again, err, owner)
	}
}

// An empty Redis is refused while another Redis holds the queue, and accepted once no process
// has seen the other one for a while.
func TestSecondRedisIsRefused(t *testing.T) {
	t.Parallel()
	p := newParties(t)
	if err := p.at(miniredis.RunT(t)).ClaimQueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := miniredis.RunT(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := p.at(empty).ClaimQueue(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an empty Redis beside one in use: %v", err)
	}
	if len(empty.Keys()) > 0 {
		t.Errorf("the second Redis has keys %v", empty.Keys())
	}
	p.later.Add(int64(ledger.MarkLease + time.Second))
	if err := p.at(empty).ClaimQueue(t.Context()); err != nil {
		t.Errorf("the first Redis was not seen for a while: %v", err)
	}
}
