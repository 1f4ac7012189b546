package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// ExportFilter chooses summaries; zero fields choose all.
type ExportFilter struct {
	SourceID  SourceID
	ProfileID ProfileID
	Run       RunID // documents of this run
	Gone      bool  // with those that are gone from their source
}

// Exported is a document's summary.
type Exported struct {
	Source, URI, ContentSHA256, Profile, Run string
	Summary                                  Summary
}

// Summaries streams the summaries of documents, ordered by source, URI and profile. A document that has changed and whose new
// version is still to be worked on keeps the summary of the old one; a dead one has none.
func (l *Ledger) Summaries(ctx context.Context, f ExportFilter, each func(Exported) error) error {
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
	rows, err := l.read.Query(ctx, `SELECT s.url, d.uri, res.content_sha256, p.hash, r.name, m.name, m.title, m.text, m.output, m.model,
		m.tokens_in, m.tokens_out, m.cost_nano, m.chunks, m.checks, m.endpoint, m.created_at
		FROM results res JOIN summaries m ON m.name = res.summary JOIN documents d ON d.id = res.document_id
		JOIN sources s ON s.id = d.source_id JOIN profiles p ON p.id = res.profile_id JOIN runs r ON r.num = res.run_num
		WHERE res.state = 'done'`+where.String()+` ORDER BY d.source_id, d.uri, res.profile_id`, args...)
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
			&e.Summary.Model, &e.Summary.TokensIn, &e.Summary.TokensOut, &cost, &e.Summary.Chunks, &checks, &e.Summary.Endpoint, &created); err != nil {
			return fmt.Errorf("read summaries: %w", err)
		}
		e.Summary.fill(output, cost, created, checks)
		if err := each(e); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read summaries: %w", err)
	}
	return nil
}

// Pair is a source and a profile that it was summarized with.
type Pair struct {
	SourceID               SourceID
	ProfileID              ProfileID
	Source, Profile, Model string // URL, hash, model
}

// Pairs lists every source with each profile that a run of it had. Sources come in the order of Summaries; of a source
// the profile of its newest finished run comes first, and those without a finished run last.
func (l *Ledger) Pairs(ctx context.Context) ([]Pair, error) {
	runs, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (p Pair, err error) {
		return p, rows.Scan(&p.SourceID, &p.ProfileID, &p.Source, &p.Profile, &p.Model)
	}, `SELECT r.source_id, r.profile_id, s.url, p.hash, p.model FROM runs r JOIN sources s ON s.id = r.source_id
		JOIN profiles p ON p.id = r.profile_id ORDER BY r.source_id, CASE WHEN r.state = 'finished' THEN 0 ELSE 1 END, r.num DESC`)
	if err != nil {
		return nil, fmt.Errorf("list sources and profiles: %w", err)
	}
	seen := map[Pair]bool{}
	pairs := runs[:0]
	for _, p := range runs {
		if !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}
