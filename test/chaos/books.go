package main

import (
	"context"
	"fmt"
	"time"
)

// books looks at the ledger while a storm goes on, and compares each look with the one before.
type books struct {
	site  *site
	rows  map[rowID]row
	looks int
}

type rowID struct{ run, document int64 }

// row is where a document stands in a run.
type row struct {
	state                            string
	epoch, worker, attempts, crashes int64
}

// lookEvery is the pause between two looks.
const lookEvery = 1500 * time.Millisecond

// watch looks until ctx ends. Looks that fail while PostgreSQL is away are none.
func (b *books) watch(ctx context.Context) {
	for pause(ctx, lookEvery) {
		rows, err := b.read(ctx)
		if err != nil {
			continue
		}
		for _, wrong := range compare(b.rows, rows) {
			b.site.violation("%s", wrong)
		}
		b.rows = rows
		b.looks++
		if b.looks%8 == 0 {
			b.status(ctx)
		}
		b.calls(ctx)
	}
}

func (b *books) read(ctx context.Context) (map[rowID]row, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found, err := b.site.db.QueryContext(ctx, `SELECT run_num, document_id, state, epoch, COALESCE(worker_id, 0), attempts, crashes FROM run_documents`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	rows := make(map[rowID]row, len(b.rows))
	for found.Next() {
		var id rowID
		var r row
		if err := found.Scan(&id.run, &id.document, &r.state, &r.epoch, &r.worker, &r.attempts, &r.crashes); err != nil {
			return nil, err
		}
		rows[id] = r
	}
	return rows, found.Err()
}

// compare says what must not have happened between two looks, where no document changes and nobody re-drives one.
func compare(before, after map[rowID]row) (wrong []string) {
	for id, was := range before {
		now, there := after[id]
		switch {
		case !there:
			wrong = append(wrong, fmt.Sprintf("document %d is gone from run %d", id.document, id.run))
			continue
		case now.epoch < was.epoch:
			wrong = append(wrong, fmt.Sprintf("document %d of run %d: epoch %d after %d", id.document, id.run, now.epoch, was.epoch))
		case ended(was.state) && now != was:
			wrong = append(wrong, fmt.Sprintf("document %d of run %d had ended, and is changed: %+v after %+v", id.document, id.run, now, was))
		case was.state == "claimed" && now.state == "claimed" && now.worker != was.worker && now.epoch == was.epoch,
			was.state == "pending" && now.state == "claimed" && now.epoch == was.epoch:
			wrong = append(wrong, fmt.Sprintf("document %d of run %d was claimed without a new epoch: %+v after %+v", id.document, id.run, now, was))
		}
		// A crash is counted before a suspect is read, and taken back after.
		if now.attempts < was.attempts || now.crashes < was.crashes-1 || now.crashes < was.crashes && now.epoch != was.epoch {
			wrong = append(wrong, fmt.Sprintf("document %d of run %d: attempts or crashes shrank: %+v after %+v", id.document, id.run, now, was))
		}
	}
	return wrong
}

func ended(state string) bool { return state == "done" || state == "dead" || state == "skipped" }

// status asks the program itself for all runs: each has to balance.
func (b *books) status(ctx context.Context) {
	var runs []struct {
		Run       string
		Balanced  bool
		Documents struct{ Total, Done, Dead, Skipped, Remaining int64 }
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.site.run(ctx, &runs, "runs", "-o", "json"); err != nil {
		return // PostgreSQL is away
	}
	for _, r := range runs {
		d := r.Documents
		if !r.Balanced || d.Total != d.Done+d.Dead+d.Skipped+d.Remaining {
			b.site.violation("the books of run %s do not balance: %+v", r.Run, d)
		}
	}
}

// calls holds the calls that are recorded as open against what a worker may have in work: twice as many documents as calls in flight. An
// answered call gives its place to the next one before it is booked, so that more are open than in flight; how many are in flight is
// seen at the model.
func (b *books) calls(ctx context.Context) {
	const most = 2 * concurrency
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	n, err := b.site.number(ctx, `SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM calls WHERE finished_at IS NULL GROUP BY worker_id) open`)
	if err == nil && n > most {
		b.site.violation("a worker has %d open calls, at most %d are allowed", n, most)
	}
}
