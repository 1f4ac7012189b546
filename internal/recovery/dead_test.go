package recovery_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/internal/ledger"
	processid "github.com/gistmill/gistmill/internal/process"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/tasks"
)

// After an outage of the ledger all workers have lapsed by its clock. Live workers renew
// before the second poll and keep their claims.
func TestLiveWorkersRenewAfterAnOutage(t *testing.T) {
	t.Parallel()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{Now: func() time.Time { return now }})
	ok(err)
	defer l.Close()
	client, err := tasks.Dial("redis://" + miniredis.RunT(t).Addr())
	ok(err)
	defer client.Close()
	partitions := plan(t, l, 10)
	var workers []ledger.WorkerID
	for i := range 2 {
		worker, err := l.Register(t.Context(), ledger.WorkerProcess{Name: "host"})
		ok(err)
		claimed, err := l.Claim(t.Context(), worker, partitions[i], 10)
		ok(err)
		if len(claimed) != 5 {
			t.Fatalf("claimed %d", len(claimed))
		}
		workers = append(workers, worker)
	}
	claimed := func(partition ledger.PartitionID) int64 {
		v, err := l.PartitionStatus(t.Context(), partition)
		ok(err)
		return v.Claimed
	}
	r := recovery.New(l, tasks.NewQueue(client, "documents"), nil)
	r.SetNow(func() time.Time { return now })
	ok(r.RecoverDeadWorkers(t.Context()))
	now = now.Add(ledger.Lease + time.Minute)
	ok(r.RecoverDeadWorkers(t.Context()))
	if a, z := claimed(partitions[0]), claimed(partitions[1]); a != 5 || z != 5 {
		t.Errorf("after the first poll %d and %d claims are left, want 5 and 5", a, z)
	}
	now = now.Add(time.Second)
	ok(r.RecoverDeadWorkers(t.Context()))
	if a, z := claimed(partitions[0]), claimed(partitions[1]); a != 5 || z != 5 {
		t.Errorf("after a poll one second later %d and %d claims are left, want 5 and 5", a, z)
	}
	ok(l.Renew(t.Context(), workers[0], nil))
	now = now.Add(3 * time.Second)
	ok(r.RecoverDeadWorkers(t.Context()))
	if live, dead := claimed(partitions[0]), claimed(partitions[1]); live != 5 || dead != 0 {
		t.Errorf("the live worker has %d claims and the dead one %d, want 5 and 0", live, dead)
	}
}

// The claims of a worker whose process has ended on this machine are released at once, whether its
// lease is valid or has lapsed.
func TestEndedProcessIsRecoveredAtOnce(t *testing.T) {
	t.Parallel()
	self := processid.Self()
	if self == "" {
		t.Skip("no /proc")
	}
	ended := self[:strings.LastIndexByte(self, '/')] + "/1" // another process had this id before
	for name, after := range map[string]time.Duration{"valid lease": 0, "lapsed lease": ledger.Lease + time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParties(t)
			r := p.at(miniredis.RunT(t))
			partitions := plan(t, p.ledger, 10)
			for i, identity := range []string{ended, self} {
				worker, err := p.ledger.Register(t.Context(), ledger.WorkerProcess{Name: "host", Process: identity})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.ledger.Claim(t.Context(), worker, partitions[i], 10); err != nil {
					t.Fatal(err)
				}
			}
			p.later.Add(int64(after))
			if err := r.RecoverDeadWorkers(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, want := range []int64{0, 5} {
				if v, err := p.ledger.PartitionStatus(t.Context(), partitions[i]); err != nil || v.Claimed != want {
					t.Errorf("partition %d has %d claims, want %d (%v)", i, v.Claimed, want, err)
				}
			}
		})
	}
}

// plan plans a run of n documents and returns its partitions of five documents each.
func plan(t *testing.T, l *ledger.Ledger, n int) (partitions []ledger.PartitionID) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	source, err := l.PutSource(t.Context(), "file:///docs")
	ok(err)
	profile, err := l.PutProfile(t.Context(), "hash", "m", "{}")
	ok(err)
	ok(l.LockPlan(t.Context(), source, profile, "test"))
	run, _, err := l.OpenRun(t.Context(), source, profile, false)
	ok(err)
	var entries []ledger.Entry
	for i := range n {
		entries = append(entries, ledger.Entry{URI: fmt.Sprintf("doc%03d.txt", i), Size: 10, Version: "1"})
	}
	_, err = l.Plan(t.Context(), run, "test", entries, ledger.PartitionSize{Documents: 5, Bytes: 1 << 20}, func(ledger.Entry) {})
	ok(err)
	ok(l.Publish(t.Context(), ledger.Publication{Run: run.ID}))
	ok(l.OpenPartitions(t.Context(), run.ID, func(page []ledger.Partition) error {
		for _, p := range page {
			partitions = append(partitions, p.ID)
		}
		return nil
	}))
	return partitions
}
