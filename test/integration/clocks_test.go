//go:build integration && long

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// clockVariable sets the clock's error in a program built by buildSkewed.
const clockVariable = "GISTMILL_TEST_CLOCK"

// buildSkewed builds the program with a time.Now whose wall clock is off by clockVariable; the
// monotonic clock is right. All packages are compiled for it, which takes minutes the first
// time.
func buildSkewed(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	original, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reading = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	patched := strings.Replace(string(original), reading, reading+"\tsec += wrong\n", 1)
	if patched == string(original) {
		t.Fatal("time.Now of this Go version differs from the one that the test patches")
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(source, "time.go"): write("time.go", patched),
		filepath.Join(source, "wrong.go"): write("wrong.go", `package time

import "syscall"

var wrong = func() int64 {
	text, _ := syscall.Getenv("`+clockVariable+`")
	d, _ := ParseDuration(text)
	return int64(d / Second)
}()
`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "gistmill")
	if err := program.Build(t.Context(), binary, "github.com/gistmill/gistmill/cmd/gistmill", "-overlay", write("overlay.json", string(overlay))); err != nil {
		t.Fatal(err)
	}
	return binary
}

// Three workers: one clock is five minutes fast, one five minutes slow. Retries and returned
// tasks are due, and one worker is killed. All documents are done in time, nothing is paid for
// twice, and no task moves back and forth.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	skewed := buildSkewed(t)
	for _, killed := range []string{"5m", "-5m", "0s"} {
		t.Run("the one at "+killed+" is killed", func(t *testing.T) {
			t.Parallel()
			const documents, partition, concurrency = 900, 20, 4
			server := newRedis(t)
			s := newSite(t, server.address(), func(c *fakellm.Config) {
				latency(t, "uniform:50ms-150ms")(c)
				c.Rate500 = 0.1
			})
			console := s.server() // recovers and reconciles with the right clock
			s.write("notes.jsonl", lines(0, documents))
			run := s.enqueue("notes.jsonl", "--partition-documents", fmt.Sprint(partition))[0].Run
			workers := map[string]*programtest.Process{}
			for _, wrong := range []string{"5m", "-5m", "0s"} {
				s.env[clockVariable] = wrong
				w := s.startBy([]string{skewed}, "worker", "--concurrency", fmt.Sprint(concurrency), "--retry-base", "4s", "--retry-cap", "20s")
				w.Until("it has started", func() bool { return strings.Contains(w.Stderr.String(), "worker started") })
				if said := strings.Contains(w.Stderr.String(), "clock skew against Redis"); said != (wrong != "0s") {
					t.Errorf("the worker at %s reports clock skew: %v", wrong, said)
				}
				workers[wrong] = w
			}
			console.Until("all of them work", func() bool {
				return s.done() >= 200 && s.count(`SELECT count(DISTINCT worker_id) FROM calls`) == 3
			})
			workers[killed].Kill()
			if s.done() == documents {
				t.Fatal("killed too late")
			}
			at := time.Now()
			s.finish(run, 2*patience, programtest.Totals{Total: documents, Done: documents})
			took := time.Since(at)
			t.Logf("all done and the queue empty %s after the kill", took.Round(time.Second))
			if took > 90*time.Second {
				t.Errorf("that took %s, want 90 s", took)
			}
			if d := s.fake.Stats().Duplicates; d > inWork(concurrency) {
				t.Errorf("%d calls were paid twice, at most %d were in work", d, inWork(concurrency))
			}
			failed := s.count(`SELECT count(*) FROM history WHERE event = 'failed'`)
			claims := s.count(`SELECT sum(epoch) FROM run_documents`)
			if most := documents + failed + 4*partition + 64; claims > most {
				t.Errorf("%d claims for %d documents with %d failures, want at most %d", claims, documents, failed, most)
			}
			// Whenever a worker ends or returns a task, the task leaves the list of active ones.
			moves := server.ran("lrem")
			t.Logf("%d claims, %d failures, tasks left workers %d times", claims, failed, moves)
			if most := 2*(documents/partition) + 3*failed; moves > most {
				t.Errorf("tasks left workers %d times, want at most %d", moves, most)
			}
			for wrong, w := range workers {
				if n := strings.Count(w.Stderr.String(), "stale outcome refused"); n > 0 && wrong != killed {
					t.Errorf("%d outcomes of the worker at %s were refused", n, wrong)
				}
				if wrong != killed {
					w.Stop()
				}
			}
			console.Stop()
		})
	}
}
