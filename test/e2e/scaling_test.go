//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// slow is the time of a call where workers must be observed at work: longer than the pods of a
// burst need to start one after another, so that the first of them does not do all the work.
func slow(c *fakellm.Config) { c.Latency = latency("4s") }

func latency(text string) fakellm.Latency {
	l, err := fakellm.ParseLatency(text)
	if err != nil {
		panic(err) // a constant of the tests
	}
	return l
}

// partitionsOf returns the number of tasks for a number of documents in a site.
func partitionsOf(documents int) int { return (documents + 4) / 5 }

// jobsFor returns the number of Jobs for a number of tasks.
func jobsFor(tasks, most int) int { return min((tasks+target-1)/target, most) }

// A CronJob fires, the run is planned, workers start in proportion, everything is summarized,
// and no worker remains. Then more work arrives than the maximum number of workers can hold.
// The test runs alone, since its times are measured.
func TestSchedule(t *testing.T) {
	const documents, more, most = 80, 200, 6
	s := newSite(t, slow)
	s.bucket.notes("in/", 0, documents)
	due, at := schedule("papers", s.bucket.url("in/"))
	s.install(values{"schedules": []values{due}, "workers": values{"maxReplicas": most}})
	queued := s.whenQueued()
	first := s.whenCalled(0)
	await(t, "the schedule's Job", time.Until(at)+patience, func() error {
		if len(s.record.enqueues()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	s.awaitComplete(s.record.enqueues)
	s.finish(documents, 0)
	want := jobsFor(partitionsOf(documents), most)
	s.exactly(want)
	waited := (<-first).Sub(<-queued)
	if bound := polling + 6*time.Second; waited > bound {
		t.Errorf("the first call came %s after the enqueue, want at most %s", waited, bound)
	}
	result("enqueue to first call from zero workers (polling interval "+polling.String()+")", fmt.Sprintf("%.1f s", waited.Seconds()), "at most 8 s")
	result(fmt.Sprintf("Jobs made for %d tasks, %d a worker", partitionsOf(documents), target), fmt.Sprint(len(s.record.workers())), fmt.Sprint(want))
	result("Jobs made: pods without a call", fmt.Sprint(len(s.idle())), "0")

	s.bucket.notes("in/", documents, documents+more)
	s.trigger("papers", "by-hand")
	s.finish(documents+more, 0)
	s.exactly(want + most)
	result(fmt.Sprintf("Jobs made for %d tasks with at most %d", partitionsOf(more), most), fmt.Sprint(len(s.record.workers())-want), fmt.Sprint(most))
	if n := len(s.record.enqueues()); n != 2 {
		t.Errorf("%d Jobs enqueued, want the schedule's and the one by hand", n)
	}
}

// whenQueued returns the time when the first task is in the queue.
func (s *site) whenQueued() <-chan time.Time {
	return s.when(func() bool {
		return s.redis.client.LLen(background(), "asynq:{documents}:pending").Val() > 0
	})
}

// whenCalled returns the time when there are more than n calls, ended or in flight.
func (s *site) whenCalled(than int64) <-chan time.Time {
	return s.when(func() bool {
		stats := s.fake.Stats()
		return stats.Calls+int64(stats.InFlight) > than
	})
}

// when polls every 10 ms until a condition holds, and returns the time when it was first seen.
// It ends with the test.
func (s *site) when(met func() bool) <-chan time.Time {
	seen := make(chan time.Time, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !met() {
			select {
			case <-tick.C:
			case <-s.t.Context().Done():
				close(seen)
				return
			}
		}
		seen <- time.Now()
	}()
	return seen
}

// A second burst arrives during the first, and is scaled for at once.
func TestSecondBurst(t *testing.T) {
	t.Parallel()
	const first, second = 40, 60
	s := newSite(t, func(c *fakellm.Config) { c.Latency = latency("6s") })
	s.bucket.notes("a/", 0, first)
	s.bucket.notes("b/", first, first+second)
	s.install(nil)
	s.enqueue(s.bucket.url("a/"), "--partition-documents", "5")
	before := jobsFor(partitionsOf(first), 6)
	s.awaitCalls(before * 4)
	begun := time.Now()
	s.enqueue(s.bucket.url("b/"), "--partition-documents", "5")
	all := jobsFor(partitionsOf(first)+partitionsOf(second), 6)
	s.awaitWorkers(all, polling+5*time.Second)
	result("second burst during the first: from the start of its enqueue until all its Jobs are made", fmt.Sprintf("%.1f s", time.Since(begun).Seconds()), "at most 7 s")
	s.finish(first+second, 0)
	s.exactly(all)
}

// A limit of 60 requests a minute at 2 s a call needs two calls in flight, not one Job for
// every four tasks.
func TestLimitCapsDemand(t *testing.T) {
	t.Parallel()
	const documents, tasks = 50, 25
	for _, tc := range []struct {
		name string
		rpm  int
		jobs int
	}{{"unlimited", 0, jobsFor(tasks, 10)}, {"60 a minute", 60, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *fakellm.Config) {
				c.Latency, c.RPM = latency("2s"), float64(tc.rpm)
				if tc.rpm == 0 {
					c.Latency = latency("12s")
				}
			})
			s.bucket.notes("in/", 0, documents)
			s.install(values{"settings": values{"rpm": tc.rpm, "concurrency": 16}, "workers": values{"maxReplicas": 10}})
			s.enqueue(s.bucket.url("in/"), "--partition-documents", "2")
			s.finish(documents, 0)
			s.exactly(tc.jobs)
			result(fmt.Sprintf("Jobs made for %d tasks, limit: %s", tasks, tc.name), fmt.Sprint(len(s.record.workers())), fmt.Sprint(tc.jobs))
		})
	}
}

// A user starts the schedule's Job while the scheduled one plans: one works, the other exits
// with 4 and is not retried.
func TestEnqueueBesideTheSchedule(t *testing.T) {
	t.Parallel()
	const documents = 20
	s := newSite(t, nil)
	s.bucket.notes("in/", 0, documents)
	reached, release := s.bucket.holdPlan()
	s.install(values{"schedules": []values{{"name": "papers", "source": s.bucket.url("in/"), "schedule": "* * * * *"}}})
	await(t, "the schedule's plan", patience, func() error {
		select {
		case <-reached:
			return nil
		default:
			return errors.New("it has not begun")
		}
	})
	s.suspend("papers") // it has fired, and must not fire again
	s.trigger("papers", "by-hand")
	await(t, "the end of the second", patience, func() error {
		for _, job := range s.record.enqueues() {
			if job.Name == "by-hand" && job.ended() != "" {
				return nil
			}
		}
		return errors.New("it runs")
	})
	release()
	s.finish(documents, 0)
	await(t, "the end of the first", patience, func() error {
		for _, job := range s.record.enqueues() {
			if job.ended() == "" {
				return fmt.Errorf("%s runs", job.Name)
			}
		}
		return nil
	})
	jobs := s.record.enqueues()
	if len(jobs) != 2 {
		t.Errorf("%d Jobs enqueued, want 2", len(jobs))
	}
	for _, job := range jobs {
		pods := s.record.podsOf(job)
		want, code := batchv1.JobComplete, int32(0)
		if job.Name == "by-hand" {
			want, code = batchv1.JobFailed, 4
		}
		if got := job.ended(); got != want || len(pods) != 1 {
			t.Errorf("Job %s is %s after %d pods, want %s after one", job.Name, got, len(pods), want)
		}
		for _, pod := range pods {
			if got, _ := pod.exitCode(); got != code {
				t.Errorf("pod %s ended with %d, want %d", pod.Name, got, code)
			}
		}
	}
}
