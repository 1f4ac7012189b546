package keda_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/keda"
	"github.com/gistmill/gistmill/tasks"
)

// queue returns fixed counts or an error, or hangs.
type queue struct {
	counts tasks.Counts
	err    error
	asked  atomic.Int64
	hangs  bool
}

func (*queue) Name() string { return "documents" }

func (q *queue) Count(ctx context.Context) (tasks.Counts, error) {
	q.asked.Add(1)
	if q.hangs {
		<-ctx.Done()
		return tasks.Counts{}, ctx.Err()
	}
	return q.counts, q.err
}

// capacity is a fixed number of calls; a negative one is unlimited.
type capacity float64

func (c capacity) Calls(context.Context) (float64, string, bool) { return float64(c), "a test", c >= 0 }

func (capacity) Down(context.Context) (bool, bool, string) { return false, false, "" }

func newMeter(t *testing.T, q *queue, c keda.Capacity) *keda.Meter {
	t.Helper()
	m, err := keda.NewMeter(keda.Config{Queue: q, Capacity: c, Concurrency: 16, Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDemandIsCappedByCapacity(t *testing.T) {
	t.Parallel()
	hundred := tasks.Counts{Pending: 90, Active: 6, Due: 4}
	cases := []struct {
		name   string
		counts tasks.Counts
		calls  capacity
		want   int64
	}{
		{"no limit", hundred, -1, 100},
		{"two calls in flight need one worker", hundred, 2, 4},
		{"as many calls as one worker makes", hundred, 16, 4},
		{"one more", hundred, 16.1, 8},
		{"a limit above the demand", hundred, 1e6, 100},
		{"a limit beyond all numbers", hundred, 1e300, 100},
		{"no capacity: one worker has to find out when it returns", hundred, 0, 4},
		{"less work than a worker holds", tasks.Counts{Pending: 1}, 0, 1},
		{"no work", tasks.Counts{Retry: 7, Scheduled: 3, Archived: 2}, -1, 0},
		{"a paused queue keeps its active tasks", tasks.Counts{Pending: 9, Active: 2, Due: 3, Paused: true}, -1, 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, err := newMeter(t, &queue{counts: tc.counts}, tc.calls).Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.Demand != tc.want || d.Uncapped != tc.counts.Demand() {
				t.Errorf("got %+v, want a demand of %d", d, tc.want)
			}
			if (d.Limit != nil) != (tc.calls >= 0 && tc.counts.Demand() > 0) {
				t.Errorf("the limit is %v", d.Limit)
			}
		})
	}
}

func TestEndpointNamesTheLimit(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	newMeter(t, &queue{counts: tasks.Counts{Pending: 40, Active: 2, Due: 1}}, capacity(2)).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/demand", nil))
	var got map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", answer.Code, answer.Body, err)
	}
	for key, want := range map[string]any{
		"demand": 4.0, "uncapped": 43.0, "active": 2.0, "pending": 40.0, "due": 1.0, "paused": false, "queue": "documents", "limit": 4.0, "limited_by": "a test",
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// An unknown demand is an error: a 0 would tell KEDA that no worker is needed.
func TestUnknownDemandIsNotZero(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	newMeter(t, &queue{err: errors.New("connection refused")}, nil).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/demand", nil))
	if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), `"demand"`) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestDemandIsReadOnly(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	newMeter(t, &queue{}, nil).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/demand", nil))
	if answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST was answered with %d", answer.Code)
	}
}

func TestDemandIsASecondOldAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		m := newMeter(t, q, nil)
		read := func() {
			t.Helper()
			if _, err := m.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		read()
		time.Sleep(900 * time.Millisecond)
		read()
		if n := q.asked.Load(); n != 1 {
			t.Errorf("Redis was asked %d times within a second", n)
		}
		time.Sleep(200 * time.Millisecond)
		read()
		if n := q.asked.Load(); n != 2 {
			t.Errorf("Redis was asked %d times in 1.1 s", n)
		}
	})
}

// KEDA's own timeout is 3 s; an answer must come before it.
func TestHangingRedisIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := newMeter(t, &queue{hangs: true}, nil).Read(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}
