// Command gistmill summarizes large document collections with an LLM, on one machine or on a cluster.
//
// This package owns the command line, the wiring of all parts (wire.go) and what people see. It refuses to own any
// decision about a document.
package main

import (
	"context"
	"os"
	"runtime/debug"
)

const (
	// memoryAim is when the garbage collector begins to work harder: readers are bounded, but they leave much behind.
	memoryAim = 400 << 20
	// garbageShare is how much garbage may gather until then, in percent of what is in use: that is little, and would be
	// collected many times a second.
	garbageShare = 200
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbageShare)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
