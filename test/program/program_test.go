package program_test

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

func start(t *testing.T, script string) *program.Process {
	t.Helper()
	p, err := program.Start(exec.CommandContext(t.Context(), "/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

func TestResult(t *testing.T) {
	t.Parallel()
	r, err := start(t, `echo out; echo err >&2; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3`).Wait(t.Context())
	if err != nil || r.Code != 3 || r.Stdout != "out\n" || r.Stderr != "err\n" || r.Took <= 0 || r.Processor <= 0 || r.Peak <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	p := start(t, `exec sleep 1000`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited: %v", err)
	}
	if _, err := p.Processor(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if r := p.Kill(); r.Code != -1 {
			t.Errorf("%+v", r)
		}
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if _, err := program.Start(exec.CommandContext(t.Context(), "/no/such/program")); err == nil {
		t.Error("started")
	}
}
