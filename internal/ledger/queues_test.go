package ledger_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// A queue has one mark, which never changes and is fresh while processes see it.
func testQueueMark(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	first := must(f.QueueMark(ctx, "documents"))(t)
	other := db.open(t)
	if again := must(other.QueueMark(ctx, "documents"))(t); again != first || first.Mark == "" || first.Fresh {
		t.Errorf("the mark is %+v, then %+v", first, again)
	}
	if letters := must(f.QueueMark(ctx, "letters"))(t); letters.Mark == first.Mark {
		t.Error("two queues have one mark")
	}
	f.ok(other.SawQueue(ctx, "documents"))
	if !must(f.QueueMark(ctx, "documents"))(t).Fresh {
		t.Error("a mark just seen is not fresh")
	}
	db.clock.advance(ledger.MarkLease / 2)
	f.ok(f.SawQueue(ctx, "documents"))
	db.clock.advance(ledger.MarkLease / 2)
	if !must(f.QueueMark(ctx, "documents"))(t).Fresh {
		t.Error("a mark seen again is not fresh")
	}
	db.clock.advance(ledger.MarkLease)
	if must(f.QueueMark(ctx, "documents"))(t).Fresh {
		t.Error("a mark that no process has seen stays fresh")
	}
}

// A ledger that a newer program has migrated is not opened and not changed.
func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO schema_version VALUES (1000)`); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{}); !errors.Is(err, ledger.ErrNewer) {
		t.Errorf("opened with %v", err)
	}
}
