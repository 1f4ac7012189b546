package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// NotConfirmed is the message of a run that was stopped as [Paused] because what remains of it was
// not confirmed.
const NotConfirmed = "not confirmed"

// ErrWorkers refuses to publish a sample of a run that live workers may be working on.
var ErrWorkers = errors.New("other workers may be working on the run")

// Publication is what a confirmed plan makes visible to workers. The zero value of each field but
// Run is valid.
type Publication struct {
	Run RunID
	// Holder must hold the planning lease of the run's source and profile; empty: not checked.
	Holder string
	// Resume continues the run if it is stopped.
	Resume bool
	// Newest is the newest partition that the confirmation covered; 0: all. Later ones stay planned.
	Newest PartitionID
	// Sample, if positive, publishes only this number of documents, chosen at random, in partitions of
	// their own. All other partitions of the run become invisible again.
	Sample int
	// BudgetNano and BudgetTokens replace the run's caps, unless nil.
	BudgetNano, BudgetTokens *int64
	// Service and FlexFallback replace those of the run, unless nil.
	Service      *string
	FlexFallback *bool
}

// Publish makes planned partitions visible to workers and the run [Running], in one short
// transaction. It fails with [ErrState], and changes nothing, when the run is stopped and not to be
// resumed, is cancelled, or is finished and has a successor; with [ErrPlanning] when another
// planner has taken over the lease; and with [ErrWorkers] when a sample would not be worked on
// alone. Open partitions of a run that was stopped get a new generation, because tasks of the old
// one may still be in progress.
func (l *Ledger) Publish(ctx context.Context, p Publication) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		if err := l.lockForBudget(ctx, tx, p.BudgetNano, p.BudgetTokens); err != nil {
			return err
		}
		if p.Holder != "" {
			if err := l.keepLease(ctx, tx, p.Run, p.Holder); err != nil {
				return err
			}
		}
		if p.Sample > 0 {
			var live bool
			if err := tx.QueryRow(ctx, `SELECT CASE WHEN runs.state = 'running' AND `+liveWorkers()+` THEN 1 ELSE 0 END FROM runs WHERE num = $1`, p.Run).Scan(&live); err != nil {
				return err
			}
			if live {
				return ErrWorkers
			}
		}
		const set = `UPDATE runs SET state = 'running', ` + unstopped + `, started_at = COALESCE(started_at, @now), finished_at = NULL,
			forced_at = COALESCE(force_planned_at, forced_at), force_planned_at = NULL`
		const running, resuming = set + ` WHERE num = $1`, set + `, resumed_at = @now WHERE num = $1`
		n, err := tx.Exec(ctx, running+` AND state <> 'stopped' AND NOT `+superseded(), p.Run)
		if err != nil {
			return err
		}
		if n == 0 && p.Resume {
			if n, err = tx.Exec(ctx, resuming+` AND state = 'stopped' AND reason <> 'cancelled' AND NOT `+superseded(), p.Run); err != nil {
				return err
			}
			if err := l.nextGenerations(ctx, tx, p.Run); err != nil {
				return err
			}
		}
		if n == 0 {
			return ErrState
		}
		if err := l.setBudget(ctx, tx, p.Run, p.BudgetNano, p.BudgetTokens); err != nil {
			return err
		}
		if err := setService(ctx, tx, p); err != nil {
			return err
		}
		if p.Sample > 0 {
			return l.publishSample(ctx, tx, p)
		}
		_, err = tx.Exec(ctx, `UPDATE partitions SET state = 'ready' WHERE run_num = $1 AND state = 'planned' AND (id <= $2 OR $3 = 0)`, p.Run, p.Newest, int64(p.Newest))
		return err
	})
	if err != nil {
		return fmt.Errorf("publish the plan: %w", err)
	}
	return nil
}

// setService replaces the service of a run. Its workers follow within seconds.
func setService(ctx context.Context, tx sqldb.Handle, p Publication) error {
	if p.Service != nil {
		if _, err := tx.Exec(ctx, `UPDATE runs SET service = $1 WHERE num = $2`, *p.Service, p.Run); err != nil {
			return err
		}
	}
	if p.FlexFallback == nil {
		return nil
	}
	fallback := 0
	if *p.FlexFallback {
		fallback = 1
	}
	_, err := tx.Exec(ctx, `UPDATE runs SET flex_fallback = $1 WHERE num = $2`, fallback, p.Run)
	return err
}

// liveWorkers is the SQL condition that there is a live worker.
func liveWorkers() string { return `EXISTS (SELECT 1 FROM workers WHERE ` + leased("workers") + `)` }

// samplePartition is the number of documents in a partition of a sample.
const samplePartition = 50

// publishSample moves random documents into partitions of their own, and publishes only these.
func (l *Ledger) publishSample(ctx context.Context, tx sqldb.Handle, p Publication) error {
	if _, err := tx.Exec(ctx, `UPDATE partitions SET state = 'planned', generation = generation + 1 WHERE run_num = $1 AND state = 'ready'`, p.Run); err != nil {
		return err
	}
	work, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (n stagedDocument, err error) { return n, rows.Scan(&n.document, &n.size) },
		`SELECT d.id, d.size FROM documents d JOIN (SELECT x.document_id`+openDocuments+` AND x.state = 'pending' AND (p.id <= $2 OR $3 = 0) ORDER BY random() LIMIT $4) o
		ON o.document_id = d.id`, p.Run, p.Newest, int64(p.Newest), p.Sample)
	if err != nil {
		return err
	}
	if err := l.repartition(ctx, tx, p.Run, partitionReady, PartitionSize{Documents: samplePartition, Bytes: math.MaxInt64}, work); err != nil {
		return err
	}
	return closePlanned(ctx, tx, p.Run)
}

// closePlanned closes the planned partitions of a run that have no open document.
func closePlanned(ctx context.Context, tx sqldb.Handle, run RunID) error {
	_, err := tx.Exec(ctx, `UPDATE partitions SET state = 'done' WHERE run_num = $1 AND state = 'planned' AND NOT EXISTS
		(SELECT 1 FROM run_documents x WHERE x.partition_id = partitions.id AND x.state IN ('pending', 'claimed'))`, run)
	return err
}

// inPlanned is the SQL condition that a row of run_documents waits in a partition of run $1 and $2
// that is not published.
const inPlanned = `run_num = $1 AND state = 'pending' AND partition_id IN (SELECT p.id FROM partitions p WHERE p.run_num = $2 AND p.state = 'planned')`

// ForgetUnlisted takes the open documents that the run's last listing did not meet out of a run
// that was never published: an earlier plan found them, with other filters or limits, and was not
// confirmed. Call it under the planning lease, after the listing.
func (l *Ledger) ForgetUnlisted(ctx context.Context, run RunID) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		n, err := tx.Exec(ctx, `DELETE FROM run_documents WHERE `+inPlanned+`
			AND scan <> (SELECT r.scan FROM runs r WHERE r.num = $3) AND (SELECT r.started_at FROM runs r WHERE r.num = $4) IS NULL`, run, run, run, run)
		if err != nil || n == 0 {
			return err
		}
		return closePlanned(ctx, tx, run)
	})
	if err != nil {
		return fmt.Errorf("forget the plan that was not confirmed: %w", err)
	}
	return nil
}

// unforce takes back what plans with --force have added to a run, if they were not confirmed:
// documents whose result counts without --force are done, skipped or dead again.
func (l *Ledger) unforce(ctx context.Context, tx sqldb.Handle, run Run) error {
	n, err := tx.Exec(ctx, `UPDATE runs SET force_planned_at = NULL WHERE num = $1 AND force_planned_at IS NOT NULL`, run.ID)
	if err != nil || n == 0 {
		return err
	}
	const current = `FROM results res JOIN documents d ON d.id = res.document_id JOIN runs r ON r.num = run_documents.run_num
		WHERE res.document_id = run_documents.document_id AND res.profile_id = r.profile_id AND res.version = d.version AND res.state <> 'retry'
		AND (r.forced_at IS NULL OR res.at >= r.forced_at)`
	if _, err := tx.Exec(ctx, `UPDATE run_documents SET partition_id = NULL, state = (SELECT CASE WHEN res.state = 'dead' THEN 'dead'
		WHEN res.state = 'done' AND res.run_num = run_documents.run_num THEN 'done' ELSE 'skipped' END `+current+`)
		WHERE `+inPlanned+` AND EXISTS (SELECT 1 `+current+`)`, run.ID, run.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE results SET run_num = $1 WHERE state = 'dead' AND profile_id = $2 AND run_num <> $3
		AND (SELECT x.state FROM run_documents x WHERE x.run_num = $4 AND x.document_id = results.document_id) = 'dead'`,
		run.ID, run.ProfileID, run.ID, run.ID); err != nil {
		return err
	}
	return closePlanned(ctx, tx, run.ID)
}

// Refuse notes that a plan was not confirmed, and reports whether it stopped the run. It stops, as
// [Paused], a run that was never published, and a running one that no live worker can be working
// on. Another run keeps its state: a stopped one because it was not resumed, and one of live
// workers because others have confirmed what they work on. In any case the planned partitions stay
// invisible to workers.
func (l *Ledger) Refuse(ctx context.Context, run RunID) (bool, error) {
	n, err := l.write.Exec(ctx, `UPDATE runs SET state = 'stopped', reason = 'paused', message = $1 WHERE num = $2 AND (state = 'planning' OR state = 'running'
		AND NOT `+liveWorkers()+`)`, NotConfirmed, run)
	if err != nil {
		return false, fmt.Errorf("note that the plan was not confirmed: %w", err)
	}
	return n == 1, nil
}

// Remaining is what remains of a run.
type Remaining struct {
	Documents int64       // pending or claimed, in partitions up to Newest
	Planned   int64       // of these, in partitions that are not published
	Newest    PartitionID // the newest open partition; 0: there is none
	// Sample is a uniform sample of the documents, in random order.
	Sample []Entry
}

// openDocuments is the SQL source of a run's open documents x in partitions p that are not done. It
// reads no others.
const openDocuments = ` FROM partitions p CROSS JOIN run_documents x WHERE p.run_num = $1 AND p.state <> 'done'
	AND x.partition_id = p.id AND x.state IN ('pending', 'claimed')`

// Remaining counts the documents of a run that remain, published or not, and draws at most sample
// of them.
func (l *Ledger) Remaining(ctx context.Context, run RunID, sample int) (Remaining, error) {
	var r Remaining
	err := l.read.QueryRow(ctx, `SELECT COUNT(*), COUNT(*) FILTER (WHERE p.state = 'planned'), COALESCE(MAX(p.id), 0)`+openDocuments, run).
		Scan(&r.Documents, &r.Planned, &r.Newest)
	if err != nil {
		return r, fmt.Errorf("count what remains: %w", err)
	}
	if sample == 0 || r.Documents == 0 {
		return r, nil
	}
	r.Sample, err = sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (e Entry, err error) {
		return e, rows.Scan(&e.URI, &e.Locator, &e.Version, &e.Size)
	}, `SELECT d.uri, d.locator, d.version, d.size FROM documents d JOIN (SELECT x.document_id`+openDocuments+` AND p.id <= $2 ORDER BY random() LIMIT $3) o
		ON o.document_id = d.id`, run, r.Newest, sample)
	if err != nil {
		return r, fmt.Errorf("draw a sample of what remains: %w", err)
	}
	return r, nil
}
