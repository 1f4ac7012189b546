package extract

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// noLimit is more than any machine has: version 1 of cgroups writes such a number where there is no limit.
const noLimit = 1 << 60

// memoryLimit is how much memory this process and those beside it in its container may have together, in bytes: the least limit of
// the memory cgroups that it is in, of version 1 or 2 (cgroups(7)). 0 means no limit, or none that can be read. root is the
// root of the file system.
func memoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(noLimit)
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // id:controllers:path
		if len(parts) < 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// Within a container the path may be the host's, of which only the root is mounted.
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if b, err := fs.ReadFile(root, path.Join(base, at, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
					least = min(least, n)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	if least == noLimit {
		return 0
	}
	return least
}
