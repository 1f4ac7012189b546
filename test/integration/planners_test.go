//go:build integration

package integration

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// While one process plans, another process with the same source and profile exits with 4, or
// waits if asked to. With another source or profile it works.
func TestPlannersAtOnce(t *testing.T) {
	t.Parallel()
	const documents = 400
	s := newSite(t, "", latency(t, "5ms"))
	b := s.newBucket()
	b.put("notes.jsonl", lines(0, documents))
	b.put("other.jsonl", lines(documents, documents+10))
	// Behind the first 100 lines, which are read before the lease is taken.
	held := b.holdAfter("notes.jsonl", int64(len(lines(0, documents)))/2)
	first := s.start("enqueue", b.url("notes.jsonl"), "-o", "json")
	first.Until("it plans", func() bool {
		var there bool
		if err := s.db.QueryRow(`SELECT to_regclass('planners') IS NOT NULL`).Scan(&there); err != nil || !there {
			return false
		}
		return s.count(`SELECT count(*) FROM planners`) > 0
	})

	second := s.run("enqueue", b.url("notes.jsonl"))
	second.WantCode(4)
	second.Says("--wait")
	other := s.enqueue(b.url("other.jsonl"))
	waiting := s.start("enqueue", b.url("notes.jsonl"), "--wait", "-o", "json")
	// Longer than the lease: the first planner renews it.
	pass(17 * time.Second)
	first.Running()
	waiting.Running()
	s.run("enqueue", b.url("notes.jsonl")).WantCode(4)

	b.release(held)
	var plans, repeated []planned
	first.Wait().WantCode(0).Decode(&plans)
	waiting.Wait().WantCode(0).Decode(&repeated)
	if p := plans[0]; p.New != documents || p.Continued {
		t.Errorf("the first planner prints %s", describe(p))
	}
	if p := repeated[0]; p.Run != plans[0].Run || !p.Continued || p.New != 0 || p.Tasks != 0 {
		t.Errorf("the planner that waited prints %s", describe(p))
	}
	s.eachOnce(plans[0].Run, documents)
	worker := s.worker()
	s.finish(plans[0].Run, patience, programtest.Totals{Total: documents, Done: documents})
	s.finish(other[0].Run, patience, programtest.Totals{Total: 10, Done: 10})
	s.paidOnce(documents + 10)
	worker.Stop()
}

func isClosed(c <-chan struct{}) func() bool {
	return func() bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
}

// eachOnce checks a plan before any worker starts: each document is in one partition, and each
// partition has one task.
func (s *site) eachOnce(run string, documents int64) {
	s.t.Helper()
	const ofRun = ` JOIN runs r ON r.num = x.run_num WHERE r.name = $1`
	if n := s.count(`SELECT count(*) FROM run_documents x`+ofRun+` AND x.state = 'pending' AND x.partition_id IS NOT NULL`, run); n != documents {
		s.t.Errorf("%d documents are remaining in partitions, want %d", n, documents)
	}
	if n := s.count(`SELECT COALESCE(sum(documents), 0) FROM partitions x`+ofRun+` AND x.state = 'ready'`, run); n != documents {
		s.t.Errorf("partitions have %d documents in all, want %d", n, documents)
	}
	rows, err := s.db.Query(`SELECT x.id FROM partitions x`+ofRun+` AND x.state = 'ready'`, run)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var want []string
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			s.t.Fatal(err)
		}
		want = append(want, run+":"+strconv.FormatInt(id, 10)+":1")
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, id := range s.redis.LRange(background(), "asynq:{"+s.queue+"}:pending", 0, -1).Val() {
		if strings.HasPrefix(id, run+":") {
			got = append(got, id)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.t.Errorf("%d tasks are pending, %d partitions are ready, and they differ", len(got), len(want))
	}
}

// A planner is killed while it lists. Its recorded documents are kept, and no worker has seen
// them. The next planner completes the plan.
func TestKilledWhileListing(t *testing.T) {
	t.Parallel()
	const documents = 25_000
	s := newSite(t, "", nil)
	b := s.newBucket()
	data := make([]byte, 0, documents*100)
	for n := range documents {
		data = append(data, line(strconv.Itoa(n), "Line "+strconv.Itoa(n)+" of the register of barges, in which nothing else is written.")...)
	}
	b.put("register.jsonl", data)
	held := b.holdAfter("register.jsonl", int64(len(data))*9/10)
	killed := s.start("enqueue", b.url("register.jsonl"))
	killed.Until("the first batch is recorded", func() bool {
		var there bool
		if err := s.db.QueryRow(`SELECT to_regclass('documents') IS NOT NULL`).Scan(&there); err != nil || !there {
			return false
		}
		return s.count(`SELECT count(*) FROM documents`) >= 20_000
	})
	killed.Kill()
	at := time.Now()
	b.release(held)
	if n := len(s.keys("t:*")); n != 0 {
		t.Errorf("%d tasks of a plan that was not published", n)
	}
	before := s.runs()[0]
	if before.State != "planning" {
		t.Errorf("the killed plan's run is %s", describe(before))
	}
	p := s.enqueue(b.url("register.jsonl"))[0] // waits until the lease has lapsed
	took := time.Since(at)
	t.Logf("planned again %s after the kill", took.Round(time.Second))
	if took < ledger.PlanLease/2 {
		t.Errorf("the killed planner's lease did not hold: planned again after %s", took)
	}
	if p.Run != before.Run || !p.Continued || p.Listed != documents {
		t.Errorf("the next planner prints %s", describe(p))
	}
	s.eachOnce(p.Run, documents)
	if v := s.status(p.Run); v.Documents != (programtest.Totals{Total: documents, Remaining: documents}) {
		t.Errorf("planned: %s", describe(v))
	}
}

// A planner is killed while it fills the queue. The next planner adds the missing tasks.
func TestKilledWhileEnqueuing(t *testing.T) {
	t.Parallel()
	const documents = 600
	s := newSite(t, "", latency(t, "5ms"))
	s.write("notes.jsonl", lines(0, documents))
	v := newValve(t, s.redis.Options().Addr, 300_000)
	address := s.env["GISTMILL_REDIS"]
	s.env["GISTMILL_REDIS"] = "redis://" + v.address
	killed := s.start("enqueue", "notes.jsonl", "--partition-documents", "1")
	killed.Until("the queue is half full", isClosed(v.shut))
	killed.Kill()
	s.env["GISTMILL_REDIS"] = address
	if n := len(s.keys("t:*")); n == 0 || n == documents {
		t.Fatalf("killed with %d tasks in the queue", n)
	}
	p := s.enqueue("notes.jsonl", "--wait")[0]
	if !p.Continued || p.New != 0 || p.Remaining != documents {
		t.Errorf("the next planner prints %s", describe(p))
	}
	s.eachOnce(p.Run, documents)
	worker := s.worker()
	s.finish(p.Run, patience, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	worker.Stop()
}
