package extract

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// noLimit is more than any machine has. Version 1 of cgroups reports such a number for no
// limit.
const noLimit = 1 << 60

// memoryLimit is the common memory limit of this process and the other processes in its
// container, in bytes: the smallest limit of its memory cgroups, of version 1 or 2
// (cgroups(7)). 0 means that there is none, or that it cannot be read. root is the root of the
// file system.
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
		// In a container the path may be that of the host, while only its root is mounted.
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
