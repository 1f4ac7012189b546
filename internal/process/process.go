// Package process identifies a process on its machine for all time, so that another process there
// can prove that it has ended.
//
// It refuses to own what follows from that.
package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Self returns the identity of this process: host, boot, PID namespace, process id and start time.
// It is empty on a system without /proc.
func Self() string {
	place, err := place()
	if err != nil {
		return ""
	}
	started, err := startTime(os.Getpid())
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s/%d/%s", place, os.Getpid(), started)
}

// Ended reports whether the process of an identity has certainly ended: it ran on this host, in
// this boot and PID namespace, and no process with its id and start time is there. Of any other
// process it reports false.
func Ended(identity string) bool {
	here, err := place()
	if err != nil || !strings.HasPrefix(identity, here+"/") {
		return false
	}
	id, started, ok := strings.Cut(strings.TrimPrefix(identity, here+"/"), "/")
	pid, err := strconv.Atoi(id)
	if !ok || started == "" || err != nil {
		return false
	}
	now, err := startTime(pid)
	if os.IsNotExist(err) {
		return true
	}
	return err == nil && now != started
}

// place identifies where process ids are unique: see namespaces(7) and proc(5). It is read once.
//
//nolint:gochecknoglobals // constant for the life of this process
var place = sync.OnceValues(func() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	return host + "/" + strings.TrimSpace(string(boot)) + "/" + namespace, nil
})

// startTime returns when a process started, in clock ticks after the boot. A zombie has ended: it
// reports [os.ErrNotExist].
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name of the program is in parentheses and may contain spaces. State is the field after it,
	// and the start time the 20th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", os.ErrNotExist
	}
	return fields[19], nil
}
