package extract

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

func TestWatchAbandonsAStuckReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := New(Limits{Time: time.Minute})
		goOn := make(chan struct{})
		began := time.Now()
		_, err := watch(t.Context(), x, "the reader", func(context.Context) (string, error) {
			<-goOn // it ignores its context
			return "late", nil
		})
		stuck := (*StuckError)(nil)
		if !errors.As(err, &stuck) || time.Since(began) != time.Minute+stopGrace || x.Stuck() != 1 {
			t.Errorf("after %s: %v, %d stuck", time.Since(began), err, x.Stuck())
		}
		// It ends late, and is no longer stuck.
		close(goOn)
		synctest.Wait()
		if x.Stuck() != 0 {
			t.Errorf("%d readers are still counted as stuck", x.Stuck())
		}
	})
}

func TestWatchWaitsForStopGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := New(Limits{Time: time.Minute})
		text, err := watch(t.Context(), x, "the reader", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(stopGrace - time.Millisecond)
			return "so far", ctx.Err()
		})
		if text != "so far" || !errors.Is(err, context.DeadlineExceeded) || x.Stuck() != 0 {
			t.Errorf("%q %v, %d stuck", text, err, x.Stuck())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		_, err = watch(ctx, x, "the reader", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("returned after %s: %v", time.Since(began), err)
		}
	})
}

func TestWatchTurnsAPanicIntoAnInputError(t *testing.T) {
	t.Parallel()
	x := New(Limits{})
	_, err := watch(t.Context(), x, "the reader of text/x", func(context.Context) (string, error) {
		few := make([]string, 1)
		return few[len(t.Name())], nil
	})
	bad := (*source.InputError)(nil)
	if !errors.As(err, &bad) || !strings.HasPrefix(bad.Reason, "the reader of text/x failed: panic in ") || !strings.Contains(bad.Reason, "TestWatchTurnsAPanic") {
		t.Errorf("%v", err)
	}
}

func TestReleasedProgramHasNoHostileReaders(t *testing.T) {
	t.Parallel()
	x := newExtractor(t, Limits{})
	for _, way := range []string{"panic", "hang", "memory", "stack"} {
		text := "hostile: " + way + "\nand more"
		if doc, err := extract(t, x, "a.txt", []byte(text)); err != nil || doc.Text != text {
			t.Errorf("%s: %v %v", way, doc, err)
		}
	}
}
