//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// newRedisCluster starts a cluster of three primaries, each with a third of the slots.
func newRedisCluster(t *testing.T) []*redisServer {
	t.Helper()
	const slots = 16384
	var nodes []*redisServer
	for n := range 3 {
		// The bus' port would be the other one and 10,000, which may be above the last.
		node := newRedisWith(t, redis.Options{}, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(freePort(t)), "--cluster-node-timeout", "15000")
		if err := node.client.ClusterAddSlotsRange(background(), n*slots/3, (n+1)*slots/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	for _, node := range nodes[1:] {
		if err := nodes[0].client.Do(background(), "CLUSTER", "MEET", "127.0.0.1", node.port, node.args[3]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		programtest.Await(t, "the cluster's nodes know each other", patience, func() bool {
			return strings.Contains(node.client.ClusterInfo(background()).Val(), "cluster_state:ok")
		}, nil)
	}
	return nodes
}

// Everything works on a Redis Cluster as on one Redis: limiter, pause, dead letters, demand,
// metrics and the queue's pages.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	const good, bad = 300, 20
	nodes := newRedisCluster(t)
	s := newSite(t, nodes[0].address(), latency(t, "20ms"))
	s.env["GISTMILL_REDIS"] = fmt.Sprintf("redis-cluster://127.0.0.1:%d,127.0.0.1:%d", nodes[1].port, nodes[2].port)
	s.env["GISTMILL_RPM"] = "6000"
	s.write("notes.jsonl", lines(0, good))
	var refused []byte
	for n := range bad {
		refused = append(refused, line(fmt.Sprint(n), fmt.Sprintf("FAKELLM-REFUSE entry %d of the register", n))...)
	}
	s.write("bad.jsonl", refused)
	v := s.server()
	var plans []planned // a run each: in one command the files would be one source
	for _, name := range []string{"notes.jsonl", "bad.jsonl"} {
		plans = append(plans, s.enqueue(name, "--partition-documents", "20")...)
	}
	v.awaitDemand(good/20 + bad/20)
	s.run("pause", plans[0].Run).WantCode(0)
	v.awaitDemand(bad / 20)
	s.run("resume", plans[0].Run).WantCode(0)
	w := s.worker()
	ended := func(n int, want programtest.Totals) {
		t.Helper()
		var last programtest.Status
		w.Until("the end of run "+plans[n].Run, func() bool {
			last = s.status(plans[n].Run)
			return last.State == "finished"
		})
		if last.Documents != want {
			t.Errorf("run %s ended with %+v, want %+v", last.Run, last.Documents, want)
		}
	}
	ended(0, programtest.Totals{Total: good, Done: good})
	ended(1, programtest.Totals{Total: bad, Dead: bad})
	s.set(func(c *fakellm.Config) { c.RefuseMarker = "no document has this" })
	s.run("dead", "retry").WantCode(0)
	ended(1, programtest.Totals{Total: bad, Done: bad})
	v.awaitDemand(0)
	if code, body := v.get("/metrics"); code != http.StatusOK || !strings.Contains(string(body), `gistmill_limiter_rate{`) || strings.Contains(string(body), `gistmill_scrape_errors_total{part="redis"} 1`) {
		t.Errorf("/metrics answers %d: %s", code, body)
	}
	if code, body := v.get("/queues/api/queues"); code != http.StatusOK || !strings.Contains(string(body), s.queue) {
		t.Errorf("the queue's page answers %d: %s", code, body)
	}
	w.Stop()
	v.Stop()
}
