//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// stopWithin is how long a stop may take while calls only wait.
const stopWithin = 2 * time.Second

// Nothing listens at the endpoint, and calls wait for it. A signal ends `run` and `worker` within
// 2 s. No call is booked, and nothing is paid.
func TestSignalWhileTheEndpointIsDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signal os.Signal
		args   []string
		code   int
	}{
		"run":    {syscall.SIGINT, []string{"run", "docs", "--out", "none", "--model", "gpt-4"}, 130},
		"worker": {syscall.SIGTERM, []string{"worker"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, newRedis(t).address(), nil)
			s.env["GISTMILL_BASE_URL"] = fmt.Sprintf("http://127.0.0.1:%d/v1", freePort(t))
			s.notes(16)
			if name == "worker" {
				s.enqueue("docs", "--model", "gpt-4")
			} else {
				s.run("migrate").WantCode(0)
			}
			p := s.start(append(c.args, "--concurrency", "16")...)
			p.Until("it waits for the endpoint", func() bool {
				return s.count(`SELECT count(*) FROM workers WHERE waiting LIKE '%endpoint%'`) > 0
			})
			begun := time.Now()
			p.Signal(c.signal)
			p.Wait().WantCode(c.code)
			if took := time.Since(begun); took > stopWithin {
				t.Errorf("the stop took %s", took)
			}
			v := s.runs()[0]
			if v.Calls != 0 || v.CostUSD == nil || *v.CostUSD != 0 || v.Documents.Remaining != 16 {
				t.Errorf("something was booked: %s", describe(v))
			}
			s.handedBack()
		})
	}
}

// answers are what `status` says while a server is away.
type answers struct {
	State       string   `json:"state"`
	Unreachable []string `json:"unreachable"`
	Waiting     *struct {
		Reason string `json:"reason"`
	} `json:"waiting"`
}

// Redis, PostgreSQL and the endpoint are away in turn. `status` answers within 2 s and says which
// one. `status --watch` survives all three, and ends with the code of the run.
func TestStatusDuringOutages(t *testing.T) {
	t.Parallel()
	const documents = 200
	redis, postgres := newRedis(t), newPostgres(t, nil, nil)
	s := newSiteOn(t, redis.address(), postgres.url("postgres", "gistmill", "sslmode=disable"), latency(t, "200ms"))
	s.notes(documents)
	run := s.enqueue("docs", "--partition-documents", "10")[0].Run
	worker := s.worker("--concurrency", "2", "--partitions", "1", "--request-timeout", "1s")
	worker.Until("work has begun", func() bool { return s.done() >= 5 })
	watch := s.start("status", run, "--watch", "-o", "json")
	ask := func(want int) (v answers) {
		t.Helper()
		begun := time.Now()
		s.run("version").WantCode(0)
		start := time.Since(begun) // of a program, on this machine, now
		begun = time.Now()
		r := s.run("status", run, "-o", "json")
		if took := time.Since(begun); took-start > 2*time.Second {
			t.Errorf("status took %s, and the start of a program takes %s", took, start)
		} else {
			t.Logf("status took %s, the start of a program %s", took, start)
		}
		r.WantCode(want)
		if err := json.Unmarshal([]byte(r.Stdout), &v); err != nil {
			t.Fatalf("%v: %s", err, r.Stdout)
		}
		return v
	}
	names := func(v answers, what string) bool { return strings.Contains(strings.Join(v.Unreachable, " "), what) }

	redis.signal(syscall.SIGSTOP)
	if v := ask(0); !names(v, "redis") || names(v, "ledger") || v.State != "running" {
		t.Errorf("without Redis: %s", describe(v))
	}
	redis.signal(syscall.SIGCONT)
	postgres.end()
	if v := ask(1); !names(v, "ledger") || names(v, "redis") {
		t.Errorf("without PostgreSQL: %s", describe(v))
	}
	postgres.begin()
	s.set(latency(t, "1h"))
	programtest.Await(t, "the wait for the endpoint", 30*time.Second, func() bool {
		v := ask(0)
		return v.Waiting != nil && v.Waiting.Reason == "endpoint" && len(v.Unreachable) == 0
	}, nil)
	watch.Running()
	s.set(latency(t, "5ms"))
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	watch.Wait().WantCode(0)
	worker.Stop()
}

// about is the ETA in the text of `status`.
var about = regexp.MustCompile(`about (\S+) to go`)

// Four workers share a rate limit of seven documents a second. After a pause the ETA is within 30 %
// of the truth from 20 s on, and the text says the same.
func TestETAAfterAPause(t *testing.T) {
	t.Parallel()
	const documents = 330
	s := newSite(t, newRedis(t).address(), latency(t, "100ms"))
	s.notes(documents)
	run := s.enqueue("docs", "--partition-documents", "10")[0].Run
	for range 4 {
		s.worker("--concurrency", "4", "--rpm", "420")
	}
	programtest.Await(t, "some work", patience, func() bool { return s.done() >= 40 }, nil)
	s.run("pause", run).WantCode(0)
	programtest.Await(t, "an end of the calls", patience, func() bool { return s.fake.Stats().InFlight == 0 }, nil)
	pass(5 * time.Second)
	s.run("resume", run, "--yes").WantCode(0)
	resumed := time.Now()
	type sample struct {
		at  time.Time
		eta time.Duration
	}
	var samples []sample
	var ended time.Time
	programtest.Await(t, "the end of the run", patience, func() bool {
		begun := time.Now()
		var v struct {
			State    string    `json:"state"`
			ETA      *float64  `json:"eta_seconds"`
			Finished time.Time `json:"finished_at"`
		}
		s.run("status", run, "-o", "json").WantCode(0).Decode(&v)
		if v.State == "running" && begun.Sub(resumed) >= 20*time.Second {
			if v.ETA == nil {
				t.Errorf("no ETA %s after the resume", begun.Sub(resumed))
			} else {
				samples = append(samples, sample{begun, time.Duration(*v.ETA * float64(time.Second))})
			}
			text := s.run("status", run).WantCode(0).Stdout
			said := about.FindStringSubmatch(text)
			if said == nil {
				t.Errorf("the text has no ETA: %s", text)
			} else if d, err := time.ParseDuration(said[1]); err != nil || v.ETA != nil && math.Abs(d.Seconds()-*v.ETA) > 3 {
				t.Errorf("the text says %q, and JSON %s", said[0], describe(v))
			}
		}
		ended = v.Finished
		pass(time.Second)
		return v.State == "finished"
	}, nil)
	if len(samples) < 3 {
		t.Errorf("%d samples", len(samples))
	}
	for _, v := range samples {
		truth := ended.Sub(v.at)
		// In the last seconds the time of the command itself counts.
		if off := (v.eta - truth).Abs(); off > max(truth*3/10, 2*time.Second) {
			t.Errorf("%s after the resume: ETA %s, it took %s", v.at.Sub(resumed).Round(time.Second), v.eta.Round(time.Second), truth.Round(time.Second))
		} else {
			t.Logf("%s after the resume: ETA %s, it took %s", v.at.Sub(resumed).Round(time.Second), v.eta.Round(time.Second), truth.Round(time.Second))
		}
	}
}
