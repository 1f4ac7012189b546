package programtest_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

func start(t *testing.T, script string) *programtest.Process {
	t.Helper()
	return programtest.Start(t, time.Minute, exec.CommandContext(t.Context(), "/bin/sh", "-c", script), []string{"script"})
}

func TestProcess(t *testing.T) {
	t.Parallel()
	p := start(t, `trap 'echo "{\"total\": 3}"; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done`)
	p.Until("it is ready", func() bool { return p.Stderr.String() == "ready\n" })
	p.Running()
	var got programtest.Totals
	r := p.Stop().Says("ready", "read")
	r.Decode(&got)
	if got.Total != 3 || !p.HasEnded() || r.Took <= 0 || r.PeakWithChildren <= 0 {
		t.Errorf("%+v, %+v", got, r)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	p := start(t, `exec sleep 1000`)
	if p.Processor() < 0 {
		t.Error("negative processor time")
	}
	p.Kill()
	p.Wait().WantCode(-1)
	q := start(t, `exit 3`)
	programtest.Await(t, "the end", time.Minute, q.HasEnded, nil)
	q.Wait().WantCode(3)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	reason := "paused"
	s := programtest.Status{State: "stopped", Reason: &reason, Documents: programtest.Totals{Total: 3, Done: 1, Remaining: 2}, Balanced: true}
	s.Check(t)
	if s.Phase() != "stopped:paused" {
		t.Error(s.Phase())
	}
}
