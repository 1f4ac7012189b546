package main

import "testing"

func TestWrongFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-out", "x", "-push", "y"}, {"-out", "x", "-platforms", "linux"}, {"-out", "x", "-certificates", "/none"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
