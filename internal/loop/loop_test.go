package loop_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/internal/loop"
)

func TestEveryRunsAtOnceAndAtEachInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		begun, calls := time.Now(), 0
		loop.Every(ctx, 10*time.Second, func(context.Context) { calls++ })
		if calls != 4 || time.Since(begun) != 35*time.Second {
			t.Errorf("%d calls in %s, want 4 in 35 s", calls, time.Since(begun))
		}
	})
}

func TestReportLogsTheFirstFailureAndTheRecovery(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	errs := []error{nil, errors.New("away"), errors.New("away"), nil, nil}
	step := loop.Report(slog.New(slog.NewTextHandler(&out, nil)), "poll", func(context.Context) (err error) {
		err, errs = errs[0], errs[1:]
		return err
	})
	for len(errs) > 0 {
		step(t.Context())
	}
	if failed, back := strings.Count(out.String(), "failed"), strings.Count(out.String(), "works again"); failed != 1 || back != 1 {
		t.Errorf("%d failures and %d recoveries logged, want one each:\n%s", failed, back, &out)
	}
}

func TestSleepEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := loop.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := loop.Sleep(t.Context(), time.Hour); err != nil {
			t.Errorf("got %v", err)
		}
	})
}
