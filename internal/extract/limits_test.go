package extract

import (
	"testing"
	"testing/fstest"
)

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
