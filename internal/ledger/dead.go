package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// DeadLetter is a document that could not be done, as listed.
type DeadLetter struct {
	Document int64     `json:"-"`
	RunNum   int64     `json:"-"`
	URI      string    `json:"uri"`
	Run      string    `json:"run"`
	Class    string    `json:"class"`
	Message  string    `json:"message"`
	Attempts int64     `json:"attempts"`
	At       time.Time `json:"at"`
	Source   string    `json:"source"`
	Model    string    `json:"model"`
}

// DeadFilter chooses dead letters; zero fields choose all.
type DeadFilter struct {
	Run   int64                 // that are dead in this run
	Class string                //
	URI   func(uri string) bool // nil: all
	Gone  bool                  // with those that are gone from their source
}

// deadPage is how many dead letters one statement reads or changes.
const deadPage = 2000

// DeadLetters streams the dead letters, in pages ordered by document and profile.
func (l *Ledger) DeadLetters(ctx context.Context, f DeadFilter, each func([]DeadLetter) error) error {
	type keyed struct {
		DeadLetter
		profile int64
	}
	var document, profile int64
	for {
		statement := `SELECT res.document_id, res.profile_id, r.num, d.uri, r.name, res.class, res.message, res.attempts, res.at, s.url, p.model
			FROM results res JOIN documents d ON d.id = res.document_id JOIN runs r ON r.num = res.run_num
			JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id
			WHERE res.state = 'dead' AND (res.document_id > $1 OR (res.document_id = $2 AND res.profile_id > $3))`
		args := []any{document, document, profile}
		if f.Run != 0 {
			args = append(args, f.Run)
			statement += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $%d AND x.document_id = res.document_id AND x.state = 'dead')
				AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $%d)`, len(args), len(args))
		}
		if f.Class != "" {
			args = append(args, f.Class)
			statement += fmt.Sprintf(` AND res.class = $%d`, len(args))
		}
		if !f.Gone {
			statement += ` AND d.gone_at IS NULL`
		}
		page, err := collect(ctx, l, l.read, func(rows *sql.Rows) (k keyed, err error) {
			var at sql.NullInt64
			err = rows.Scan(&k.Document, &k.profile, &k.RunNum, &k.URI, &k.Run, &k.Class, &k.Message, &k.Attempts, &at, &k.Source, &k.Model)
			k.At = fromMillis(at)
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

// Redrive makes dead letters pending again in their newest run, in new partitions, and lets a finished run go on. Their
// attempts and history are kept; the tries that count against the limit begin anew. It returns how many
// documents of which runs were re-driven. A run that is stopped keeps them until it is resumed.
func (l *Ledger) Redrive(ctx context.Context, f DeadFilter, size PartitionSize) (map[int64]int64, error) {
	redriven := map[int64]int64{}
	err := l.DeadLetters(ctx, f, func(letters []DeadLetter) error {
		byRun := map[int64][]DeadLetter{}
		for _, letter := range letters {
			byRun[letter.RunNum] = append(byRun[letter.RunNum], letter)
		}
		for run, some := range byRun {
			var n int64
			if err := l.tx(ctx, func(tx *sql.Tx) (err error) {
				n, err = l.redriveRun(ctx, tx, run, some, size)
				return err
			}); err != nil {
				return fmt.Errorf("re-drive dead letters: %w", err)
			}
			if n > 0 {
				redriven[run] += n
			}
		}
		return nil
	})
	return redriven, err
}

func (l *Ledger) redriveRun(ctx context.Context, tx *sql.Tx, run int64, letters []DeadLetter, size PartitionSize) (int64, error) {
	in, args := inDocuments(2, letters)
	changed, err := collect(ctx, l, tx, func(rows *sql.Rows) (n toPlan, err error) { return n, rows.Scan(&n.document) },
		`UPDATE run_documents SET state = 'pending', tries = 0, crashes = 0, suspect = CASE WHEN crashes > 0 THEN 1 ELSE suspect END,
		due_at = 0, worker_id = NULL WHERE run_num = $1 AND state = 'dead' AND document_id IN (`+in+`) RETURNING document_id`,
		append([]any{run}, args...)...)
	if err != nil || len(changed) == 0 {
		return 0, err
	}
	for i := range changed {
		if err := l.row(ctx, tx, `SELECT size FROM documents WHERE id = $1`, changed[i].document).Scan(&changed[i].size); err != nil {
			return 0, err
		}
	}
	partitions, err := l.addPartitions(ctx, tx, run, "ready", size, changed)
	if err != nil {
		return 0, err
	}
	for i, n := range changed {
		if _, err := l.exec(ctx, tx, `UPDATE run_documents SET partition_id = $1 WHERE run_num = $2 AND document_id = $3`, partitions[i], run, n.document); err != nil {
			return 0, err
		}
		if _, err := l.exec(ctx, tx, `INSERT INTO history (document_id, run_num, at, event) VALUES ($1, $2, @now, 'retried')`, n.document, run); err != nil {
			return 0, err
		}
	}
	if _, err := l.exec(ctx, tx, `UPDATE results SET state = 'retry' WHERE state = 'dead' AND profile_id = (SELECT profile_id FROM runs WHERE num = $1)
		AND document_id IN (`+in+`)`, append([]any{run}, args...)...); err != nil {
		return 0, err
	}
	_, err = l.exec(ctx, tx, `UPDATE runs SET state = 'running', started_at = COALESCE(started_at, @now), finished_at = NULL
		WHERE num = $1 AND state = 'finished' AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.source_id = runs.source_id AND o.profile_id = runs.profile_id
		AND o.num <> runs.num AND o.state <> 'finished' AND COALESCE(o.reason, '') <> 'cancelled')`, run)
	return int64(len(changed)), err
}

func inDocuments(from int, letters []DeadLetter) (string, []any) {
	args := make([]any, len(letters))
	for i, letter := range letters {
		args[i] = letter.Document
	}
	return placeholders(from, len(letters)), args
}

// Drop accepts the loss of dead letters: they are not listed any more, and count as skipped until they change.
func (l *Ledger) Drop(ctx context.Context, f DeadFilter) (int64, error) {
	var total int64
	err := l.DeadLetters(ctx, f, func(letters []DeadLetter) error {
		byRun := map[int64][]DeadLetter{}
		for _, letter := range letters {
			byRun[letter.RunNum] = append(byRun[letter.RunNum], letter)
		}
		for run, some := range byRun {
			in, args := inDocuments(2, some)
			args = append([]any{run}, args...)
			if err := l.tx(ctx, func(tx *sql.Tx) error {
				if _, err := l.exec(ctx, tx, `UPDATE run_documents SET state = 'skipped' WHERE run_num = $1 AND state = 'dead' AND document_id IN (`+in+`)`, args...); err != nil {
					return err
				}
				n, err := l.exec(ctx, tx, `UPDATE results SET state = 'dropped' WHERE state = 'dead'
					AND profile_id = (SELECT profile_id FROM runs WHERE num = $1) AND document_id IN (`+in+`)`, args...)
				total += n
				return err
			}); err != nil {
				return fmt.Errorf("drop dead letters: %w", err)
			}
		}
		return nil
	})
	return total, err
}

// Event is a line of a document's history.
type Event struct {
	At      time.Time `json:"at"`
	Run     string    `json:"run"`
	Event   string    `json:"event"` // failed, crashed, dead, retried, done
	Attempt int64     `json:"attempt,omitempty"`
	Class   string    `json:"class,omitempty"`
	Message string    `json:"message,omitempty"`
}

// DocumentView is all that the ledger knows of one document under one profile.
type DocumentView struct {
	URI           string
	Source        string
	Run           string
	Profile       string
	Model         string
	State         string // done, dead, retry, dropped, or pending before its first outcome
	Size          int64
	Modified      time.Time
	Gone          bool
	ContentSHA256 string
	Attempts      int64
	Class         string
	Message       string
	At            time.Time
	Summary       *Summary
	History       []Event
}

// Documents finds documents by their URI: the whole of it as listed, or the source's URL, a slash and it; the
// newest result first. limit bounds the number of views.
func (l *Ledger) Documents(ctx context.Context, uri string, limit int) ([]DocumentView, error) {
	type found struct {
		DocumentView
		id      int64
		summary sql.NullString
	}
	all, err := collect(ctx, l, l.read, func(rows *sql.Rows) (f found, err error) {
		var modified, gone, at sql.NullInt64
		err = rows.Scan(&f.id, &f.URI, &f.Source, &f.Size, &modified, &gone, &f.Run, &f.Profile, &f.Model, &f.State, &f.ContentSHA256,
			&f.Attempts, &f.Class, &f.Message, &at, &f.summary)
		f.Modified, f.At, f.Gone = fromMillis(modified), fromMillis(at), gone.Valid
		return f, err
	}, `SELECT d.id, d.uri, s.url, d.size, d.modified_at, d.gone_at, COALESCE(r.name, ''), COALESCE(p.hash, ''), COALESCE(p.model, ''),
		COALESCE(res.state, 'pending'), COALESCE(res.content_sha256, ''), COALESCE(res.attempts, 0), COALESCE(res.class, ''), COALESCE(res.message, ''), res.at, res.summary
		FROM documents d JOIN sources s ON s.id = d.source_id LEFT JOIN results res ON res.document_id = d.id
		LEFT JOIN runs r ON r.num = res.run_num LEFT JOIN profiles p ON p.id = res.profile_id
		WHERE d.uri = $1 OR s.url || '/' || d.uri = $2 ORDER BY res.at DESC LIMIT `+fmt.Sprint(limit), uri, uri)
	if err != nil {
		return nil, fmt.Errorf("find document: %w", err)
	}
	views := make([]DocumentView, 0, len(all))
	for _, f := range all {
		if f.summary.Valid {
			s, err := l.Summary(ctx, f.summary.String, time.Time{})
			if err != nil {
				return nil, err
			}
			f.Summary = &s
		}
		if f.History, err = l.history(ctx, f.id); err != nil {
			return nil, err
		}
		views = append(views, f.DocumentView)
	}
	return views, nil
}

func (l *Ledger) history(ctx context.Context, document int64) ([]Event, error) {
	events, err := collect(ctx, l, l.read, func(rows *sql.Rows) (e Event, err error) {
		var at sql.NullInt64
		err = rows.Scan(&at, &e.Run, &e.Event, &e.Attempt, &e.Class, &e.Message)
		e.At = fromMillis(at)
		return e, err
	}, `SELECT h.at, COALESCE(r.name, ''), h.event, h.attempt, h.class, h.message FROM history h LEFT JOIN runs r ON r.num = h.run_num
		WHERE h.document_id = $1 ORDER BY h.id`, document)
	if err != nil {
		return nil, fmt.Errorf("read a document's history: %w", err)
	}
	return events, nil
}

// ExportFilter chooses summaries; zero fields choose all.
type ExportFilter struct {
	SourceID  int64
	ProfileID int64
	Run       int64 // documents of this run
	Gone      bool  // with those that are gone from their source
}

// Exported is a document's summary.
type Exported struct {
	Source, URI, ContentSHA256, Profile, Run string
	Summary                                  Summary
}

// Summaries streams the summaries of documents, ordered by source, URI and profile: a document that was skipped or whose
// newest version is dead or unread has no line or the one of its last result.
func (l *Ledger) Summaries(ctx context.Context, f ExportFilter, each func(Exported) error) error {
	var where strings.Builder
	var args []any
	add := func(condition string, arg int64) {
		args = append(args, arg)
		fmt.Fprintf(&where, condition, len(args))
	}
	if f.SourceID != 0 {
		add(` AND d.source_id = $%d`, f.SourceID)
	}
	if f.ProfileID != 0 {
		add(` AND res.profile_id = $%d`, f.ProfileID)
	}
	if f.Run != 0 {
		add(` AND EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $%[1]d AND x.document_id = d.id)
			AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $%[1]d)`, f.Run)
	}
	if !f.Gone {
		where.WriteString(` AND d.gone_at IS NULL`)
	}
	rows, err := l.read.QueryContext(ctx, l.sql(`SELECT s.url, d.uri, res.content_sha256, p.hash, r.name, m.name, m.title, m.text, m.output, m.model,
		m.tokens_in, m.tokens_out, m.cost_nano, m.chunks, m.checks, m.created_at
		FROM results res JOIN summaries m ON m.name = res.summary JOIN documents d ON d.id = res.document_id
		JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id JOIN runs r ON r.num = res.run_num
		WHERE res.state = 'done'`+where.String()+` ORDER BY d.source_id, d.uri, res.profile_id`), args...)
	if err != nil {
		return fmt.Errorf("read summaries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Exported
		var output sql.NullString
		var cost, created sql.NullInt64
		var checks string
		if err := rows.Scan(&e.Source, &e.URI, &e.ContentSHA256, &e.Profile, &e.Run, &e.Summary.Name, &e.Summary.Title, &e.Summary.Text, &output,
			&e.Summary.Model, &e.Summary.TokensIn, &e.Summary.TokensOut, &cost, &e.Summary.Chunks, &checks, &created); err != nil {
			return fmt.Errorf("read summaries: %w", err)
		}
		e.Summary.fill(output, cost, created, checks)
		if err := each(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Pruned says how much Prune took away.
type Pruned struct {
	Runs      int64 `json:"runs"`
	Documents int64 `json:"run_documents"`
	Calls     int64 `json:"calls"`
	Answers   int64 `json:"answers"`
	Workers   int64 `json:"workers"`
}

// Prune deletes runs that finished (or were cancelled) before the given age, with their rows and call records, and
// answers of calls as old as that. Documents, results, summaries and the newest run of each pair stay.
func (l *Ledger) Prune(ctx context.Context, age time.Duration) (Pruned, error) {
	var p Pruned
	err := l.tx(ctx, func(tx *sql.Tx) error {
		ms := age.Milliseconds()
		old := `SELECT r.num FROM runs r WHERE (r.state = 'finished' OR r.reason = 'cancelled') AND COALESCE(r.finished_at, r.created_at) < @now - $1
			AND EXISTS (SELECT 1 FROM runs n WHERE n.source_id = r.source_id AND n.profile_id = r.profile_id AND n.num > r.num)
			AND NOT EXISTS (SELECT 1 FROM results res WHERE res.run_num = r.num AND res.state = 'dead')`
		steps := []struct {
			n         *int64
			statement string
		}{
			{&p.Documents, `DELETE FROM run_documents WHERE run_num IN (` + old + `)`},
			{new(int64), `DELETE FROM partitions WHERE run_num IN (` + old + `)`},
			{&p.Calls, `DELETE FROM calls WHERE finished_at IS NOT NULL AND run_num IN (` + old + `)`},
			{&p.Answers, `DELETE FROM answers WHERE created_at < @now - $1`},
			{&p.Workers, `DELETE FROM workers WHERE ended_at < @now - $1`},
			{new(int64), `DELETE FROM history WHERE at < @now - $1 AND document_id NOT IN (SELECT document_id FROM results WHERE state = 'dead')`},
		}
		for _, step := range steps {
			n, err := l.exec(ctx, tx, step.statement, ms)
			if err != nil {
				return err
			}
			*step.n = n
		}
		// The names of old runs stay readable in results; their rows go when no result names them.
		n, err := l.exec(ctx, tx, `DELETE FROM runs WHERE num IN (`+old+`) AND num NOT IN (SELECT run_num FROM results)`, ms)
		p.Runs = n
		return err
	})
	if err != nil {
		return p, fmt.Errorf("prune: %w", err)
	}
	return p, nil
}
