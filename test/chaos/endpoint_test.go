package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A call counts for its own caller only. A call that ends before a watch begins, or begins
// after it ends, does not count.
func TestEndpointWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := newEndpoint("10s")
		if err != nil {
			t.Fatal(err)
		}
		call := func(key string) {
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+key)
			e.ServeHTTP(httptest.NewRecorder(), r)
		}
		watched := func(begin time.Duration, length time.Duration) int {
			time.Sleep(begin)
			stop := e.watch("slot-1")
			time.Sleep(length)
			return stop()
		}
		e.begin("slot-1")
		first := e.begin("slot-1")
		e.begin("slot-2")
		if n := watched(0, time.Second); n != 2 {
			t.Errorf("%d in flight, want 2", n)
		}
		e.end(first...)
		stop := e.watch("slot-1")
		call("slot-1") // refused at once, but in flight during the watch
		if n := stop(); n != 2 {
			t.Errorf("%d in flight, want 2", n)
		}
		if n := watched(time.Second, 0); n != 1 {
			t.Errorf("%d in flight, want 1", n)
		}
		if n := e.watch("slot")(); n != 2 {
			t.Errorf("%d of the slot in flight, want 2", n)
		}
		if e.peak("slot-1") != 2 || e.peak("slot-2") != 1 {
			t.Errorf("peaks %d and %d", e.peak("slot-1"), e.peak("slot-2"))
		}
	})
}
