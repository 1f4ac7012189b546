//go:build !linux

package extract

import "os/exec"

// onlyByParent does nothing here. The child ends when its input or output breaks.
func onlyByParent(*exec.Cmd) {}

// limitAddressSpace does nothing here. debug.SetMemoryLimit and the time limit remain.
func limitAddressSpace(int64) error { return nil }

// dieFirst does nothing here.
func dieFirst() {}
