package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// DeadLetter is a document that cannot be done, in its newest run.
type DeadLetter struct {
	Document DocumentID `json:"-"`
	RunID    RunID      `json:"-"`
	Locator  string     `json:"-"`
	Version  string     `json:"-"`
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
	Run     RunID // dead in this run
	Class   Class
	Since   time.Time             // dead at this time or later
	Match   func(DeadLetter) bool // nil: all
	Limit   int                   // maximum number, in the order of [Ledger.DeadLetters]; 0: all
	Gone    bool                  // also documents that are gone from their source
	Dropped bool                  // instead of dead letters, those that were dropped since
}

// state returns the state of the results that the filter selects.
func (f DeadFilter) state() DocumentState {
	if f.Dropped {
		return DocumentDropped
	}
	return DocumentDead
}

// newestRunOf is the SQL expression of the newest run that has a document under the profile of its
// result, or of the run of the result if there is none. A dead letter's result names that run; a
// dropped one's does not.
const newestRunOf = `COALESCE((SELECT MAX(n.num) FROM runs n WHERE n.source_id = d.source_id AND n.profile_id = res.profile_id
	AND EXISTS (SELECT 1 FROM run_documents y WHERE y.run_num = n.num AND y.document_id = res.document_id)), res.run_num)`

// from returns the tables of the results that the filter selects, Match and Limit excepted, and
// their condition with its arguments.
func (f DeadFilter) from() (from string, args []any) {
	from = `FROM results res JOIN documents d ON d.id = res.document_id `
	where := `WHERE res.state = 'dead'`
	inRun := `x.state = 'dead'`
	if f.Dropped {
		// A dropped document that has changed since and waits for a worker is an open one.
		from += `JOIN runs r ON r.num = ` + newestRunOf + `
			LEFT JOIN run_documents o ON o.run_num = r.num AND o.document_id = res.document_id `
		where = `WHERE res.state = 'dropped' AND COALESCE(o.state, 'skipped') = 'skipped'`
		inRun = `x.state = 'skipped'`
	} else {
		from += `JOIN runs r ON r.num = res.run_num `
	}
	if f.Run != 0 {
		args = append(args, f.Run)
		where += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $%[1]d AND x.document_id = res.document_id AND `+inRun+`)
			AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $%[1]d)`, len(args))
	}
	if f.Class != "" {
		args = append(args, string(f.Class))
		where += fmt.Sprintf(` AND res.class = $%d`, len(args))
	}
	if !f.Since.IsZero() {
		args = append(args, f.Since.UnixMilli())
		where += fmt.Sprintf(` AND res.at >= $%d`, len(args))
	}
	if !f.Gone {
		where += ` AND d.gone_at IS NULL`
	}
	return from + `JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id ` + where, args
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
	from, args := f.from()
	statement := `SELECT res.document_id, res.profile_id, r.num, d.locator, d.version, d.uri, r.name, res.class, res.message, res.attempts, res.at, s.url, p.model ` +
		from + fmt.Sprintf(` AND (res.document_id, res.profile_id) > ($%d, $%d) ORDER BY res.document_id, res.profile_id LIMIT %d`,
		len(args)+1, len(args)+2, deadPage)
	var document DocumentID
	var profile ProfileID
	seen := 0
	for {
		page, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (k keyed, err error) {
			var at sql.NullInt64
			err = rows.Scan(&k.Document, &k.profile, &k.RunID, &k.Locator, &k.Version, &k.URI, &k.Run, &k.Class, &k.Message, &k.Attempts, &at, &k.Source, &k.Model)
			k.At = sqldb.Time(at)
			return k, err
		}, statement, append(slices.Clone(args), document, profile)...)
		if err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		document, profile = page[len(page)-1].Document, page[len(page)-1].profile
		letters := make([]DeadLetter, 0, len(page))
		for _, k := range page {
			if f.Match == nil || f.Match(k.DeadLetter) {
				letters = append(letters, k.DeadLetter)
			}
		}
		if f.Limit > 0 {
			letters = letters[:min(len(letters), f.Limit-seen)]
		}
		seen += len(letters)
		if len(letters) > 0 {
			if err := each(letters); err != nil {
				return err
			}
		}
		if f.Limit > 0 && seen == f.Limit {
			return nil
		}
	}
}

// Redrive makes dead letters pending again in their newest run, in new partitions, and continues
// the run if it is finished. It does the same with dropped ones, if the filter selects those. It
// keeps attempts and history; tries that count against the limit start at zero. It returns the
// number of redriven documents of each run. A stopped run keeps them until it is resumed. Unless
// published, the partitions stay invisible to workers until [Ledger.Publish].
func (l *Ledger) Redrive(ctx context.Context, f DeadFilter, size PartitionSize, published bool) (map[RunID]int64, error) {
	partitions := partitionPlanned
	if published {
		partitions = partitionReady
	}
	redriven, err := l.changeDead(ctx, f, func(tx sqldb.Handle, run RunID, letters []DeadLetter) (int64, error) {
		return l.redriveRun(ctx, tx, run, f.state(), letters, size, partitions)
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

func (l *Ledger) redriveRun(ctx context.Context, tx sqldb.Handle, run RunID, state DocumentState, letters []DeadLetter, size PartitionSize, partitions partitionState) (int64, error) {
	in, args := inDocuments(run, letters)
	selected := ofState(state) + ` AND res.document_id IN (` + in + `)`
	var over bool
	if err := tx.QueryRow(ctx, `SELECT CASE WHEN runs.state = 'finished' AND `+superseded()+` THEN 1 ELSE 0 END
		FROM runs WHERE num = $1`, run).Scan(&over); err != nil {
		return 0, err
	}
	if !over {
		if err := l.reopen(ctx, tx, run, state, in, args, size, partitions); err != nil {
			return 0, err
		}
	}
	// A newer run that is being planned and has not listed these documents yet will plan them as new.
	return changeResults(ctx, tx, selected, args, DocumentRetry, "retried")
}

// ofState is the SQL condition that a result is of a state and of the profile of run $1.
func ofState(state DocumentState) string {
	return `res.state = '` + string(state) + `' AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $1)`
}

// changeResults gives the selected results another state, adds an event to the histories of their
// documents, and returns their number.
func changeResults(ctx context.Context, tx sqldb.Handle, selected string, args []any, to DocumentState, event string) (int64, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO history (document_id, run_num, at, event) SELECT res.document_id, $1, @now, '`+event+`' FROM results res
		WHERE `+selected, args...); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `UPDATE results AS res SET state = '`+string(to)+`' WHERE `+selected, args...)
}

// reopen puts dead or dropped documents of a run into new partitions of the given state, and
// continues the run if it is finished.
func (l *Ledger) reopen(ctx context.Context, tx sqldb.Handle, run RunID, state DocumentState, in string, args []any, size PartitionSize, made partitionState) error {
	where := `state = 'dead'`
	if state == DocumentDropped { // documents with a summary are skipped, too
		where = `state = 'skipped' AND EXISTS (SELECT 1 FROM results res WHERE res.document_id = run_documents.document_id AND ` + ofState(state) + `)`
	}
	if _, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', tries = 0, refusals = 0, refused_call = NULL, crashes = 0, suspect = CASE WHEN crashes > 0 THEN 1 ELSE suspect END,
		due_at = 0, worker_id = NULL, partition_id = NULL WHERE run_num = $1 AND document_id IN (`+in+`) AND `+where, args...); err != nil {
		return err
	}
	work, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (n stagedDocument, err error) { return n, rows.Scan(&n.document, &n.size) },
		`SELECT d.id, d.size FROM run_documents x JOIN documents d ON d.id = x.document_id
		WHERE x.run_num = $1 AND x.state = 'pending' AND x.partition_id IS NULL AND x.document_id IN (`+in+`) ORDER BY d.id`, args...)
	if err != nil || len(work) == 0 {
		return err
	}
	if err := l.repartition(ctx, tx, run, made, size, work); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE runs SET state = 'running', started_at = COALESCE(started_at, @now), finished_at = NULL, resumed_at = @now
		WHERE num = $1 AND state = 'finished' AND NOT `+superseded(), run)
	return err
}

// inDocuments returns placeholders for the documents of letters, from $2 on, and the arguments of
// the statement: $1 is the run.
func inDocuments(run RunID, letters []DeadLetter) (in string, args []any) {
	args = []any{run}
	for _, letter := range letters {
		args = append(args, letter.Document)
	}
	return sqldb.Placeholders(2, len(letters)), args
}

// Drop accepts the loss of dead letters and returns their number: they are not listed any more, and
// count as skipped until they change, or until [Ledger.Redrive] of dropped ones. That holds for
// every run under their profile in which they are not claimed, also for one with --force that was
// planned before.
func (l *Ledger) Drop(ctx context.Context, f DeadFilter) (int64, error) {
	dropped, err := l.changeDead(ctx, f, func(tx sqldb.Handle, run RunID, letters []DeadLetter) (int64, error) {
		in, args := inDocuments(run, letters)
		selected := ofState(DocumentDead) + ` AND res.document_id IN (` + in + `)`
		if _, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'skipped' WHERE run_num = $1 AND state = 'dead' AND document_id IN (`+in+`)`, args...); err != nil {
			return 0, err
		}
		if err := l.skipWaiting(ctx, tx, run, letters); err != nil {
			return 0, err
		}
		return changeResults(ctx, tx, selected, args, DocumentDropped, "dropped")
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

// skipWaiting skips dead letters of a run in the unfinished run of the same source and profile, if
// that is another one and they wait there in the version that is dead.
func (l *Ledger) skipWaiting(ctx context.Context, tx sqldb.Handle, run RunID, letters []DeadLetter) error {
	var unfinished RunID
	err := tx.QueryRow(ctx, `SELECT n.num FROM runs n JOIN runs r ON r.source_id = n.source_id AND r.profile_id = n.profile_id
		WHERE r.num = $1 AND n.num <> r.num AND `+UnfinishedRun("n"), run).Scan(&unfinished)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	in, args := inDocuments(unfinished, letters)
	n, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'skipped', partition_id = NULL WHERE run_num = $1 AND state = 'pending' AND document_id IN (`+in+`)
		AND EXISTS (SELECT 1 FROM results res JOIN documents d ON d.id = res.document_id JOIN runs r ON r.num = run_documents.run_num
		WHERE res.document_id = run_documents.document_id AND res.profile_id = r.profile_id AND res.state = 'dead' AND res.version = d.version)`, args...)
	if err != nil || n == 0 {
		return err
	}
	return closePlanned(ctx, tx, unfinished) // workers close the published ones
}
