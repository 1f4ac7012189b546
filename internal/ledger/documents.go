package ledger

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

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Source is where documents come from.
type Source struct {
	ID  SourceID
	URL string
}

// Sources lists all sources, the oldest first.
func (l *Ledger) Sources(ctx context.Context) ([]Source, error) {
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (s Source, err error) { return s, rows.Scan(&s.ID, &s.URL) },
		`SELECT id, url FROM sources ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return all, nil
}

// holds is the URI that the document at an address would have in the source, if it can be in it. An address is the source's
// URL, a slash and the URI, or, for local sources, the absolute path.
func (s Source) holds(address string) (uri string, ok bool) {
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

// addresses are the ways to write where a source is: as its URL, without what the query adds, and as a path. name is the
// last element of its path, which is the document's where the source is one file.
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

// Event is a line of a document's history.
type Event struct {
	At      time.Time `json:"at"`
	Run     string    `json:"run"`
	Event   string    `json:"event"` // failed, crashed, dead, retried
	Attempt int64     `json:"attempt,omitempty"`
	Class   Class     `json:"class,omitempty"`
	Message string    `json:"message,omitempty"`
}

// DocumentView is all that the ledger knows of one document under one profile.
type DocumentView struct {
	URI           string
	Source        string // URL
	Run           string // the newest one that has it
	Profile       string // hash
	Model         string
	State         DocumentState // done, dead, dropped, pending (waiting for a worker or a retry), claimed (worked on)
	Size          int64         // bytes
	Modified      time.Time
	Gone          bool
	ContentSHA256 string
	Attempts      int64
	Class         Class
	Message       string
	At            time.Time // of the last outcome
	Summary       *Summary  // the last one made, also when the document has changed since
	History       []Event
}

// Documents finds documents by their URI as listed, by their source's URL, a slash and the URI, or by their absolute
// local path. There is a view for each profile; the newest outcome comes first. limit bounds the views.
func (l *Ledger) Documents(ctx context.Context, uri string, limit int) ([]DocumentView, error) {
	sources, err := l.Sources(ctx)
	if err != nil {
		return nil, err
	}
	var views []DocumentView
	for _, s := range sources {
		uris := []string{uri}
		if inside, ok := s.holds(uri); ok {
			uris = append(uris, inside)
		}
		for _, u := range uris {
			found, err := l.document(ctx, s, u)
			if err != nil {
				return nil, fmt.Errorf("find document: %w", err)
			}
			views = append(views, found...)
		}
	}
	slices.SortStableFunc(views, func(a, b DocumentView) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Run, a.Run))
	})
	return views[:min(limit, len(views))], nil
}

// document reads one document under every profile that a run or a result has it under.
func (l *Ledger) document(ctx context.Context, source Source, uri string) ([]DocumentView, error) {
	type found struct {
		DocumentView
		id      DocumentID
		profile ProfileID
		summary sql.NullString
		result  DocumentState
		inRun   DocumentState
	}
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (f found, err error) {
		var modified, gone, at sql.NullInt64
		var attempts int64
		err = rows.Scan(&f.id, &f.profile, &f.Size, &modified, &gone, &f.Run, &f.inRun, &attempts, &f.Profile, &f.Model, &f.result, &f.ContentSHA256,
			&f.Attempts, &f.Class, &f.Message, &at, &f.summary)
		f.URI, f.Source, f.Modified, f.At, f.Gone = uri, source.URL, fromMillis(modified), fromMillis(at), gone.Valid
		f.Attempts = max(f.Attempts, attempts)
		return f, err
	}, `SELECT d.id, p.id, d.size, d.modified_at, d.gone_at, COALESCE(r.name, made.name, ''), COALESCE(x.state, ''), COALESCE(x.attempts, 0), p.hash, p.model,
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
	views := make([]DocumentView, 0, len(all))
	for _, f := range all {
		f.State = standing(f.inRun, f.result)
		if f.summary.Valid {
			s, err := l.keptSummary(ctx, f.summary.String)
			if err != nil {
				return nil, err
			}
			f.Summary = &s
		}
		if f.History, err = l.history(ctx, f.id, f.profile); err != nil {
			return nil, err
		}
		views = append(views, f.DocumentView)
	}
	return views, nil
}

// standing joins where a document stands in its newest run with its last outcome: a skipped one has that of before.
func standing(inRun, result DocumentState) DocumentState {
	switch {
	case inRun == DocumentPending, inRun == DocumentClaimed:
		return inRun
	case result == "", result == DocumentRetry:
		return DocumentPending
	}
	return result
}

// history reads what happened to a document under a profile.
func (l *Ledger) history(ctx context.Context, document DocumentID, profile ProfileID) ([]Event, error) {
	return sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (e Event, err error) {
		var at sql.NullInt64
		err = rows.Scan(&at, &e.Run, &e.Event, &e.Attempt, &e.Class, &e.Message)
		e.At = fromMillis(at)
		return e, err
	}, `SELECT h.at, COALESCE(r.name, ''), h.event, h.attempt, h.class, h.message FROM history h LEFT JOIN runs r ON r.num = h.run_num
		WHERE h.document_id = $1 AND (r.num IS NULL OR r.profile_id = $2) ORDER BY h.id`, document, profile)
}

// Near lists up to limit URIs that contain a text, whatever the case of its letters. It reads all URIs until it has enough.
func (l *Ledger) Near(ctx context.Context, text string, limit int) ([]string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text))
	return sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (uri string, err error) { return uri, rows.Scan(&uri) },
		`SELECT d.uri FROM documents d WHERE lower(d.uri) LIKE $1 ESCAPE '\' LIMIT `+fmt.Sprint(limit), "%"+escaped+"%")
}
