// Command gistmill summarizes large document collections with an LLM, on one machine or on a
// Kubernetes cluster.
//
// It owns the command line, the wiring of all packages (wire.go) and the output for people. It
// refuses to own decisions about documents.
package main

import (
	"context"
	"os"
	"runtime/debug"
)

const (
	// memoryLimit is the soft limit at which the garbage collector works harder. The memory of readers
	// is bounded, but they leave much garbage.
	memoryLimit = 400 << 20
	// gcPercent is the GOGC below memoryLimit. The heap in use is small, so the default of 100 would
	// collect many times a second.
	gcPercent = 200
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(context.Background(), notifySignals(os.Exit), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
