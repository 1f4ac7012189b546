package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// DeadLetter is a document that cannot be done, in its newest run.
type DeadLetter struct {
	Document DocumentID `json:"-"`
	RunID    RunID      `json:"-"`
	URI      string     `json:"uri"`
	Run      string     `json:"run"`
	Class    Class      `json:"class"`
	Message  string     `json:"message"`
	Attempts int64      `json:"attempts"`
	At       time.Time  `json:"at"`
	Source   string     `json:"source"`
	Model    string     `json:"model"`
}

// DeadFilter selects dead letters; a zero field selects all.
type DeadFilter struct {
	Run   RunID // dead in this run
	Class Class
	URI   func(uri string) bool // nil: all
	Gone  bool                  // also documents that are gone from their source
}

// deadPage is the number of dead letters that one statement reads or changes: SQLite's time grows
// with the square of the number of named parameters.
const deadPage = 500

// DeadLetters streams dead letters, in pages of at most 500, ordered by document and profile. An
// error of each ends the stream and is returned.
func (l *Ledger) DeadLetters(ctx context.Context, f DeadFilter, each func([]DeadLetter) error) error {
	type keyed struct {
		DeadLetter
		profile ProfileID
	}
	var document DocumentID
	var profile ProfileID
	for {
		statement := `SELECT res.document_id, res.profile_id, r.num, d.uri, r.name, res.class, res.message, res.attempts, res.at, s.url, p.model
			FROM results res JOIN documents d ON d.id = res.document_id JOIN runs r ON r.num = res.run_num
			JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id
			WHERE res.state = 'dead' AND (res.document_id, res.profile_id) > ($1, $2)`
		args := []any{document, profile}
		if f.Run != 0 {
			args = append(args, f.Run)
			statement += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $%d AND x.document_id = res.document_id AND x.state = 'dead')
				AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $%d)`, len(args), len(args))
		}
		if f.Class != "" {
			args = append(args, string(f.Class))
			statement += fmt.Sprintf(` AND res.class = $%d`, len(args))
		}
		if !f.Gone {
			statement += ` AND d.gone_at IS NULL`
		}
		page, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (k keyed, err error) {
			var at sql.NullInt64
			err = rows.Scan(&k.Document, &k.profile, &k.RunID, &k.URI, &k.Run, &k.Class, &k.Message, &k.Attempts, &at, &k.Source, &k.Model)
			k.At = sqldb.Time(at)
			return k, err
		}, statement+fmt.Sprintf(` ORDER BY res.document_id, res.profile_id LIMIT %d`, deadPage), args...)
		if err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		document, profile = page[len(page)-1].Document, page[len(page)-1].profile
		letters := make([]DeadLetter, 0, len(page))
		for _, k := range page {
			if f.URI == nil || f.URI(k.URI) {
				letters = append(letters, k.DeadLetter)
			}
		}
		if len(letters) > 0 {
			if err := each(letters); err != nil {
				return err
			}
		}
	}
}

// Redrive makes dead letters pending again in their newest run, in new partitions, and continues
// the run if it is finished. It keeps attempts and history; tries that count against the limit
// start at zero. It returns the number of redriven documents of each run. A stopped run keeps them
// until it is resumed.
func (l *Ledger) Redrive(ctx context.Context, f DeadFilter, size PartitionSize) (map[RunID]int64, error) {
	redriven, err := l.changeDead(ctx, f, func(tx sqldb.Handle, run RunID, letters []DeadLetter) (int64, error) {
		return l.redriveRun(ctx, tx, run, letters, size)
	})
	if err != nil {
		return redriven, fmt.Errorf("redrive dead letters: %w", err)
	}
	return redriven, nil
}

// changeDead calls change for the dead letters of each run, page by page, in transactions. It
// returns the sum of what change returns, by run.
func (l *Ledger) changeDead(ctx context.Context, f DeadFilter, change func(tx sqldb.Handle, run RunID, letters []DeadLetter) (int64, error)) (map[RunID]int64, error) {
	changed := map[RunID]int64{}
	err := l.DeadLetters(ctx, f, func(letters []DeadLetter) error {
		byRun := map[RunID][]DeadLetter{}
		for _, letter := range letters {
			byRun[letter.RunID] = append(byRun[letter.RunID], letter)
		}
		for run, some := range byRun {
			var n int64
			if err := l.db.Tx(ctx, func(tx sqldb.Handle) (err error) {
				n, err = change(tx, run, some)
				return err
			}); err != nil {
				return err
			}
			if n > 0 {
				changed[run] += n
			}
		}
		return nil
	})
	return changed, err
}

func (l *Ledger) redriveRun(ctx context.Context, tx sqldb.Handle, run RunID, letters []DeadLetter, size PartitionSize) (int64, error) {
	in, args := inDocuments(2, letters)
	args = append([]any{run}, args...)
	var over bool
	if err := tx.QueryRow(ctx, `SELECT CASE WHEN runs.state = 'finished' AND `+superseded()+` THEN 1 ELSE 0 END
		FROM runs WHERE num = $1`, run).Scan(&over); err != nil {
		return 0, err
	}
	if !over {
		if err := l.reopen(ctx, tx, run, in, args, size); err != nil {
			return 0, err
		}
	}
	// A newer run that is being planned and has not listed these documents yet will plan them as new.
	if _, err := tx.Exec(ctx, `INSERT INTO history (document_id, run_num, at, event) SELECT res.document_id, $1, @now, 'retried' FROM results res
		WHERE res.state = 'dead' AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $1) AND res.document_id IN (`+in+`)`, args...); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `UPDATE results SET state = 'retry' WHERE state = 'dead' AND profile_id = (SELECT profile_id FROM runs WHERE num = $1)
		AND document_id IN (`+in+`)`, args...)
}

// reopen puts dead documents of a run into new partitions, and continues the run if it is finished.
func (l *Ledger) reopen(ctx context.Context, tx sqldb.Handle, run RunID, in string, args []any, size PartitionSize) error {
	if _, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', tries = 0, crashes = 0, suspect = CASE WHEN crashes > 0 THEN 1 ELSE suspect END,
		due_at = 0, worker_id = NULL, partition_id = NULL WHERE run_num = $1 AND state = 'dead' AND document_id IN (`+in+`)`, args...); err != nil {
		return err
	}
	work, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (n stagedDocument, err error) { return n, rows.Scan(&n.document, &n.size) },
		`SELECT d.id, d.size FROM run_documents x JOIN documents d ON d.id = x.document_id
		WHERE x.run_num = $1 AND x.state = 'pending' AND x.partition_id IS NULL AND x.document_id IN (`+in+`) ORDER BY d.id`, args...)
	if err != nil || len(work) == 0 {
		return err
	}
	partitions, err := l.addPartitions(ctx, tx, run, partitionReady, size, work)
	if err != nil {
		return err
	}
	documents := map[PartitionID][]any{}
	for i, n := range work {
		documents[partitions[i]] = append(documents[partitions[i]], n.document)
	}
	for partition, ids := range documents {
		if _, err := tx.Exec(ctx, `UPDATE run_documents SET partition_id = $1 WHERE run_num = $2 AND document_id IN (`+sqldb.Placeholders(3, len(ids))+`)`,
			append([]any{partition, run}, ids...)...); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE runs SET state = 'running', started_at = COALESCE(started_at, @now), finished_at = NULL
		WHERE num = $1 AND state = 'finished' AND NOT `+superseded(), run)
	return err
}

func inDocuments(from int, letters []DeadLetter) (string, []any) {
	args := make([]any, len(letters))
	for i, letter := range letters {
		args[i] = letter.Document
	}
	return sqldb.Placeholders(from, len(letters)), args
}

// Drop accepts the loss of dead letters and returns their number: they are not listed any more, and
// count as skipped until they change.
func (l *Ledger) Drop(ctx context.Context, f DeadFilter) (int64, error) {
	dropped, err := l.changeDead(ctx, f, func(tx sqldb.Handle, run RunID, letters []DeadLetter) (int64, error) {
		in, args := inDocuments(2, letters)
		args = append([]any{run}, args...)
		if _, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'skipped' WHERE run_num = $1 AND state = 'dead' AND document_id IN (`+in+`)`, args...); err != nil {
			return 0, err
		}
		return tx.Exec(ctx, `UPDATE results SET state = 'dropped' WHERE state = 'dead'
			AND profile_id = (SELECT profile_id FROM runs WHERE num = $1) AND document_id IN (`+in+`)`, args...)
	})
	var total int64
	for _, n := range dropped {
		total += n
	}
	if err != nil {
		return total, fmt.Errorf("drop dead letters: %w", err)
	}
	return total, nil
}
