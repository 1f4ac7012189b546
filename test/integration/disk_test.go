//go:build integration

package integration

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// smallDisk returns a folder on a small disk of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a small disk (needs root and CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// zeros reads zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// fill fills the disk, and returns a function that frees it.
func fill(t *testing.T, dir string) func() {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// The disk of a SQLite ledger becomes full in mid-run. `run` reports it with the remedy, and
// continues when there is room. It pays again at most for answers that could not be stored.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const documents, concurrency = 400, 8
	disk := smallDisk(t, "24m")
	s := newSite(t, "", latency(t, "uniform:20ms-60ms"))
	s.env["GISTMILL_STORE"] = "sqlite:" + filepath.Join(disk, "ledger.db")
	s.env["OPENAI_API_KEY"] = "test"
	delete(s.env, "GISTMILL_REDIS")
	s.write("notes.jsonl", lines(0, documents))
	p := s.start("run", "notes.jsonl", "--yes", "--concurrency", "8", "--partition-documents", "20")
	p.Until("work has begun", func() bool { return s.fake.Stats().Completed >= 50 })
	room := fill(t, disk)
	r := p.Wait().WantCode(1)
	r.Says("full; free some space and run the same command again")
	before := s.fake.Stats()
	if before.Completed >= documents {
		t.Fatal("all was paid for before the disk was full")
	}
	t.Logf("%d of %d calls were made when it ended:\n%s", before.Completed, documents, r.Stderr)

	// While the disk is full nothing is paid for.
	s.run("run", "notes.jsonl", "--yes", "--concurrency", "8", "--partition-documents", "20").WantCode(1).Says("free some space")
	if n := s.fake.Stats().Calls; n != before.Calls {
		t.Errorf("%d calls were made that could not be stored", n-before.Calls)
	}

	room()
	s.run("run", "notes.jsonl", "--yes", "--concurrency", "8", "--partition-documents", "20").WantCode(0)
	var v programtest.Status
	s.run("status", "-o", "json").WantCode(0).Decode(&v)
	v.Check(t)
	if want := (programtest.Totals{Total: documents, Done: documents}); v.Documents != want {
		t.Errorf("the run ended with %+v, want %+v", v.Documents, want)
	}
	if after := s.fake.Stats(); after.Duplicates > inWork(concurrency) {
		t.Errorf("%d calls were paid twice, at most %d could not be stored", after.Duplicates, inWork(concurrency))
	} else {
		t.Logf("%d calls were paid twice", after.Duplicates)
	}
}
