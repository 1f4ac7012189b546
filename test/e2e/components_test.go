//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gistmill/gistmill/test/e2e/cluster"
)

// The tests in this file stop shared components, so they run alone.

// stopped stops a component until start is called, or the test ends.
func stopped(t *testing.T, c *cluster.Component) (start func()) {
	t.Helper()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	runs := false
	start = func() {
		if runs {
			return
		}
		runs = true
		if err := c.Start(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(start)
	return start
}

// KEDA's operator is down while a run is in progress and more work arrives. Running workers
// continue, and KEDA scales when it is back.
func TestOperatorRestarted(t *testing.T) {
	const first, second = 20, 40
	s := newSite(t, slow)
	s.bucket.notes("a/", 0, first)
	s.bucket.notes("b/", first, first+second)
	s.install(nil)
	s.enqueue(s.bucket.url("a/"), "--partition-documents", "5")
	s.awaitCalls(inFlight)
	start := stopped(t, shared.cluster.KEDA)
	s.enqueue(s.bucket.url("b/"), "--partition-documents", "5")
	start()
	if err := shared.cluster.AwaitKEDA(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := jobsFor(partitionsOf(first)+partitionsOf(second), 6)
	s.awaitWorkers(all, patience)
	s.finish(first+second, 0)
	s.exactly(all)
}

// The controller-manager is down for several periods of a schedule. The series of the alert on
// missing runs shows it, although there is no event. Afterwards one run catches up.
func TestMissedSchedules(t *testing.T) {
	const periods, tooOld = 2, 90 * time.Second // suitable for a schedule of every minute
	s := newSite(t, nil)
	s.bucket.notes("in/", 0, 10)
	s.install(values{"schedules": []values{{"name": "papers", "source": s.bucket.url("in/"), "schedule": "* * * * *"}}})
	await(t, "the first run", patience, func() error {
		if len(s.record.enqueues()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	s.awaitComplete(s.record.enqueues)
	s.finish(10, 0)
	s.awaitComplete(s.record.workers)
	start := stopped(t, shared.cluster.Controllers)
	before := s.record.enqueues()
	// The second half of a minute, so that no run is due between the catch-up and the check.
	missed := time.NewTimer(time.Until(time.Now().Truncate(time.Minute).Add(periods*time.Minute + 5*time.Second)))
	<-missed.C
	if age := s.sinceEnqueue(); age <= tooOld {
		t.Errorf("the alert's figure says that the last enqueue was %s ago, want more than %s", age, tooOld)
	}
	s.bucket.notes("in/", 10, 20)
	start()
	await(t, "the catch-up", patience, func() error {
		if n := len(s.record.enqueues()); n == len(before) {
			return errors.New("there is none")
		}
		return nil
	})
	s.suspend("papers")
	s.awaitComplete(s.record.enqueues)
	s.finish(20, 0)
	s.awaitComplete(s.record.workers)
	if n := len(s.record.enqueues()) - len(before); n != 1 {
		t.Errorf("%d Jobs caught %d missed periods up, want one", n, periods)
	}
	cron, err := shared.client.BatchV1().CronJobs(s.namespace).Get(background(), release+"-enqueue-papers", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result(fmt.Sprintf("Jobs that caught %d missed schedules up", periods), fmt.Sprint(len(s.record.enqueues())-len(before)), "1")
	if age := s.sinceEnqueue(); age > tooOld {
		t.Errorf("after the catch-up the alert's figure says that the last enqueue was %s ago", age)
	}
	if cron.Status.LastSuccessfulTime == nil || cron.Status.LastSuccessfulTime.Time.Before(before[len(before)-1].CreationTimestamp.Time) {
		t.Errorf("the CronJob's last success is %v", cron.Status.LastSuccessfulTime)
	}
}

// sinceEnqueue returns the expression of the alert on missing runs: the time since the last
// successful enqueue, by the server's metrics.
func (s *site) sinceEnqueue() time.Duration {
	s.t.Helper()
	const name = "gistmill_last_enqueue_timestamp_seconds"
	code, text, err := ask(http.MethodGet, s.serverURL("/metrics"), "")
	if err != nil || code != http.StatusOK {
		s.t.Fatalf("the metrics are answered %d (%v): %s", code, err, text)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name+"{") {
			continue
		}
		fields := strings.Fields(line)
		at, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		return time.Since(time.Unix(int64(at), 0))
	}
	s.t.Fatalf("the metrics have no %s:\n%s", name, text)
	return 0
}
