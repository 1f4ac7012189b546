package report

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Source is a place that documents come from.
type Source struct {
	ID  ledger.SourceID
	URL string
}

// Sources lists all sources, the oldest first.
func (r Reports) Sources(ctx context.Context) ([]Source, error) {
	all, err := sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (s Source, err error) { return s, rows.Scan(&s.ID, &s.URL) },
		`SELECT id, url FROM sources ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return all, nil
}

// uriOf returns the URI that the document at an address would have in the source; ok is false when
// the address cannot be in it. An address is the source's URL, a slash and the URI, or for a local
// source the absolute path.
func (s Source) uriOf(address string) (uri string, ok bool) {
	bases, name := s.addresses()
	for _, base := range bases {
		rest, ok := strings.CutPrefix(address, base)
		switch {
		case !ok:
		case strings.HasPrefix(rest, "/"):
			return rest[1:], true
		case strings.HasSuffix(base, "/"):
			return rest, true
		case rest == "", strings.HasPrefix(rest, "#"): // the source is one file
			return name + rest, true
		}
	}
	return "", false
}

// addresses lists the ways to write a source: its URL, its URL without the query, and its path.
// name is the last element of the path: the document's name where the source is one file.
func (s Source) addresses() (bases []string, name string) {
	bases = []string{s.URL}
	u, err := url.Parse(s.URL)
	if err != nil {
		return bases, ""
	}
	if u.RawQuery != "" {
		bare, _, _ := strings.Cut(s.URL, "?")
		bases = append(bases, bare)
	}
	if u.Scheme == "file" {
		bases = append(bases, u.Path)
	}
	return bases, path.Base(u.Path)
}

// Event is an entry of a document's history.
type Event struct {
	At      time.Time    `json:"at"`
	Run     string       `json:"run"`
	Event   string       `json:"event"` // failed, crashed, dead, retried, dropped or done
	Attempt int64        `json:"attempt,omitempty"`
	Class   ledger.Class `json:"class,omitempty"`
	Message string       `json:"message,omitempty"`
}

// Document is all that the ledger knows about one document under one profile.
type Document struct {
	URI           string
	ID            string        // of a JSON line; empty for a file
	Fields        ledger.Fields // of a JSON line
	Source        string        // URL
	Run           string        // name of the newest one that has the document
	Profile       string        // hash
	Model         string
	State         ledger.DocumentState // done, dead, dropped, pending or claimed
	Size          int64                // bytes
	Modified      time.Time
	Gone          bool
	ContentSHA256 string
	Attempts      int64
	Class         ledger.Class
	Message       string
	At            time.Time       // of the last outcome
	Summary       *ledger.Summary // the last one made, also when the document has changed since
	History       []Event
}

// Documents finds documents by their URI as listed, by their source's URL, a slash and the URI, or
// by their absolute local path. It returns one [Document] for each profile, the newest outcome
// first, and at most limit. When there is none it returns none and no error.
func (r Reports) Documents(ctx context.Context, uri string, limit int) ([]Document, error) {
	sources, err := r.Sources(ctx)
	if err != nil {
		return nil, err
	}
	var views []Document
	for _, s := range sources {
		uris := []string{uri}
		if inside, ok := s.uriOf(uri); ok {
			uris = append(uris, inside)
		}
		for _, u := range uris {
			found, err := r.document(ctx, s, u)
			if err != nil {
				return nil, fmt.Errorf("find document: %w", err)
			}
			views = append(views, found...)
		}
	}
	slices.SortStableFunc(views, func(a, b Document) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Run, a.Run))
	})
	return views[:min(limit, len(views))], nil
}

// document reads one document under each profile of its runs and results.
func (r Reports) document(ctx context.Context, source Source, uri string) ([]Document, error) {
	type found struct {
		Document
		id      ledger.DocumentID
		profile ledger.ProfileID
		summary sql.NullString
		result  ledger.DocumentState
		inRun   ledger.DocumentState
	}
	all, err := sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (f found, err error) {
		var modified, gone, at sql.NullInt64
		var attempts int64
		var locator string
		var fields sql.NullString
		err = rows.Scan(&locator, &fields, &f.id, &f.profile, &f.Size, &modified, &gone, &f.Run, &f.inRun, &attempts, &f.Profile, &f.Model, &f.result, &f.ContentSHA256,
			&f.Attempts, &f.Class, &f.Message, &at, &f.summary)
		f.URI, f.Source, f.Modified, f.At, f.Gone = uri, source.URL, sqldb.Time(modified), sqldb.Time(at), gone.Valid
		f.Attempts = max(f.Attempts, attempts)
		f.ID, f.Fields = ledger.LineID(uri, locator), ledger.ReadFields(fields)
		return f, err
	}, `SELECT d.locator, res.fields, d.id, p.id, d.size, d.modified_at, d.gone_at, COALESCE(r.name, made.name, ''), COALESCE(x.state, ''), COALESCE(x.attempts, 0), p.hash, p.model,
		COALESCE(res.state, ''), COALESCE(res.content_sha256, ''), COALESCE(res.attempts, 0), COALESCE(res.class, ''), COALESCE(res.message, ''), res.at, res.summary
		FROM documents d
		JOIN profiles p ON p.id IN (SELECT profile_id FROM results WHERE document_id = d.id UNION SELECT n.profile_id FROM runs n WHERE n.source_id = d.source_id
			AND EXISTS (SELECT 1 FROM run_documents y WHERE y.run_num = n.num AND y.document_id = d.id))
		LEFT JOIN results res ON res.document_id = d.id AND res.profile_id = p.id
		LEFT JOIN runs made ON made.num = res.run_num
		LEFT JOIN runs r ON r.num = (SELECT MAX(n.num) FROM runs n WHERE n.source_id = d.source_id AND n.profile_id = p.id
			AND EXISTS (SELECT 1 FROM run_documents y WHERE y.run_num = n.num AND y.document_id = d.id))
		LEFT JOIN run_documents x ON x.run_num = r.num AND x.document_id = d.id
		WHERE d.source_id = $1 AND d.uri = $2`, source.ID, uri)
	if err != nil {
		return nil, err
	}
	views := make([]Document, 0, len(all))
	for _, f := range all {
		f.State = currentState(f.inRun, f.result)
		if f.summary.Valid {
			var s ledger.Summary
			if err := s.Scan(r.read.QueryRow(ctx, `SELECT `+ledger.SummaryColumns+` FROM summaries m WHERE m.name = $1`, f.summary.String)); err != nil {
				return nil, err
			}
			f.Summary = &s
		}
		if f.History, err = r.history(ctx, f.id, f.profile); err != nil {
			return nil, err
		}
		views = append(views, f.Document)
	}
	return views, nil
}

// currentState combines a document's state in its newest run with its last result. A skipped
// document has the result of an earlier run.
func currentState(inRun, result ledger.DocumentState) ledger.DocumentState {
	switch {
	case inRun == ledger.DocumentPending, inRun == ledger.DocumentClaimed:
		return inRun
	case result == "", result == ledger.DocumentRetry:
		return ledger.DocumentPending
	}
	return result
}

// history reads the events of a document under a profile.
func (r Reports) history(ctx context.Context, document ledger.DocumentID, profile ledger.ProfileID) ([]Event, error) {
	return sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (e Event, err error) {
		var at sql.NullInt64
		err = rows.Scan(&at, &e.Run, &e.Event, &e.Attempt, &e.Class, &e.Message)
		e.At = sqldb.Time(at)
		return e, err
	}, `SELECT h.at, COALESCE(r.name, ''), h.event, h.attempt, h.class, h.message FROM history h LEFT JOIN runs r ON r.num = h.run_num
		WHERE h.document_id = $1 AND (r.num IS NULL OR r.profile_id = $2) ORDER BY h.id`, document, profile)
}

// SimilarURIs lists up to limit URIs that contain a text; case does not matter. It reads URIs until
// it has enough, all of them if need be.
func (r Reports) SimilarURIs(ctx context.Context, text string, limit int) ([]string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text))
	return sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (uri string, err error) { return uri, rows.Scan(&uri) },
		`SELECT d.uri FROM documents d WHERE lower(d.uri) LIKE $1 ESCAPE '\' LIMIT `+fmt.Sprint(limit), "%"+escaped+"%")
}

// AnyDocument reports whether a source has, or had, a document whose URI matches. It reads URIs
// until one does. The ledger need not know the source.
func (r Reports) AnyDocument(ctx context.Context, source string, match func(uri string) bool) (bool, error) {
	rows, err := r.read.Query(ctx, `SELECT d.uri FROM documents d WHERE d.source_id = (SELECT id FROM sources WHERE url = $1)`, source)
	if err != nil {
		return false, fmt.Errorf("read the source's documents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var uri string
		if err := rows.Scan(&uri); err != nil {
			return false, fmt.Errorf("read the source's documents: %w", err)
		}
		if match(uri) {
			return true, nil
		}
	}
	return false, rows.Err()
}
