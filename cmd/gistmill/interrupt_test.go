package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/screen"
)

// interrupt types Ctrl-C, and fails the test unless the program ends within a second with 130
// and leaves the terminal clean.
func interrupt(t *testing.T, s *screen.Screen) {
	t.Helper()
	typed := time.Now()
	s.Type(screen.CtrlC)
	wantCode(t, s, exitInterrupted)
	if took := time.Since(typed); took > time.Second {
		t.Errorf("ended after %s:\n%s", took, s.All())
	}
	if s.Column() != 0 {
		t.Errorf("the cursor is in column %d:\n%s", s.Column(), s.All())
	}
	wantNotShown(t, s, "stopping", "finishing", "context canceled")
}

// wantBalanced fails the test unless the counts of every run of the desk's ledger add up.
func (d *desk) wantBalanced() {
	d.t.Helper()
	out, err := d.command("runs", "-o", "json").Output()
	var rows []runRow
	if err == nil {
		err = json.Unmarshal(out, &rows)
	}
	if err != nil {
		d.t.Fatalf("gistmill runs: %v", err)
	}
	for _, r := range rows {
		if n := r.Documents; !r.Balanced || n.Total != n.Done+n.Dead+n.Skipped+n.Remaining {
			d.t.Errorf("the counts of run %s do not add up: %+v", r.Run, n)
		}
	}
}

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// hangingObjects answers as S3 does: the bucket has three objects, and reading one never ends.
func hangingObjects(w http.ResponseWriter, r *http.Request) {
	if !r.URL.Query().Has("list-type") {
		<-r.Context().Done()
		return
	}
	fmt.Fprint(w, `<ListBucketResult><IsTruncated>false</IsTruncated>`)
	for i := range 3 {
		fmt.Fprintf(w, `<Contents><Key>%d.txt</Key><LastModified>2026-01-31T12:00:00Z</LastModified><ETag>"x"</ETag><Size>3</Size></Contents>`, i)
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}

// Ctrl-C while a source is listed or an estimate reads documents ends the command at once, and
// nothing is called.
func TestInterruptWhileReading(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		args  []string
		until string
	}{
		"listing of a dry run":  {hangingBucket, []string{"run", "--dry-run"}, "15,000 documents, "},
		"listing of enqueue":    {hangingBucket, []string{"enqueue", "--dry-run"}, "15,000 documents, "},
		"estimate":              {hangingObjects, []string{"run"}, "estimating the cost"},
		"estimate of a sample":  {hangingObjects, []string{"run", "--sample", "2"}, "estimating the cost"},
		"estimate of a dry run": {hangingObjects, []string{"run", "--dry-run"}, "estimating the cost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 1, nil)
			bucket := httptest.NewServer(c.serve)
			t.Cleanup(bucket.Close)
			d.env = append(d.env, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x")
			url := "s3://bucket?region=us-east-1&endpoint=" + bucket.URL + "&s3ForcePathStyle=true"
			s := d.start(80, 24, append(c.args, url, "--model", "gpt-4", "--base-url", d.url)...)
			s.Until(c.until)
			interrupt(t, s)
			d.wantCalls(0)
			if d.exists(".gistmill/ledger.db") {
				d.wantBalanced()
				d.wantNothingBegun(0)
			}
		})
	}
}

// halted leaves a run with work to do and dead letters, and returns its name.
func (d *desk) halted() string {
	d.t.Helper()
	d.write("tickets/empty.txt", "")
	for i := range 5 {
		d.write(fmt.Sprintf("tickets/%d.txt", i), fmt.Sprintf("The printer on floor %d does not print.", i))
	}
	if err := d.endpoint.Set(func(c *fakellm.Config) { c.Keys = []string{"sk-right"} }); err != nil {
		d.t.Fatal(err)
	}
	_ = d.command("run", "tickets", "--model", "gpt-4", "--base-url", d.url, "--yes").Run()
	out, err := d.command("runs", "-o", "json").Output()
	var rows []runRow
	if err == nil {
		err = json.Unmarshal(out, &rows)
	}
	if err != nil || len(rows) != 1 || rows[0].Documents.Dead != 1 || rows[0].Documents.Remaining != 5 {
		d.t.Fatalf("%v: %s", err, out)
	}
	return rows[0].Run
}

// Ctrl-C is a "no" to every question.
func TestInterruptAtQuestions(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"resume":     {"resume", "RUN", "--confirm-above", "0"},
		"cancel":     {"cancel", "RUN"},
		"dead drop":  {"dead", "drop", "--all"},
		"dead retry": {"dead", "retry", "--all", "--confirm-above", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 0, nil)
			run := d.halted()
			before := d.state()
			calls := d.endpoint.Stats().Calls
			words := strings.NewReplacer("RUN", run, "URL", d.url)
			typed := make([]string, len(args))
			for i, a := range args {
				typed[i] = words.Replace(a)
			}
			s := d.start(80, 24, typed...)
			s.Until("[y/N]")
			interrupt(t, s)
			if after := d.state(); after != before {
				t.Errorf("the ledger has changed from\n%s\nto\n%s", before, after)
			}
			d.wantBalanced()
			d.wantCalls(calls)
			d.wantNothingBegun(calls)
		})
	}
}

// state returns the runs and dead letters of the ledger as JSON.
func (d *desk) state() string {
	d.t.Helper()
	var all strings.Builder
	for _, args := range [][]string{{"runs", "-o", "json"}, {"dead", "list", "-o", "json"}} {
		out, err := d.command(args...).Output()
		if err != nil {
			d.t.Fatalf("%q: %v", args, err)
		}
		all.Write(out)
	}
	return all.String()
}

// Every command that connects to a ledger ends at once, also if the server accepts the connection
// and does not answer, or is not there.
func TestInterruptWhileConnecting(t *testing.T) {
	t.Parallel()
	const refused = "127.0.0.1:1"
	silent := silentServer(t)
	for _, address := range []string{refused, silent} {
		for _, args := range [][]string{
			{"export", "all.jsonl"},
			{"export", "pages/"},
			{"dead", "list"},
			{"dead", "drop", "--all"},
			{"runs"},
			{"show", "T-1"},
			{"status", "--watch"},
			{"prune", "--older-than", "30d"},
			{"pause", "20260131-k7m2qd"},
			{"resume", "20260131-k7m2qd"},
			{"migrate"},
			{"run", "tickets.jsonl", "--dry-run"},
		} {
			kind := map[bool]string{true: "refused", false: "silent"}[address == refused]
			t.Run(kind+" "+strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, 3, nil)
				d.env = append(d.env, "GISTMILL_STORE=postgres://u:pw@"+address+"/x")
				s := d.start(80, 24, args...)
				if args[0] == "status" {
					s.Until("unreachable")
				} else {
					s.Until("waiting for the ledger at postgres://")
				}
				interrupt(t, s)
				wantNotShown(t, s, "pw@")
				if d.exists("all.jsonl") || d.exists("pages") {
					t.Error("the export has made its destination")
				}
			})
		}
	}
}

// A command that waits for another writer of a SQLite ledger, or of an output folder, ends at once.
func TestInterruptWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"pause":      {"pause", "RUN"},
		"cancel":     {"cancel", "RUN", "--yes"},
		"dead drop":  {"dead", "drop", "--all", "--yes"},
		"dead retry": {"dead", "retry", "--all"},
		"prune":      {"prune", "--older-than", "1h", "--yes"},
		"run":        {"run", "tickets", "--yes", "--model", "gpt-4", "--base-url", "URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 0, nil)
			run := d.halted()
			before, calls := d.state(), d.endpoint.Stats().Calls
			db, err := sql.Open("sqlite", "file:"+d.dir+"/.gistmill/ledger.db?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			words := strings.NewReplacer("RUN", run, "URL", d.url)
			typed := make([]string, len(args))
			for i, a := range args {
				typed[i] = words.Replace(a)
			}
			s := d.start(80, 24, typed...)
			ready := time.Now().Add(1500 * time.Millisecond)
			s.UntilMet("the command waits", func() bool { return time.Now().After(ready) })
			interrupt(t, s)
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			if after := d.state(); after != before {
				t.Errorf("the ledger has changed from\n%s\nto\n%s", before, after)
			}
			d.wantBalanced()
			d.wantCalls(calls)
		})
	}
}

// A command whose output no process reads, as with a pager, ends at once.
func TestInterruptWhileWriting(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"export":    {"export", "-"},
		"dead list": {"dead", "list"},
		"runs":      {"runs"},
		"show":      {"show", "tickets.jsonl#T-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 3, nil)
			d.write("tickets/empty.txt", "")
			s := d.start(80, 24, "run", "tickets.jsonl", "tickets", "--model", "extractive")
			wantCode(t, s, exitDead)
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			full := fullPipe(t, writer)
			command := d.command(args...)
			command.Stdout = writer
			s = screen.Start(t, 80, 24, command)
			ready := time.Now().Add(time.Second)
			s.UntilMet("the command writes", func() bool { return time.Now().After(ready) })
			if full == 0 {
				t.Fatal("the pipe takes nothing")
			}
			interrupt(t, s)
		})
	}
}

// fullPipe fills a pipe, and returns how many bytes it took.
func fullPipe(t *testing.T, w *os.File) (n int) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		k, err := w.Write(make([]byte, 4096))
		n += k
		if err != nil {
			return n
		}
	}
}
