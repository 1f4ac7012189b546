package extract

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// onlyByParent makes the parent the only one who ends the child: the kernel kills the child when
// its parent dies. A Ctrl-C does not reach it: a terminal signals its foreground process group.
func onlyByParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// limitAddressSpace lets the process map more bytes than it has mapped now. The limit is
// relative because the Go runtime reserves over a gigabyte at its start without using it.
func limitAddressSpace(more int64) error {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("read the size of the address space: %w", err)
	}
	first, _, _ := bytes.Cut(b, []byte{' '})
	pages, err := strconv.ParseUint(string(first), 10, 64)
	if err != nil {
		return fmt.Errorf("read the size of the address space: %w", err)
	}
	limit := pages*uint64(os.Getpagesize()) + uint64(more)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &old); err != nil {
		return fmt.Errorf("get RLIMIT_AS: %w", err)
	}
	if old.Cur <= limit {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		return fmt.Errorf("set RLIMIT_AS: %w", err)
	}
	return nil
}

// dieFirst makes the kernel choose this process when memory is short, and not its parent. If
// the kernel does not permit that, it chooses by size.
func dieFirst() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600) }
