package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// WorkerProcess describes a worker.
type WorkerProcess struct {
	Name string // for people: host and process id
	// Process identifies the process on its machine for all time; empty if unknown. See
	// [Ledger.RecoverLapsed].
	Process string
	Runs    []RunID // the only runs that it works on; empty: all
}

// Register adds a worker with a lease of [Lease], and returns its id.
func (l *Ledger) Register(ctx context.Context, p WorkerProcess) (WorkerID, error) {
	var id WorkerID
	runs := ""
	for _, run := range p.Runs {
		runs = cmp.Or(runs, ",") + strconv.FormatInt(int64(run), 10) + ","
	}
	err := l.write.QueryRow(ctx, `INSERT INTO workers (name, process, only_runs, started_at, lease_until) VALUES ($1, $2, $3, @now, @now + $4) RETURNING id`,
		p.Name, p.Process, runs, Lease.Milliseconds()).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("register the worker: %w", err)
	}
	return id, nil
}

// Renew extends a worker's lease to [Lease] from now, and with it its claims, unless they were
// released. counts are the worker's totals that changed since the last renewal.
func (l *Ledger) Renew(ctx context.Context, worker WorkerID, counts Counts) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		if _, err := tx.Exec(ctx, `UPDATE workers SET lease_until = @now + $1, ended_at = NULL WHERE id = $2`, Lease.Milliseconds(), worker); err != nil {
			return err
		}
		return l.putCounts(ctx, tx, worker, counts)
	})
	if err != nil {
		return fmt.Errorf("renew the worker's lease: %w", err)
	}
	return nil
}

// Leave ends a worker's lease. It releases the claims that the worker still holds, which uses no
// attempts, and ends its open calls at their reservations. counts are those of [Ledger.Renew].
func (l *Ledger) Leave(ctx context.Context, worker WorkerID, counts Counts) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		if _, err := tx.Exec(ctx, `UPDATE workers SET ended_at = @now, waiting = NULL WHERE id = $1`, worker); err != nil {
			return err
		}
		if err := l.putCounts(ctx, tx, worker, counts); err != nil {
			return err
		}
		if err := l.endLostCalls(ctx, tx, worker); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', worker_id = NULL WHERE worker_id = $1 AND state = 'claimed'`, worker)
		return err
	})
	if err != nil {
		return fmt.Errorf("end the worker's lease: %w", err)
	}
	return nil
}

// LiveWorkers counts the workers with a valid lease.
func (l *Ledger) LiveWorkers(ctx context.Context) (int64, error) {
	var n int64
	return n, l.read.QueryRow(ctx, `SELECT COUNT(*) FROM workers WHERE `+leased("workers")).Scan(&n)
}

// leased is the SQL condition that a worker, by its name in the statement, has a valid lease.
func leased(worker string) string {
	return worker + `.ended_at IS NULL AND ` + worker + `.lease_until >= @now`
}

// Claimed is a document with the claim that a worker has on it.
type Claimed struct {
	Run                   RunID
	Document              DocumentID
	Epoch                 int64
	URI, Locator, Version string
	Size                  int64
	Attempts              int64 // used in this run, also before a redrive
	Tries                 int64 // used since planning or a redrive; these count against the limit
	Crashes               int64 // of its reader, since the last redrive
	Suspect               bool  // its last worker died: read it in isolation
	Refusals              int64 // by the endpoint, without a decision; see [Ledger.Refused]
}

// PartitionStatus is the state of a partition and its documents.
type PartitionStatus struct {
	RunState   State
	Generation int64
	Open       int64     // documents that are pending or claimed
	Claimed    int64     // of the open ones
	NextDue    time.Time // when the first pending one is due; zero when none is pending
	Closed     bool      // done, or there is no such partition
}

// PartitionStatus returns the state of a partition. A partition that does not exist is closed.
func (l *Ledger) PartitionStatus(ctx context.Context, partition PartitionID) (PartitionStatus, error) {
	var v PartitionStatus
	var due sql.NullInt64
	var state partitionState
	err := l.read.QueryRow(ctx, `SELECT r.state, p.generation, p.state,
		(SELECT COUNT(*) FROM run_documents x WHERE x.partition_id = p.id AND x.state IN ('pending', 'claimed')),
		(SELECT COUNT(*) FROM run_documents x WHERE x.partition_id = p.id AND x.state IN ('pending', 'claimed') AND x.state = 'claimed'),
		(SELECT MIN(due_at) FROM run_documents x WHERE x.partition_id = p.id AND x.state IN ('pending', 'claimed') AND x.state = 'pending')
		FROM partitions p JOIN runs r ON r.num = p.run_num WHERE p.id = $1`, partition).
		Scan(&v.RunState, &v.Generation, &state, &v.Open, &v.Claimed, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return PartitionStatus{Closed: true}, nil
	}
	if err != nil {
		return v, fmt.Errorf("read partition %d: %w", partition, err)
	}
	v.NextDue = sqldb.Time(due)
	v.Closed = state == partitionDone
	return v, nil
}

// checkLeases reads which claimers of a batch may claim: those whose lease was not ended by
// recovery or [Ledger.Leave], even if it has lapsed. It share-locks their rows, so that recovery
// cannot release a worker's claims until this transaction commits: it would miss the claims made
// here, and never look again.
func (l *Ledger) checkLeases(ctx context.Context, tx *batch) error {
	slices.Sort(tx.claimers)
	for _, worker := range slices.Compact(tx.claimers) {
		var holds bool
		err := tx.QueryRow(ctx, `SELECT CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END FROM workers WHERE id = $1 @share`, worker).Scan(&holds)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		tx.leases[worker] = holds
	}
	return nil
}

// Claim claims up to limit due documents of a partition for a worker, each under a new epoch, in
// the order of the listing. It claims none when the run is not running or the partition is not
// open. It fails with [ErrLapsed] when the worker's claims were released because its lease had
// lapsed.
func (l *Ledger) Claim(ctx context.Context, worker WorkerID, partition PartitionID, limit int) ([]Claimed, error) {
	var claimed []Claimed
	var leased bool
	claim := func(ctx context.Context, tx *batch) (err error) {
		claimed, leased = nil, tx.leases[worker]
		if !leased {
			return nil
		}
		claimed, err = sqldb.Collect(ctx, tx, func(rows *sql.Rows) (c Claimed, err error) {
			return c, rows.Scan(&c.Run, &c.Document, &c.Epoch, &c.Attempts, &c.Tries, &c.Crashes, &c.Suspect, &c.Refusals)
		}, `UPDATE run_documents SET state = 'claimed', epoch = epoch + 1, worker_id = $1
			WHERE (run_num, document_id) IN (SELECT x.run_num, x.document_id FROM run_documents x
			WHERE x.partition_id = $2 AND x.state IN ('pending', 'claimed') AND x.state = 'pending' AND x.due_at <= @now
			AND EXISTS (SELECT 1 FROM partitions p JOIN runs r ON r.num = p.run_num WHERE p.id = $3 AND p.state = 'ready' AND r.state = 'running')
			ORDER BY x.document_id LIMIT $4 @skip_locked)
			RETURNING run_num, document_id, epoch, attempts, tries, crashes, suspect, refusals`, worker, partition, partition, limit)
		if err != nil {
			return err
		}
		if len(claimed) > 0 {
			tx.did(claimed[0].Run, worker, workDone{}) // from now on the worker's pace is measured
		}
		return l.addLocations(ctx, tx, claimed)
	}
	err := l.commits.add(ctx, func(b *batch) { b.claimers, b.others = append(b.claimers, worker), append(b.others, claim) })
	if err == nil && !leased {
		err = ErrLapsed
	}
	if err != nil {
		return nil, fmt.Errorf("claim documents of partition %d: %w", partition, err)
	}
	return claimed, nil
}

// Claims lists what a worker holds in a partition: only run, document and epoch are set.
func (l *Ledger) Claims(ctx context.Context, worker WorkerID, partition PartitionID) ([]Claimed, error) {
	claims, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (c Claimed, err error) { return c, rows.Scan(&c.Run, &c.Document, &c.Epoch) },
		`SELECT run_num, document_id, epoch FROM run_documents x WHERE x.partition_id = $1 AND x.state IN ('pending', 'claimed') AND x.state = 'claimed'
		AND x.worker_id = $2`, partition, worker)
	if err != nil {
		return nil, fmt.Errorf("list the claims in partition %d: %w", partition, err)
	}
	return claims, nil
}

// addLocations adds URI, locator, version and size to claims, and sorts them by document, which is
// the order of the listing.
func (l *Ledger) addLocations(ctx context.Context, tx sqldb.Reader, claimed []Claimed) error {
	if len(claimed) == 0 {
		return nil
	}
	slices.SortFunc(claimed, func(a, b Claimed) int { return cmp.Compare(a.Document, b.Document) })
	ids := make([]any, len(claimed))
	for i, c := range claimed {
		ids[i] = c.Document
	}
	found, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (c Claimed, err error) {
		return c, rows.Scan(&c.Document, &c.URI, &c.Locator, &c.Version, &c.Size)
	}, `SELECT id, uri, locator, version, size FROM documents WHERE id IN (`+sqldb.Placeholders(1, len(ids))+`) ORDER BY id`, ids...)
	if err != nil {
		return err
	}
	if len(found) != len(claimed) {
		return fmt.Errorf("the ledger has %d of %d claimed documents", len(found), len(claimed))
	}
	for i, f := range found {
		c := &claimed[i]
		c.URI, c.Locator, c.Version, c.Size = f.URI, f.Locator, f.Version, f.Size
	}
	return nil
}

// Release gives a claim back: it uses no attempt, and the document is due again after the given
// time. It does nothing, and returns no error, when the claim is stale.
func (l *Ledger) Release(ctx context.Context, worker WorkerID, c Claimed, after time.Duration) error {
	err := l.commits.do(ctx, func(ctx context.Context, tx *batch) error {
		_, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', worker_id = NULL, due_at = @now + $1 `+whereClaimed(2),
			after.Milliseconds(), c.Run, c.Document, c.Epoch, worker)
		return err
	})
	if err != nil {
		return fmt.Errorf("release a claim: %w", err)
	}
	return nil
}

// whereClaimed is the condition that a claim is not stale. Its parameters, from $n on, are run,
// document, epoch and worker.
func whereClaimed(n int) string {
	return fmt.Sprintf(`WHERE run_num = $%d AND document_id = $%d AND epoch = $%d AND worker_id = $%d AND state = 'claimed'`, n, n+1, n+2, n+3)
}

// ClosePartition makes a partition done if it has no open document, and finishes its run if this
// was the last one. Else it does nothing.
func (l *Ledger) ClosePartition(ctx context.Context, partition PartitionID) error {
	var run RunID
	err := l.write.QueryRow(ctx, `UPDATE partitions SET state = 'done' WHERE id = $1 AND state = 'ready' AND NOT EXISTS
		(SELECT 1 FROM run_documents x WHERE x.partition_id = $2 AND x.state IN ('pending', 'claimed')) RETURNING run_num`, partition, partition).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("close partition %d: %w", partition, err)
	}
	_, err = l.FinishRun(ctx, run)
	return err
}

// RecoverLapsed releases the claims of workers that are dead, marks their documents as suspects,
// and ends their open calls at the full reservation. It returns the partitions of running runs that
// have work again. dead decides about each worker that has not ended, from its process (see
// [WorkerProcess]) and whether its lease has lapsed. After an outage of the ledger longer than a
// lease every lease has lapsed, and live workers need a moment to renew. So dead should require
// that a worker had lapsed in an earlier call some seconds ago, or that its process has ended. A
// worker that renews its lease meanwhile keeps its claims.
func (l *Ledger) RecoverLapsed(ctx context.Context, dead func(worker WorkerID, process string, lapsed bool) bool) ([]Partition, error) {
	type leaseHolder struct {
		id      WorkerID
		process string
		until   int64
		lapsed  bool
	}
	workers, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (w leaseHolder, err error) {
		return w, rows.Scan(&w.id, &w.process, &w.until, &w.lapsed)
	}, `SELECT id, process, lease_until, CASE WHEN lease_until < @now THEN 1 ELSE 0 END FROM workers WHERE ended_at IS NULL`)
	if err != nil {
		return nil, fmt.Errorf("find dead workers: %w", err)
	}
	var partitions []Partition
	for _, w := range workers {
		if !dead(w.id, w.process, w.lapsed) {
			continue
		}
		worker := w.id
		var released []Partition
		err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
			released = nil
			n, err := tx.Exec(ctx, `UPDATE workers SET ended_at = @now WHERE id = $1 AND ended_at IS NULL AND lease_until = $2`, worker, w.until)
			if err != nil || n == 0 {
				return err
			}
			if err := l.endLostCalls(ctx, tx, worker); err != nil {
				return err
			}
			if released, err = sqldb.Collect(ctx, tx, scanPartition, `SELECT p.id, p.run_num, p.generation, p.documents, p.bytes FROM partitions p JOIN runs r ON r.num = p.run_num
				WHERE r.state = 'running' AND p.state = 'ready' AND p.id IN (SELECT partition_id FROM run_documents WHERE worker_id = $1 AND state = 'claimed')`, worker); err != nil {
				return err
			}
			held, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', worker_id = NULL, suspect = 1, due_at = 0 WHERE worker_id = $1 AND state = 'claimed'`, worker)
			if err != nil {
				return err
			}
			return l.countDeadWorker(ctx, tx, worker, held > 0)
		})
		if err != nil {
			return nil, fmt.Errorf("recover worker %d: %w", worker, err)
		}
		partitions = append(partitions, released...)
	}
	return partitions, nil
}

// endLostCalls ends a worker's open calls. What the provider charged is unknown, so the full
// reservation counts.
func (l *Ledger) endLostCalls(ctx context.Context, tx sqldb.Handle, worker WorkerID) error {
	type lostCall struct{ nano, tokens int64 }
	calls, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (c lostCall, err error) { return c, rows.Scan(&c.nano, &c.tokens) },
		`UPDATE calls SET finished_at = @now, class = 'lost', cost_nano = reserved_nano, tokens_in = reserved_tokens
		WHERE worker_id = $1 AND finished_at IS NULL RETURNING COALESCE(reserved_nano, 0), reserved_tokens`, worker)
	if err != nil {
		return err
	}
	counts := Counts{}
	for _, c := range calls {
		counts[Count{CountCalls, string(ClassLost)}]++
		counts[Count{CountCost, ""}] += c.nano
		counts[Count{CountTokens, LabelIn}] += c.tokens
	}
	return l.addCounts(ctx, tx, int64(worker), counts)
}
