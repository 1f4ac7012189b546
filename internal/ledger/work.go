package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

const (
	// bucketMillis is the length of an interval in which ended documents are counted.
	bucketMillis = 5_000
	// paceWindow is the time over which the pace of a run is measured. paceSlow is the time for a run
	// of which fewer than paceFew documents ended in paceWindow.
	paceWindow = 60 * time.Second
	paceSlow   = 180 * time.Second
	paceFew    = 30
	// paceKept is how long intervals are kept before they are folded.
	paceKept = paceSlow + time.Minute
)

// workKey and workDone are what a worker did for a run in one transaction.
type workKey struct {
	run    RunID
	worker WorkerID
}

type workDone struct{ documents, reused, savedNano int64 }

func (w workDone) plus(o workDone) workDone {
	return workDone{w.documents + o.documents, w.reused + o.reused, w.savedNano + o.savedNano}
}

// addWork ends an INSERT into work: it adds to the row of the same key, if there is one.
const addWork = ` ON CONFLICT (run_num, holder, committer, bucket) DO UPDATE SET documents = work.documents + excluded.documents,
	reused = work.reused + excluded.reused, saved_nano = work.saved_nano + excluded.saved_nano`

// did adds to the work of a batch. Zero work notes that the worker has begun.
func (b *batch) did(run RunID, worker WorkerID, w workDone) {
	key := workKey{run, worker}
	b.work[key] = b.work[key].plus(w)
}

// putWork writes the work of a batch.
func (l *Ledger) putWork(ctx context.Context, tx *batch) error {
	if len(tx.work) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(tx.work), func(a, b workKey) int {
		return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.worker, b.worker))
	})
	for some := range sqldb.Chunks(keys) {
		args := make([]any, 0, 5*len(some))
		for _, key := range some {
			w := tx.work[key]
			args = append(args, key.run, key.worker, w.documents, w.reused, w.savedNano)
		}
		if _, err := tx.Exec(ctx, l.db.ValuesCTE(len(some), "run BIGINT, worker BIGINT, documents BIGINT, reused BIGINT, saved BIGINT")+fmt.Sprintf(`
			INSERT INTO work (run_num, holder, committer, bucket, begun_at, documents, reused, saved_nano)
			SELECT run, worker, %d, @now / %d * %d, @now, documents, reused, saved FROM args WHERE true`, tx.committer, bucketMillis, bucketMillis)+addWork, args...); err != nil {
			return fmt.Errorf("count the work: %w", err)
		}
	}
	return nil
}

// FoldWork adds up the intervals of all workers that no pace needs any more. Workers call it now
// and then.
func (l *Ledger) FoldWork(ctx context.Context) error {
	type row struct {
		run RunID
		workDone
	}
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		old, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			return r, rows.Scan(&r.run, &r.documents, &r.reused, &r.savedNano)
		}, `DELETE FROM work WHERE (run_num, holder, committer, bucket) IN (SELECT run_num, holder, committer, bucket FROM work
			WHERE bucket > 0 AND bucket < @now - $1 ORDER BY run_num, holder, committer, bucket LIMIT 10000 @skip_locked)
			RETURNING run_num, documents, reused, saved_nano`, paceKept.Milliseconds())
		if err != nil {
			return err
		}
		sums := map[RunID]workDone{}
		for _, r := range old {
			sums[r.run] = sums[r.run].plus(r.workDone)
		}
		for _, run := range slices.Sorted(maps.Keys(sums)) {
			s := sums[run]
			if _, err := tx.Exec(ctx, `INSERT INTO work (run_num, holder, committer, bucket, begun_at, documents, reused, saved_nano)
				VALUES ($1, 0, 0, 0, @now, $2, $3, $4)`+addWork, run, s.documents, s.reused, s.savedNano); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fold the work: %w", err)
	}
	return nil
}

// Reuse is what a run has not paid for: documents whose summary the ledger had, and what these
// summaries had cost in nano-USD, as far as that is known.
type Reuse struct{ Documents, SavedNano int64 }

// Reuse adds up a run's reuse.
func (l *Ledger) Reuse(ctx context.Context, run RunID) (Reuse, error) {
	var r Reuse
	err := l.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(reused), 0) AS BIGINT), CAST(COALESCE(SUM(saved_nano), 0) AS BIGINT)
		FROM work WHERE run_num = $1`, run).Scan(&r.Documents, &r.SavedNano)
	if err != nil {
		return r, fmt.Errorf("add up what the run reused: %w", err)
	}
	return r, nil
}

// interval is what one worker did for a run in an interval of bucketMillis.
type interval struct {
	worker    WorkerID
	bucket    int64 // its begin, in Unix milliseconds
	begun     int64 // when the first entry was made, in Unix milliseconds
	documents int64
}

// Pace measures how many documents of a run end per second: the sum over the live workers, each
// over the last minute, or since it began or the run was resumed. It is 0 without a live worker.
func (l *Ledger) Pace(ctx context.Context, run RunID) (perSecond float64, err error) {
	var now int64
	var resumed sql.NullInt64
	if err := l.read.QueryRow(ctx, `SELECT CAST(@now AS BIGINT), resumed_at FROM runs WHERE num = $1`, run).Scan(&now, &resumed); err != nil {
		return 0, fmt.Errorf("measure the pace: %w", err)
	}
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (i interval, err error) {
		return i, rows.Scan(&i.worker, &i.bucket, &i.begun, &i.documents)
	}, `SELECT w.holder, w.bucket, CAST(MIN(w.begun_at) AS BIGINT), CAST(SUM(w.documents) AS BIGINT) FROM work w JOIN workers k ON k.id = w.holder
		WHERE w.run_num = $1 AND w.bucket > 0 AND `+leased("k")+` GROUP BY w.holder, w.bucket`, run)
	if err != nil {
		return 0, fmt.Errorf("measure the pace: %w", err)
	}
	perSecond, documents := pace(all, now, resumed.Int64, paceWindow)
	if documents < paceFew {
		perSecond, _ = pace(all, now, resumed.Int64, paceSlow)
	}
	return perSecond, nil
}

// pace returns the sum of the workers' rates over a window, and the documents in it. now and
// resumed are Unix milliseconds.
func pace(all []interval, now, resumed int64, window time.Duration) (perSecond float64, documents int64) {
	from := (now - window.Milliseconds()) / bucketMillis * bucketMillis
	type holder struct{ begun, documents int64 }
	holders := map[WorkerID]holder{}
	for _, i := range all {
		h, known := holders[i.worker]
		if !known || i.begun < h.begun {
			h.begun = i.begun
		}
		// The interval of the resume counts: it holds no document of before the pause, unless the pause
		// was shorter than an interval.
		if i.bucket >= from && i.bucket+bucketMillis > resumed {
			h.documents += i.documents
		}
		holders[i.worker] = h
	}
	for _, h := range holders {
		begun := max(h.begun, from, resumed)
		documents += h.documents
		// Within the first second a rate is noise.
		if elapsed := now - begun; elapsed >= 1000 {
			perSecond += float64(h.documents) / (float64(elapsed) / 1000)
		}
	}
	return perSecond, documents
}
