//go:build integration

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

var listening = regexp.MustCompile(`"server started","address":"([^"]+)"`)

// server is `gistmill server` on a free port.
type server struct {
	*programtest.Process
	t   *testing.T
	url string
}

func (s *site) server(args ...string) *server {
	s.t.Helper()
	p := s.start(append([]string{"server", "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	v := &server{Process: p, t: s.t}
	p.Until("the server listens", func() bool {
		m := listening.FindStringSubmatch(p.Stderr.String())
		if m != nil {
			v.url = "http://" + m[1]
		}
		return m != nil
	})
	return v
}

// get returns the status. It is 0 if there is no answer within 3 s, KEDA's timeout.
func (v *server) get(path string) (int, []byte) {
	v.t.Helper()
	client := http.Client{Timeout: 3 * time.Second}
	r, err := client.Get(v.url + path)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return r.StatusCode, body
}

type demand struct {
	Demand    int64  `json:"demand"`
	Uncapped  int64  `json:"uncapped"`
	LimitedBy string `json:"limited_by"`
}

func (v *server) demand() demand {
	v.t.Helper()
	status, body := v.get("/demand")
	var d demand
	if err := json.Unmarshal(body, &d); err != nil || status != http.StatusOK {
		v.t.Fatalf("/demand answers %d: %s", status, body)
	}
	return d
}

func (v *server) awaitDemand(want int64) {
	v.t.Helper()
	var last demand
	v.Until("the demand that is wanted", func() bool {
		last = v.demand()
		return last.Demand == want
	})
}

// Two servers report the same, one of them capped, and restore everything after a flush without
// an enqueue.
func TestServersAfterAFlush(t *testing.T) {
	t.Parallel()
	redis := newRedis(t)
	s := newSite(t, redis.address(), latency(t, "5ms"))
	one, two := s.server(), s.server("--rpm", "60")
	if d := one.demand(); d.Demand != 0 {
		t.Errorf("an empty queue has a demand of %d", d.Demand)
	}
	s.write("notes.jsonl", lines(0, 200))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	one.awaitDemand(10)
	two.awaitDemand(4)
	if d := two.demand(); d.Uncapped != 10 || d.LimitedBy == "" {
		t.Errorf("the limited server reports %+v", d)
	}
	if err := redis.client.FlushAll(background()).Err(); err != nil {
		t.Fatal(err)
	}
	one.awaitDemand(0)
	one.awaitDemand(10)
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.finish(run, patience, programtest.Totals{Total: 200, Done: 200})
	s.paidOnce(200)
	one.awaitDemand(0)
	one.Stop()
	two.Stop()
}

// When no worker is left the server reports demand for one. A new worker finishes what a killed
// one held and what was due, within 90 s.
func TestServerAndTheLastWorkerKilled(t *testing.T) {
	t.Parallel()
	redis := newRedis(t)
	s := newSite(t, redis.address(), latency(t, "200ms"))
	v := s.server()
	s.write("notes.jsonl", lines(0, 120))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	w := s.worker("--concurrency", "2")
	w.Until("work has begun", func() bool { return s.done() >= 5 })
	w.Kill()
	killed := time.Now()
	if d := v.demand(); d.Demand == 0 {
		t.Error("there is no demand after the worker was killed")
	}
	s.run("worker", "--concurrency", "32", "--exit-when-idle=2s").WantCode(0)
	took := time.Since(killed)
	s.finish(run, patience, programtest.Totals{Total: 120, Done: 120})
	if took > 90*time.Second {
		t.Errorf("done %s after the kill, want 90 s", took)
	}
	t.Logf("done %s after the kill", took)
	v.awaitDemand(0)
	v.Stop()
}

// Without Redis the server reports that it is not ready, and stays alive.
func TestServerWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := newRedis(t)
	s := newSite(t, redis.address(), nil)
	v := s.server()
	v.awaitDemand(0)
	redis.end()
	v.Until("the demand is not known", func() bool { status, _ := v.get("/demand"); return status == http.StatusServiceUnavailable })
	if status, body := v.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d: %s", status, body)
	}
	if status, _ := v.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	redis.begin()
	v.Until("ready again", func() bool { status, _ := v.get("/readyz"); return status == http.StatusOK })
	v.awaitDemand(0)
	v.Stop()
}
