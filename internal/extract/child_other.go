//go:build !linux

package extract

import "os/exec"

// dieWithParent has no counterpart here: the child ends when its input or output breaks.
func dieWithParent(*exec.Cmd) {}

// limitAddressSpace does nothing: debug.SetMemoryLimit and the time limit remain.
func limitAddressSpace(int64) error { return nil }

// dieFirst has no counterpart here.
func dieFirst() {}
