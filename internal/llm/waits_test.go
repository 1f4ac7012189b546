package llm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The end of the waits ends a call that waits for an endpoint, and not the one in flight.
func TestWaitsEndAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := flakyClient(t, "refused", Config{})
		for _, document := range []string{"1", "2", "3", "4", "5"} {
			time.Sleep(time.Second)
			ask(t.Context(), c, document)
		}
		waiting, stop := context.WithCancel(t.Context())
		var reported []Wait
		r := testRequest("probe")
		r.Waits = Waits{Context: waiting, Report: func(w *Wait) {
			if w == nil {
				w = &Wait{}
			}
			reported = append(reported, *w)
		}}
		f.calls.Store(0)
		f.set("hung")
		probe := make(chan error, 1)
		go func() {
			_, err := c.Complete(t.Context(), r)
			probe <- err
		}()
		synctest.Wait()
		time.Sleep(2 * time.Second) // the probe is in flight
		ended := make(chan error, 1)
		go func() {
			r := testRequest("waits")
			r.Waits.Context = waiting
			_, err := c.Complete(t.Context(), r)
			ended <- err
		}()
		synctest.Wait()
		stop()
		err := <-ended
		var waited *WaitError
		if !errors.As(err, &waited) || Sent(err) || !errors.Is(err, context.Canceled) || ClassOf(err) != ClassGivenUp {
			t.Errorf("got %v", err)
		}
		f.set("well")
		if err := <-probe; err == nil || !Sent(err) { // the flaky endpoint lets it time out
			t.Errorf("got %v", err)
		}
		if n := f.calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
		first, last := reported[0], reported[len(reported)-1]
		if first.Kind != WaitEndpoint || first.Since.IsZero() || first.Until.IsZero() || first.Cause == "" || last != (Wait{}) {
			t.Errorf("reported %+v", reported)
		}
	})
}
