//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// hostileProgram returns the program with readers that fail.
func hostileProgram(t *testing.T) string {
	t.Helper()
	binary, err := shared.hostile()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// failures are the failures of hostile documents, with the class and message of the dead
// letter. On a slow machine the time of the last two may run out before their memory does: they
// then end like a hang.
var failures = []struct{ name, class, message string }{
	{"panic", "input", "the reader of text/hostile failed: panic in "},
	{"hang", "input", "its reader did not stop after 8s"},
	{"memory", "crashing", "its reader died 3 times: out of memory"},
	{"stack", "crashing", "its reader died 3 times: stack overflow"},
}

// deadLetter is a row of `dead list -o json`.
type deadLetter struct {
	URI, Class, Message string
	Attempts            int64
}

// fleet keeps some workers running, as Kubernetes does: it restarts one that has died.
type fleet struct {
	s        *site
	start    func() *programtest.Process
	workers  []*programtest.Process
	deaths   int
	madeRoom int   // exits of workers with a stuck reader
	peak     int64 // the largest resident set of a worker that has ended
}

func (f *fleet) look() {
	for i, w := range f.workers {
		if !w.HasEnded() {
			continue
		}
		r := w.Wait()
		f.peak = max(f.peak, w.Wait().Peak)
		if r.Code == 0 {
			f.madeRoom++
		} else {
			f.deaths++
		}
		f.workers[i] = f.start()
	}
}

// One document in a hundred panics, one hangs, one takes memory without end, and one overflows
// the stack. Workers have one gibibyte each; more memory kills them. Exactly those documents
// are dead, each with its cause.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	const documents, ofEach, concurrency = 2000, 20, 8
	s := newSite(t, "", latency(t, "uniform:5ms-20ms"))
	s.notes(documents)
	guilty := map[string]int{}
	for k := range ofEach * len(failures) {
		n := k * documents / (ofEach * len(failures))
		uri := fmt.Sprintf("%02d/note-%05d.txt", n%10, n)
		guilty[uri] = k % len(failures)
		s.write("docs/"+uri, fmt.Appendf(nil, "hostile: %s\nnumber %d\n", failures[k%len(failures)].name, n))
	}
	run := s.enqueue("docs", "--partition-documents", "50")[0].Run
	limited := []string{"sh", "-c", `ulimit -d 1048576; exec "$0" "$@"`, hostileProgram(t)}
	f := &fleet{s: s, start: func() *programtest.Process {
		return s.startBy(limited, "worker", "--exit-when-idle", "--concurrency", fmt.Sprint(concurrency))
	}}
	f.workers = []*programtest.Process{f.start(), f.start()}
	began := time.Now()
	innocent := int64(documents - len(guilty))
	var goodDone time.Duration
	var v programtest.Status
	programtest.Await(t, "the end of the run", 10*time.Minute, func() bool {
		f.look()
		r := s.run("status", run, "-o", "json")
		if r.Code == 1 {
			return false // these documents use the whole machine, and the ledger did not answer within 2 s
		}
		r.WantCode(0).Decode(&v)
		v.Check(t)
		if v.Documents.Done == innocent && goodDone == 0 {
			goodDone = time.Since(began)
		}
		return v.State == "finished"
	}, func() string { return describe(v) })
	took := time.Since(began)
	if want := (programtest.Totals{Total: documents, Done: innocent, Dead: int64(len(guilty))}); v.Documents != want {
		t.Errorf("ended with %+v, want %+v", v.Documents, want)
	}

	var dead []deadLetter
	s.run("dead", "list", "-o", "json").WantCode(0).Decode(&dead)
	own := make([]int, len(failures)) // dead of just that
	for _, d := range dead {
		w, ok := guilty[d.URI]
		if !ok {
			t.Errorf("%s is dead because of another document: %s: %s", d.URI, d.Class, d.Message)
			continue
		}
		delete(guilty, d.URI)
		is := func(w int) bool {
			return d.Class == failures[w].class && strings.HasPrefix(d.Message, failures[w].message)
		}
		switch {
		case is(w):
			own[w]++
		case w < 2 || !is(1):
			t.Errorf("%s (%s) is dead as %s: %s", d.URI, failures[w].name, d.Class, d.Message)
		}
	}
	for w, n := range own {
		if n == 0 {
			t.Errorf("no document died of %s", failures[w].name)
		}
	}
	if len(guilty) > 0 {
		t.Errorf("not dead: %v", guilty)
	}
	if n := s.count(`SELECT coalesce(max(crashes), 0) FROM run_documents`); n > 3 {
		t.Errorf("a document was tried after %d crashes", n)
	}
	if n := s.count(`SELECT count(*) FROM run_documents WHERE state = 'done' AND (crashes <> 0 OR attempts <> 1)`); n != 0 {
		t.Errorf("%d good documents have crashes or further attempts", n)
	}
	// Documents that a killed worker held may be paid for again.
	stats := s.fake.Stats()
	if stats.Completed-stats.Duplicates != innocent || stats.Duplicates > int64(f.deaths)*inWork(concurrency) {
		t.Errorf("%d calls were answered, %d of them again, for %d good documents and %d deaths", stats.Completed, stats.Duplicates, innocent, f.deaths)
	}
	if most := ofEach * 2; f.deaths > most {
		t.Errorf("%d workers died, with %d documents that can kill one", f.deaths, most)
	}
	s.emptyQueue()
	for _, w := range f.workers {
		w.Wait().WantCode(0)
		f.peak = max(f.peak, w.Wait().Peak)
	}
	t.Logf("%d documents, %d of them hostile: good ones done after %s, all after %s; dead of each %v; %d workers died and %d made room; %d calls paid again; largest worker %d MiB",
		documents, len(dead), goodDone.Round(time.Second), took.Round(time.Second), own, f.deaths, f.madeRoom, stats.Duplicates, f.peak>>20)
}

// setUpHung creates a run in which some documents panic and some hang.
func setUpHung(t *testing.T) (s *site, run string) {
	t.Helper()
	s = newSite(t, "", latency(t, "uniform:5ms-20ms"))
	s.notes(hungDocuments)
	for n := range hung {
		s.write(fmt.Sprintf("docs/%02d/note-%05d.txt", n*50%10, n*50), fmt.Appendf(nil, "hostile: %s\n%d", failures[n%2].name, n))
	}
	return s, s.enqueue("docs", "--partition-documents", "50")[0].Run
}

// hung returns the number of hostile documents among n.
const hungDocuments, hung = 400, 8

// finishHung waits for the end of the run.
func (s *site) finishHung(run string) {
	s.t.Helper()
	s.finish(run, 5*time.Minute, programtest.Totals{Total: hungDocuments, Done: hungDocuments - hung, Dead: hung})
	s.paidOnce(hungDocuments - hung)
	var dead []deadLetter
	s.run("dead", "list", "-o", "json").WantCode(0).Decode(&dead)
	for _, d := range dead {
		if !strings.HasPrefix(d.Message, failures[0].message) && !strings.HasPrefix(d.Message, failures[1].message) {
			s.t.Errorf("%s is dead as %s: %s", d.URI, d.Class, d.Message)
		}
	}
}

// Readers that panic or hang do not end their process, and other documents are done meanwhile.
func TestHungReadersInOneProcess(t *testing.T) {
	t.Parallel()
	s, run := setUpHung(t)
	worker := s.startBy([]string{hostileProgram(t)}, "worker", "--concurrency", "8")
	worker.Until("the first reader is stuck", func() bool { return strings.Contains(worker.Stderr.String(), "reader stuck in this process") })
	before := s.done()
	began := time.Now()
	worker.Until("the good ones are done", func() bool { return s.done() == hungDocuments-hung })
	good := time.Since(began)
	s.finishHung(run)
	t.Logf("%d were done when the first reader was stuck; all good ones %s later, all %s later", before, good.Round(time.Second), time.Since(began).Round(time.Second))
	worker.Running()
	worker.Stop()
}

// A worker that exits when idle makes room for a healthy one when a reader is stuck in its
// process.
func TestHungWorkerMakesRoom(t *testing.T) {
	t.Parallel()
	s, run := setUpHung(t)
	start := func() *programtest.Process {
		return s.startBy([]string{hostileProgram(t)}, "worker", "--concurrency", "8", "--exit-when-idle=10s")
	}
	first := start().Wait().WantCode(0)
	first.Says("stuck_reader")
	if v := s.status(run); v.State == "finished" {
		t.Errorf("the worker did not exit: %s", describe(v))
	}
	programtest.Await(t, "the end of the run", 5*time.Minute, func() bool {
		start().Wait().WantCode(0)
		return s.status(run).State == "finished"
	}, nil)
	s.finishHung(run)
}
