package enqueuer_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/corpus"
	"github.com/gistmill/gistmill/internal/ledger"
)

// After an outage of the ledger all workers have lapsed by its clock. Those that live renew before the second look, and keep what
// they hold.
func TestTheLivingRenewAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := setUp(t, 10)
	now := time.Now()
	var err error
	b.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{Now: func() time.Time { return now }})
	b.ok(err)
	defer b.ledger.Close()
	b.Ledger = b.ledger
	run := b.enqueue(corpus.Options{}).Run
	var partitions []int64
	b.ok(b.ledger.OpenPartitions(t.Context(), run.Num, func(page []ledger.Partition) error {
		for _, p := range page {
			partitions = append(partitions, p.ID)
		}
		return nil
	}))
	var workers []int64
	for i := range 2 {
		worker, err := b.ledger.Register(t.Context(), "host")
		b.ok(err)
		claimed, err := b.ledger.Claim(t.Context(), worker, partitions[i], 10)
		b.ok(err)
		if len(claimed) != 5 {
			t.Fatalf("claimed %d", len(claimed))
		}
		workers = append(workers, worker)
	}
	claimed := func(partition int64) int64 {
		v, err := b.ledger.Look(t.Context(), partition)
		b.ok(err)
		return v.Claimed
	}
	recovery := b.NewRecovery(func() time.Time { return now })
	b.ok(recovery.Look(t.Context()))
	now = now.Add(ledger.Lease + time.Minute)
	b.ok(recovery.Look(t.Context()))
	if a, z := claimed(partitions[0]), claimed(partitions[1]); a != 5 || z != 5 {
		t.Errorf("at the first look after the outage %d and %d claims are left", a, z)
	}
	now = now.Add(time.Second)
	b.ok(recovery.Look(t.Context()))
	if a, z := claimed(partitions[0]), claimed(partitions[1]); a != 5 || z != 5 {
		t.Errorf("at a look a second after the first %d and %d claims are left", a, z)
	}
	b.ok(b.ledger.Renew(t.Context(), workers[0], nil))
	now = now.Add(3 * time.Second)
	b.ok(recovery.Look(t.Context()))
	if living, dead := claimed(partitions[0]), claimed(partitions[1]); living != 5 || dead != 0 {
		t.Errorf("of the living %d claims are left, of the dead %d", living, dead)
	}
}
