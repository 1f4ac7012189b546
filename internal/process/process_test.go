package process

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestEnded(t *testing.T) {
	t.Parallel()
	self := Self()
	if self == "" {
		t.Skip("no /proc")
	}
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	place, err := place()
	if err != nil {
		t.Fatal(err)
	}
	started, err := startTime(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Join([]string{place, strconv.Itoa(child.Process.Pid), started}, "/")
	for identity, want := range map[string]bool{
		self: false, id: false, "": false, "nonsense": false,
		// The id is used again.
		strings.Join([]string{place, strconv.Itoa(child.Process.Pid), "1"}, "/"): true,
		// Another machine.
		strings.Join([]string{"other" + place, strconv.Itoa(1 << 30), started}, "/"): false,
		strings.Join([]string{place, "x", started}, "/"):                             false,
		strings.Join([]string{place, strconv.Itoa(1<<30 - 1), started}, "/"):         true,
		// No start time.
		strings.TrimSuffix(self, self[strings.LastIndexByte(self, '/'):]) + "/": false,
	} {
		if got := Ended(identity); got != want {
			t.Errorf("Ended(%q) is %t", identity, got)
		}
	}
	_ = in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if !Ended(id) {
		t.Error("the child has ended")
	}
	if os.Getpid() <= 0 || Ended(self) {
		t.Error("this process has not ended")
	}
}
