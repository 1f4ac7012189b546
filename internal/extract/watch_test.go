package extract

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

func TestAReaderThatDoesNotStopIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := New(Limits{Time: time.Minute})
		goOn := make(chan struct{})
		began := time.Now()
		_, err := watch(t.Context(), x, "the reader", func(context.Context) (string, error) {
			<-goOn // whatever its context says
			return "late", nil
		})
		stuck := (*StuckError)(nil)
		if !errors.As(err, &stuck) || time.Since(began) != time.Minute+stopGrace || x.Stuck() != 1 {
			t.Errorf("after %s: %v, %d stuck", time.Since(began), err, x.Stuck())
		}
		// It ends after all, and is not stuck any more.
		close(goOn)
		synctest.Wait()
		if x.Stuck() != 0 {
			t.Errorf("%d readers are stuck for ever", x.Stuck())
		}
	})
}

func TestAReaderThatStopsInTimeIsHeard(t *testing.T) {
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
			t.Errorf("given up after %s: %v", time.Since(began), err)
		}
	})
}

func TestAPanicOfAReaderIsTheDocuments(t *testing.T) {
	t.Parallel()
	x := New(Limits{})
	_, err := watch(t.Context(), x, "the reader of text/x", func(context.Context) (string, error) {
		few := make([]string, 1)
		return few[len(t.Name())], nil
	})
	bad := (*source.InputError)(nil)
	if !errors.As(err, &bad) || !strings.HasPrefix(bad.Reason, "the reader of text/x failed: panic in ") || !strings.Contains(bad.Reason, "TestAPanicOfAReader") {
		t.Errorf("%v", err)
	}
}

func TestTheShippedProgramKnowsNoHostileDocuments(t *testing.T) {
	t.Parallel()
	x := newExtractor(t, Limits{})
	for _, way := range []string{"panic", "hang", "memory", "stack"} {
		text := "hostile: " + way + "\nand more"
		if doc, err := extract(t, x, "a.txt", []byte(text)); err != nil || doc.Text != text {
			t.Errorf("%s: %v %v", way, doc, err)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups":               {nil, 0},
		"version 2, its own":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		"version 2, none":          {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 0},
		"version 2, an ancestor's": {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "4096\n"}, 4096},
		"version 1":                {map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/a\n0::/\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912\n"}, 512 << 20},
		"version 1, none":          {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"version 1, host's path":   {map[string]string{"proc/self/cgroup": "4:hugetlb,memory:/kubepods/pod1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n"}, 1000},
		"nonsense":                 {map[string]string{"proc/self/cgroup": "0:\n\n::\n0::/../../x\n", "sys/fs/cgroup/memory.max": "many\n"}, 0},
	} {
		root := fstest.MapFS{}
		for file, text := range tc.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestChildrenStayWithinTheLimit(t *testing.T) {
	t.Parallel()
	const each = 768 << 20
	for _, tc := range []struct {
		limit      int64
		processors int
		children   int
		memory     int64
	}{
		{0, 4, 4, each}, {256 << 20, 4, 1, 160 << 20}, {1 << 30, 4, 1, 640 << 20}, {2 << 30, 4, 1, each}, {4 << 30, 4, 3, each}, {64 << 30, 4, 4, each},
	} {
		if n := children(each, tc.limit, tc.processors); n != tc.children {
			t.Errorf("within %d: %d children, want %d", tc.limit, n, tc.children)
		}
		if m := childMemory(each, tc.limit); m != tc.memory {
			t.Errorf("within %d: %d bytes for a child, want %d", tc.limit, m, tc.memory)
		}
	}
}
