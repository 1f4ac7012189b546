//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// More dead letters than asynq's archive would keep (9,999): all are listed, filtered, exported
// and redriven while a worker does other work.
func TestRedriveMoreThanAnArchiveKeeps(t *testing.T) {
	t.Parallel()
	const refused, empty, others = 12_000, 3_000, 4_000
	s := newSite(t, "", func(c *fakellm.Config) { c.Record = false })
	var broken bytes.Buffer
	for n := range refused {
		broken.Write(line("refused/"+strconv.Itoa(n), fmt.Sprintf("FAKELLM-REFUSE entry %d of the register", n)))
	}
	for n := range empty {
		broken.Write(line("empty/"+strconv.Itoa(n), ""))
	}
	s.write("broken.jsonl", broken.Bytes())
	run := s.enqueue("broken.jsonl")[0].Run
	worker := s.worker("--concurrency", "32")
	s.finish(run, 2*patience, programtest.Totals{Total: refused + empty, Dead: refused + empty})

	// From here on the endpoint is slow and refuses nothing, and other documents are being worked
	// on.
	s.set(latency(t, "1s"))
	s.set(func(c *fakellm.Config) { c.RefuseMarker = "no document has this" })
	s.write("others.jsonl", lines(0, others))
	other := s.enqueue("others.jsonl")[0].Run
	worker.Until("other work has begun", func() bool { return s.status(other).Documents.Done > 0 })

	took := func(what string, r programtest.Result) programtest.Result {
		t.Helper()
		t.Logf("%s: %s", what, r.Took.Round(time.Millisecond))
		return r.WantCode(0)
	}
	var letters []struct {
		URI, Run, Class string
		Attempts        int64
	}
	listed := func(want int, args ...string) {
		t.Helper()
		letters = nil
		took(strings.Join(args, " "), s.run(append([]string{"dead", "list", "-o", "json"}, args...)...)).Decode(&letters)
		distinct := map[string]bool{}
		for _, l := range letters {
			distinct[l.URI] = true
		}
		if len(letters) != want || len(distinct) != want {
			t.Errorf("dead list %v has %d entries, %d of them distinct, want %d", args, len(letters), len(distinct), want)
		}
	}
	listed(refused + empty)
	listed(empty, "--class", "input")
	listed(refused, "--class", "refused", "--run", run)
	listed(900, "--uri", "broken.jsonl#refused/?1??") // 1100 to 9199 by hundreds
	took("export", s.run("dead", "export", "dead.jsonl"))
	exported, err := os.ReadFile(s.path("dead.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(exported, []byte("\n")); n != refused+empty {
		t.Errorf("%d lines exported", n)
	}
	var redriven struct {
		Retried int64 `json:"retried"`
		Runs    []struct{ Documents, Tasks int64 }
	}
	took("retry", s.run("dead", "retry", "--all", "-o", "json")).Decode(&redriven)
	if redriven.Retried != refused+empty || len(redriven.Runs) != 1 || redriven.Runs[0].Tasks == 0 {
		t.Errorf("re-driven: %s", describe(redriven))
	}
	if s.status(other).State != "running" {
		t.Error("the other work was over before the end of the retry")
	}
	s.set(latency(t, "5ms"))
	s.finish(run, 2*patience, programtest.Totals{Total: refused + empty, Done: refused, Dead: empty})
	s.finish(other, patience, programtest.Totals{Total: others, Done: others})
	worker.Stop()
}
