package main

import (
	"context"
	"fmt"
	"time"
)

// ledgerWatch reads the ledger while faults are injected, and compares each state with the one
// before.
type ledgerWatch struct {
	site  *site
	rows  map[rowID]row
	reads int
}

type rowID struct{ run, document int64 }

// row is the state of a document in a run.
type row struct {
	state                            string
	epoch, worker, attempts, crashes int64
}

// readEvery is the pause between two reads.
const readEvery = 1500 * time.Millisecond

// watch reads until ctx ends. Reads that fail while PostgreSQL is unavailable do not count.
func (b *ledgerWatch) watch(ctx context.Context) {
	for pause(ctx, readEvery) {
		rows, err := b.read(ctx)
		if err != nil {
			continue
		}
		for _, wrong := range compare(b.rows, rows) {
			b.site.violation("%s", wrong)
		}
		b.rows = rows
		b.reads++
		if b.reads%8 == 0 {
			b.status(ctx)
		}
		b.calls(ctx)
	}
}

func (b *ledgerWatch) read(ctx context.Context) (map[rowID]row, error) {
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

// compare lists the forbidden changes between two reads. It expects that no document changes
// and that none is redriven.
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
		// The crash counter is raised before a suspect is read, and lowered after.
		if now.attempts < was.attempts || now.crashes < was.crashes-1 || now.crashes < was.crashes && now.epoch != was.epoch {
			wrong = append(wrong, fmt.Sprintf("document %d of run %d: attempts or crashes shrank: %+v after %+v", id.document, id.run, now, was))
		}
	}
	return wrong
}

func ended(state string) bool { return state == "done" || state == "dead" || state == "skipped" }

// status asks the program for all runs: each must balance.
func (b *ledgerWatch) status(ctx context.Context) {
	var runs []struct {
		Run       string
		Balanced  bool
		Documents struct{ Total, Done, Dead, Skipped, Remaining int64 }
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.site.run(ctx, &runs, "runs", "-o", "json"); err != nil {
		return // PostgreSQL is unavailable
	}
	for _, r := range runs {
		d := r.Documents
		if !r.Balanced || d.Total != d.Done+d.Dead+d.Skipped+d.Remaining {
			b.site.violation("run %s does not balance: %+v", r.Run, d)
		}
	}
}

// calls compares the number of open calls with the documents that a worker may hold: twice as
// many as calls in flight. An answered call frees its slot before the ledger completes it, so
// more calls are open than in flight. The endpoint sees how many are in flight.
func (b *ledgerWatch) calls(ctx context.Context) {
	const most = 2 * concurrency
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	n, err := b.site.number(ctx, `SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM calls WHERE finished_at IS NULL GROUP BY worker_id) open`)
	if err == nil && n > most {
		b.site.violation("a worker has %d open calls, at most %d are allowed", n, most)
	}
}
