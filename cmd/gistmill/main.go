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

// memoryAim is when the garbage collector begins to work harder: readers are bounded, but they leave much behind.
const memoryAim = 400 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
