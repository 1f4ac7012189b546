package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Preview counts what [Ledger.Plan] would find in a batch of a listing, and writes nothing. It
// calls work for each document that would be pending. A source or profile that the ledger does not
// know is new.
func (l *Ledger) Preview(ctx context.Context, sourceURL, profileHash string, force bool, entries []Entry, work func(Entry)) (PlanCount, error) {
	var count PlanCount
	entries, count.Repeated = firstOfEach(entries)
	const page = 500
	for start := 0; start < len(entries); start += page {
		batch := entries[start:min(start+page, len(entries))]
		args := []any{profileHash, sourceURL}
		for _, e := range batch {
			args = append(args, e.URI)
		}
		type known struct {
			uri, version string
			state        DocumentState
		}
		rows, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (k known, err error) { return k, rows.Scan(&k.uri, &k.version, &k.state) },
			`SELECT d.uri, res.version, res.state FROM documents d JOIN results res ON res.document_id = d.id
			JOIN profiles p ON p.id = res.profile_id AND p.hash = $1
			WHERE d.source_id = (SELECT id FROM sources WHERE url = $2) AND d.uri IN (`+sqldb.Placeholders(3, len(batch))+`)`, args...)
		if err != nil {
			return count, fmt.Errorf("compare with the ledger: %w", err)
		}
		states := make(map[string]known, len(rows))
		for _, k := range rows {
			states[k.uri] = k
		}
		for _, e := range batch {
			count.Listed++
			k := states[e.URI]
			current := k.version == e.Version && k.state != DocumentRetry && k.state != "" && !force
			switch {
			case current && k.state == DocumentDead, e.Problem != "":
				count.Dead++
			case current:
				count.Skipped++
			default:
				count.Pending++
				count.Bytes += e.Size
				work(e)
			}
		}
	}
	return count, nil
}
