//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// A queue that is in use in one Redis is not started in another, empty one, and the process
// that tries reports why.
func TestSecondRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t, newRedis(t).address(), nil)
	s.write("notes.jsonl", lines(0, 5))
	run := s.enqueue("notes.jsonl")[0].Run
	worker := s.worker()
	second := newRedis(t)
	var misled []*programtest.Process
	for _, command := range [][]string{{"enqueue", "notes.jsonl"}, {"worker"}, {"server", "--listen", "127.0.0.1:0"}, {"pause", run}} {
		misled = append(misled, s.start(append(command, "--redis", second.address())...))
	}
	for _, p := range misled {
		if r := p.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "in use in another Redis") || !strings.Contains(r.Stderr, "--redis") {
			t.Errorf("%s: exit %d: %s", r.Args[0], r.Code, r.Stderr)
		}
	}
	if n := second.client.DBSize(background()).Val(); n != 0 {
		t.Errorf("the second Redis has %d keys", n)
	}
	worker.Running()
	worker.Stop()
}

// Programs that work on a queue exit when the queue turns out to belong to another ledger, and
// none starts there.
func TestQueueOfAnotherLedger(t *testing.T) {
	t.Parallel()
	redis := newRedis(t)
	s := newSite(t, redis.address(), nil)
	running := []*programtest.Process{s.worker(), s.server().Process}
	other := newSite(t, redis.address(), nil)
	other.env["GISTMILL_QUEUE"] = s.queue
	other.write("notes.jsonl", lines(0, 5))
	key := "gistmill:{" + s.queue + "}:ledger"
	if r := other.run("enqueue", "notes.jsonl"); r.Code != 1 || !strings.Contains(r.Stderr, key) {
		t.Errorf("enqueue with another ledger: exit %d: %s", r.Code, r.Stderr)
	}
	for _, p := range running {
		p.Running()
	}
	if err := redis.client.Set(background(), key, "another", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range running {
		if r := p.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "belongs to another ledger") {
			t.Errorf("%s: exit %d: %s", r.Args[0], r.Code, r.Stderr)
		}
	}
}
