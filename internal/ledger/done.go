package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// completion is a done document that waits for its transaction.
type completion struct {
	Claimed
	Read
	summary Summary
	worker  WorkerID
	stale   bool
}

// Done books a document as done, with a summary that the ledger has or that is new: one with zero
// Created is stored. The summary is stored in any case, also when the outcome fails with [ErrStale]
// because the claim is stale.
func (l *Ledger) Done(ctx context.Context, worker WorkerID, c Claimed, read Read, s Summary) error {
	d := &completion{Claimed: c, Read: read, summary: s, worker: worker}
	if err := l.commits.add(ctx, func(tx *batch) { tx.completions = append(tx.completions, d) }); err != nil {
		return fmt.Errorf("book the outcome: %w", err)
	}
	if d.stale {
		return ErrStale
	}
	return nil
}

// completeDocuments books the done documents of a batch: first their summaries, which are kept in
// any case; then, where the claim is not stale, the documents' rows and the rest, in the order of
// the documents, as planners do.
func (l *Ledger) completeDocuments(ctx context.Context, tx *batch) error {
	// Transactions that store equal summaries wait for each other. In the order of names they never
	// deadlock.
	slices.SortStableFunc(tx.completions, func(a, b *completion) int { return strings.Compare(a.summary.Name, b.summary.Name) })
	var fresh []*completion
	for _, d := range tx.completions {
		if !d.summary.Created.IsZero() {
			continue
		}
		if last := len(fresh) - 1; last >= 0 && fresh[last].summary.Name == d.summary.Name {
			fresh = fresh[:last]
		}
		fresh = append(fresh, d)
	}
	for some := range sqldb.Chunks(fresh) {
		if err := l.putSummaries(ctx, tx, some); err != nil {
			return err
		}
	}
	slices.SortStableFunc(tx.completions, func(a, b *completion) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Document, b.Document))
	})
	var current []*completion
	for some := range sqldb.Chunks(tx.completions) {
		if err := l.markDone(ctx, tx, some); err != nil {
			return err
		}
		for _, d := range some {
			if !d.stale {
				current = append(current, d)
			}
		}
	}
	for some := range sqldb.Chunks(current) {
		if err := l.putResults(ctx, tx, some); err != nil {
			return err
		}
	}
	for _, d := range current {
		work := workDone{documents: 1}
		if !d.summary.Created.IsZero() { // the ledger had it
			work.reused, work.savedNano = 1, orZero(d.summary.CostNano)
		}
		tx.did(d.Run, d.worker, work)
		if d.Attempts == 0 { // most documents have no history; only one that exists needs an end
			continue
		}
		if err := l.addHistory(ctx, tx, d.Claimed, "done", d.Attempts+1, "", ""); err != nil {
			return err
		}
	}
	return nil
}

// putSummaries stores summaries of different names. CROSS JOIN keeps SQLite from reading the runs
// first.
func (l *Ledger) putSummaries(ctx context.Context, tx *batch, some []*completion) error {
	args := make([]any, 0, 12*len(some))
	for _, d := range some {
		s := d.summary
		var output any
		if s.Output != nil {
			output = string(s.Output)
		}
		checks := "[]"
		if s.Checks != nil {
			checks = string(s.Checks)
		}
		args = append(args, d.Run, s.Name, s.Title, s.Text, output, s.Model, s.TokensIn, s.TokensOut, nullable(s.CostNano), s.Chunks, checks, s.Endpoint)
	}
	_, err := tx.Exec(ctx, l.db.ValuesCTE(len(some), "run BIGINT, name TEXT, title TEXT, text TEXT, output TEXT, model TEXT, tokens_in BIGINT, tokens_out BIGINT, nano BIGINT, chunks BIGINT, checks TEXT, endpoint TEXT")+`
		INSERT INTO summaries (name, profile_id, run_num, title, text, output, model, tokens_in, tokens_out, cost_nano, chunks, checks, endpoint, created_at)
		SELECT g.name, r.profile_id, r.num, g.title, g.text, g.output, g.model, g.tokens_in, g.tokens_out, g.nano, g.chunks, g.checks, g.endpoint, @now
		FROM args g CROSS JOIN runs r WHERE r.num = g.run
		ON CONFLICT (name) DO UPDATE SET run_num = excluded.run_num, title = excluded.title, text = excluded.text, output = excluded.output, model = excluded.model,
		tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out, cost_nano = excluded.cost_nano, chunks = excluded.chunks,
		checks = excluded.checks, endpoint = excluded.endpoint, created_at = excluded.created_at`, args...)
	return err
}

// markDone updates the documents' rows where the claim is not stale. The plus before worker_id
// keeps SQLite from using the index of a worker's documents.
func (l *Ledger) markDone(ctx context.Context, tx *batch, some []*completion) error {
	type claim struct {
		run      RunID
		document DocumentID
		epoch    int64
		worker   WorkerID
	}
	claims := make(map[claim]*completion, len(some))
	args := make([]any, 0, 5*len(some))
	for _, d := range some {
		d.stale = true
		claims[claim{d.Run, d.Document, d.Epoch, d.worker}] = d
		args = append(args, d.Run, d.Document, d.Epoch, d.worker, d.summary.flagged())
	}
	marked, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (c claim, err error) {
		return c, rows.Scan(&c.run, &c.document, &c.epoch, &c.worker)
	}, l.db.ValuesCTE(len(some), "run BIGINT, document BIGINT, epoch BIGINT, worker BIGINT, flag BIGINT")+`
		UPDATE run_documents SET state = 'done', tries = tries + 1, attempts = attempts + 1, suspect = 0, flagged = args.flag
		FROM args WHERE run_num = args.run AND document_id = args.document AND run_documents.epoch = args.epoch AND +worker_id = args.worker
		AND state = 'claimed' RETURNING run_num, document_id, run_documents.epoch, worker_id`, args...)
	for _, c := range marked {
		claims[c].stale = false
	}
	return err
}

func (l *Ledger) putResults(ctx context.Context, tx *batch, some []*completion) error {
	args := make([]any, 0, 7*len(some))
	for _, d := range some {
		args = append(args, d.Run, d.Document, d.Read.Version, d.SHA256, d.summary.Name, d.Attempts+1, d.Fields.column())
	}
	_, err := tx.Exec(ctx, l.db.ValuesCTE(len(some), "run BIGINT, document BIGINT, version TEXT, sha256 TEXT, summary TEXT, attempts BIGINT, fields TEXT")+`
		INSERT INTO results (document_id, profile_id, run_num, version, state, content_sha256, summary, attempts, fields, at)
		SELECT g.document, r.profile_id, r.num, g.version, 'done', g.sha256, g.summary, g.attempts, g.fields, @now FROM args g CROSS JOIN runs r
		WHERE r.num = g.run `+replaceResult, args...)
	return err
}
