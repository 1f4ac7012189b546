package extract

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain makes the test binary its own child process. The first argument chooses what the
// child does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "child-serve":
			if err := Serve(testContext(), os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case "child-hog":
			var kept [][]byte
			if err := limitAddressSpace(64 << 20); err != nil {
				os.Exit(3)
			}
			for {
				b := make([]byte, 16<<20)
				for i := range b {
					b[i] = 1
				}
				kept = append(kept, b)
				_ = kept
			}
		case "child-hang":
			select {}
		case "child-group":
			fmt.Fprintf(os.Stdout, "{\"title\":\"%t\"}\n", unix.Getpgrp() == os.Getpid())
			return
		case "child-silent":
			return
		case "child-signal":
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}
	goleak.VerifyTestMain(m)
}
