package report

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// SummaryFilter selects summaries; a zero field selects all.
type SummaryFilter struct {
	SourceID  ledger.SourceID
	ProfileID ledger.ProfileID
	Run       ledger.RunID // documents of this run
	Gone      bool         // also documents that are gone from their source
}

// Summaries streams the summaries of documents, ordered by source, URI and profile. A document that
// has changed keeps the summary of its old version until the new one is done; a dead letter has
// none. An error of each ends the stream and is returned.
func (r Reports) Summaries(ctx context.Context, f SummaryFilter, each func(ledger.Exported) error) error {
	var where strings.Builder
	var args []any
	add := func(condition string, arg int64) {
		args = append(args, arg)
		fmt.Fprintf(&where, condition, len(args))
	}
	if f.SourceID != 0 {
		add(` AND d.source_id = $%d`, int64(f.SourceID))
	}
	if f.ProfileID != 0 {
		add(` AND res.profile_id = $%d`, int64(f.ProfileID))
	}
	if f.Run != 0 {
		add(` AND EXISTS (SELECT 1 FROM run_documents x WHERE x.run_num = $%[1]d AND x.document_id = d.id)
			AND res.profile_id = (SELECT profile_id FROM runs WHERE num = $%[1]d)`, int64(f.Run))
	}
	if !f.Gone {
		where.WriteString(` AND d.gone_at IS NULL`)
	}
	rows, err := r.read.Query(ctx, `SELECT s.url, d.uri, d.locator, res.fields, res.content_sha256, p.hash, r.name, `+ledger.SummaryColumns+`
		FROM results res JOIN summaries m ON m.name = res.summary JOIN documents d ON d.id = res.document_id
		JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id JOIN runs r ON r.num = res.run_num
		WHERE res.state = 'done'`+where.String()+` ORDER BY d.source_id, d.uri, res.profile_id`, args...)
	if err != nil {
		return fmt.Errorf("read summaries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e ledger.Exported
		var locator string
		var fields sql.NullString
		if err := e.Summary.Scan(rows, &e.Source, &e.URI, &locator, &fields, &e.ContentSHA256, &e.Profile, &e.Run); err != nil {
			return fmt.Errorf("read summaries: %w", err)
		}
		e.ID, e.Fields = ledger.LineID(e.URI, locator), ledger.ReadFields(fields)
		if err := each(e); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read summaries: %w", err)
	}
	return nil
}

// MeanCost returns the mean cost in nano-USD of a run's summaries under the run's profile: of the
// first 1,000 with a known price. It returns nil if there are none.
func (r Reports) MeanCost(ctx context.Context, run ledger.RunID) (*float64, error) {
	var mean *float64
	err := r.read.QueryRow(ctx, `SELECT CAST(AVG(cost_nano) AS DOUBLE PRECISION) FROM (SELECT m.cost_nano FROM run_documents x JOIN runs r ON r.num = x.run_num
		JOIN results res ON res.document_id = x.document_id AND res.profile_id = r.profile_id JOIN summaries m ON m.name = res.summary
		WHERE x.run_num = $1 AND res.state = 'done' AND m.cost_nano IS NOT NULL LIMIT 1000) AS sample`, run).Scan(&mean)
	if err != nil {
		return nil, fmt.Errorf("read the mean cost of the run: %w", err)
	}
	return mean, nil
}

// SourceProfile is a source and a profile that it was summarized with.
type SourceProfile struct {
	SourceID  ledger.SourceID
	ProfileID ledger.ProfileID
	Source    string // URL
	Profile   string // hash
	Model     string
	// Run is the name of its newest finished run, or of its newest run if none is finished.
	Run string
}

// SourceProfiles lists every source with each profile that a run of it had. Sources come in the
// order of [Reports.Summaries]. The profile of a source's newest finished run comes first, and
// profiles without a finished run come last.
func (r Reports) SourceProfiles(ctx context.Context) ([]SourceProfile, error) {
	runs, err := sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (p SourceProfile, err error) {
		return p, rows.Scan(&p.SourceID, &p.ProfileID, &p.Source, &p.Profile, &p.Model, &p.Run)
	}, `SELECT r.source_id, r.profile_id, s.url, p.hash, p.model, r.name FROM runs r JOIN sources s ON s.id = r.source_id
		JOIN profiles p ON p.id = r.profile_id ORDER BY r.source_id, CASE WHEN r.state = 'finished' THEN 0 ELSE 1 END, r.num DESC`)
	if err != nil {
		return nil, fmt.Errorf("list sources and profiles: %w", err)
	}
	type pair struct {
		source  ledger.SourceID
		profile ledger.ProfileID
	}
	seen := map[pair]bool{}
	all := runs[:0]
	for _, p := range runs {
		if id := (pair{p.SourceID, p.ProfileID}); !seen[id] {
			seen[id] = true
			all = append(all, p)
		}
	}
	return all, nil
}

// HasDocument reports whether a source has, or had, a document, and whether it is gone.
func (r Reports) HasDocument(ctx context.Context, source, uri string) (known, gone bool, err error) {
	err = r.read.QueryRow(ctx, `SELECT d.gone_at IS NOT NULL FROM documents d JOIN sources s ON s.id = d.source_id WHERE s.url = $1 AND d.uri = $2`, source, uri).Scan(&gone)
	if errors.Is(err, sql.ErrNoRows) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("look up a document: %w", err)
	}
	return true, gone, nil
}

// HasFile reports whether a source has, or had, a document that is this file or a line of it.
func (r Reports) HasFile(ctx context.Context, source, uri string) (bool, error) {
	var n int
	err := r.read.QueryRow(ctx, `SELECT COUNT(*) FROM documents d JOIN sources s ON s.id = d.source_id
		WHERE s.url = $1 AND (d.uri = $2 OR substr(d.uri, 1, length($2) + 1) = $2 || '#')`, source, uri).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look up a file: %w", err)
	}
	return n > 0, nil
}

// HasRun reports whether the ledger has a run of this name.
func (r Reports) HasRun(ctx context.Context, name string) (bool, error) {
	var n int
	if err := r.read.QueryRow(ctx, `SELECT COUNT(*) FROM runs WHERE name = $1`, name).Scan(&n); err != nil {
		return false, fmt.Errorf("look up a run: %w", err)
	}
	return n > 0, nil
}
