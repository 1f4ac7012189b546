//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// recovery bounds the time until the work of a dead worker is finished, also from zero workers.
const recovery = 90 * time.Second

// inFlight is the number of calls that a dead worker may have had in flight, which are paid for
// again.
const inFlight = 4

// A document waits for its next attempt and all workers have exited. When it is due, a worker
// starts without a new enqueue.
func TestDueRetryFromZeroWorkers(t *testing.T) {
	t.Parallel()
	const documents = 8
	s := newSite(t, func(c *fakellm.Config) { c.FailMarker = "lock-keeper, page 3" })
	s.bucket.notes("in/", 0, documents)
	s.install(values{"settings": values{"retryBase": "1m", "retryCap": "1m"}})
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	await(t, "a retry that waits without a worker", patience, func() error {
		waiting := s.redis.client.ZCard(background(), "asynq:{documents}:retry").Val() + s.redis.client.ZCard(background(), "asynq:{documents}:scheduled").Val()
		if waiting == 0 || s.done() < documents-1 {
			return fmt.Errorf("%d tasks wait, %d documents are done", waiting, s.done())
		}
		for _, job := range s.record.workers() {
			if job.ended() == "" {
				return fmt.Errorf("%s works", job.Name)
			}
		}
		return nil
	})
	before := len(s.record.workers())
	if err := s.fake.Set(func(c *fakellm.Config) { c.FailMarker = "nothing" }); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	await(t, "the retry", recovery, func() error {
		if n := s.done(); n < documents {
			return fmt.Errorf("%d documents are done", n)
		}
		return nil
	})
	result("due retry with zero workers: until it is done (the wait itself is up to 60 s)", fmt.Sprintf("%.0f s", time.Since(begun).Seconds()), "at most 90 s")
	if len(s.record.workers()) == before {
		t.Error("no new worker was made: the retry did not wait for one")
	}
	s.finish(documents, 0)
	s.awaitComplete(s.record.workers)
}

// SIGKILL ends the only worker, as an OOM kill does. Its work is finished in time.
func TestOnlyWorkerKilled(t *testing.T) {
	t.Parallel()
	const documents = 20
	s := newSite(t, slow)
	s.bucket.notes("in/", 0, documents)
	s.install(nil)
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	s.awaitCalls(inFlight)
	_, pod := s.worker()
	begun := time.Now()
	kill(t, pod)
	s.finish(documents, inFlight)
	took := time.Since(begun)
	if took > recovery {
		t.Errorf("all was done %s after the only worker was killed, want at most %s", took, recovery)
	}
	result("only worker killed by SIGKILL: until all is done", fmt.Sprintf("%.0f s", took.Seconds()), "at most 90 s")
	s.awaitComplete(s.record.workers)
}

// kill kills all processes of a pod's container. They are visible here, since the pods' process
// namespaces are inside ours.
func kill(t *testing.T, pod podRecord) {
	t.Helper()
	killed := 0
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range groups {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), "pod"+string(pod.UID)) {
			continue // it has ended, or belongs to another pod
		}
		command, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		if err != nil || !strings.HasPrefix(string(command), "/gistmill") {
			continue // the pause container
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed++
	}
	if killed == 0 {
		t.Fatalf("no process of pod %s was found", pod.Name)
	}
}

// A worker's pod is deleted, then a worker's Job: other workers take over their documents.
func TestPodAndJobDeleted(t *testing.T) {
	t.Parallel()
	const documents = 40
	s := newSite(t, slow)
	s.bucket.notes("in/", 0, documents)
	s.install(nil)
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	s.awaitWorkers(2, patience)
	s.awaitCalls(2 * inFlight)
	_, pod := s.worker()
	if err := shared.client.CoreV1().Pods(s.namespace).Delete(background(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the pod", patience, func() error {
		for _, job := range s.record.workers() {
			for _, p := range s.record.podsOf(job) {
				if p.Name == pod.Name && p.Deleted {
					return nil
				}
			}
		}
		return errors.New("it is there")
	})
	job, _ := s.worker()
	background, now := metav1.DeletePropagationBackground, int64(0)
	err := shared.client.BatchV1().Jobs(s.namespace).Delete(t.Context(), job.Name, metav1.DeleteOptions{PropagationPolicy: &background, GracePeriodSeconds: &now})
	if err != nil {
		t.Fatal(err)
	}
	s.finish(documents, inFlight)
	s.awaitComplete(s.record.workers)
}

// An upgrade of the release in the middle of a run changes the ScaledJob and deletes no running
// Job.
func TestUpgradeInMidRun(t *testing.T) {
	t.Parallel()
	const documents = 40
	s := newSite(t, func(c *fakellm.Config) { c.Latency = latency("6s") })
	s.bucket.notes("in/", 0, documents)
	s.install(nil)
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	s.awaitWorkers(2, patience)
	s.awaitCalls(inFlight)
	before := s.record.workers()
	s.upgrade(values{"workers": values{"pollingInterval": 3, "exitWhenIdle": "5s"}, "podAnnotations": values{"upgraded": "yes"}})
	s.finish(documents, 0)
	s.awaitComplete(s.record.workers)
	after := s.record.workers()
	for i, job := range before {
		if after[i].UID != job.UID || after[i].Deleted {
			t.Errorf("Job %s did not outlive the upgrade", job.Name)
		}
		if n := len(s.record.podsOf(job)); n != 1 {
			t.Errorf("Job %s had %d pods, want one", job.Name, n)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d Jobs were made, %d of them before the upgrade", len(after), len(before))
	}
}

// Redis restarts in the middle of a run, then it loses everything: nothing is lost.
func TestRedisRestartedAndFlushed(t *testing.T) {
	t.Parallel()
	const documents = 60
	s := newSite(t, slow)
	s.bucket.notes("in/", 0, documents)
	s.install(nil)
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	s.awaitCalls(inFlight)
	s.redis.stop()
	s.redis.start()
	await(t, "work after the restart", patience, func() error {
		if n := s.done(); n < documents/3 {
			return fmt.Errorf("%d documents are done", n)
		}
		return nil
	})
	if err := s.redis.client.FlushAll(background()).Err(); err != nil {
		t.Fatal(err)
	}
	s.finish(documents, 0)
	s.awaitComplete(s.record.workers)
}

// One of two servers is down without effect. When both are down, running workers finish and no
// new ones start; with the fallback trigger new ones do.
func TestServersGone(t *testing.T) {
	t.Parallel()
	const burst = 20
	s := newSite(t, slow)
	for i, name := range []string{"a/", "b/", "c/"} {
		s.bucket.notes(name, i*burst, (i+1)*burst)
	}
	s.install(values{"server": values{"replicas": 2}})
	s.scale(1)
	s.enqueue(s.bucket.url("a/"), "--partition-documents", "5")
	s.awaitWorkers(1, polling+5*time.Second)
	s.awaitCalls(inFlight)
	s.scale(0)
	s.finish(burst, 0)
	s.exactly(1)

	s.enqueue(s.bucket.url("b/"), "--partition-documents", "5")
	s.exactly(1)
	s.upgrade(values{"server": values{"replicas": 2}, "workers": values{"fallbackTrigger": true}})
	s.finish(2*burst, 0)
	s.exactly(2)

	s.scale(0)
	s.enqueue(s.bucket.url("c/"), "--partition-documents", "5")
	s.awaitWorkers(3, polling+5*time.Second)
	s.finish(3*burst, 0)
	s.exactly(3)
}
