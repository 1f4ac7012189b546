package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// otherUser runs the program if the test is run by root, because permissions do not bind root.
const otherUser = 65534

// unprivileged returns a function that runs the program without rights to write, and a folder that
// it can reach.
func unprivileged(t *testing.T) (folder string, gistmill func(args ...string) (output string, code int)) {
	t.Helper()
	root, err := os.MkdirTemp("", "gistmill-readonly") //nolint:usetesting // another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
		_ = os.RemoveAll(root)
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(root, "gistmill") // TestMain runs main under this name
	text, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, text, 0o700)
	}
	for _, path := range []string{root, program} {
		if err == nil {
			err = os.Chmod(path, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(root, "work")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder, func(args ...string) (string, int) {
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = folder
		command.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
		if os.Geteuid() == 0 {
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser}}
		}
		output, err := command.CombinedOutput()
		if err != nil && command.ProcessState == nil {
			t.Fatal(err)
		}
		return string(output), command.ProcessState.ExitCode()
	}
}

// names returns the files and folders below a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	var all []string
	if err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(path, folder))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// makeLedger makes a ledger with a run in the folder.
func makeLedger(t *testing.T, folder string) {
	t.Helper()
	docs := filepath.Join(folder, "docs")
	if err := os.Mkdir(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, "a.txt"), []byte("A text that is long enough to be summarized."), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := run(t.Context(), noSignals(), []string{"run", docs, "--store", "sqlite:" + filepath.Join(folder, "l.db"), "--out", filepath.Join(folder, "out")}, nil, strings.NewReader(""), &out, &out); code != exitOK {
		t.Fatal(out.String())
	}
}

// TestReadOnlyPlaces runs the commands that read where they may not write: a folder, a file, and
// both.
func TestReadOnlyPlaces(t *testing.T) {
	t.Parallel()
	for name, modes := range map[string]struct{ folder, file os.FileMode }{
		"folder": {0o555, 0o666},
		"file":   {0o777, 0o444},
		"both":   {0o555, 0o444},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, gistmill := unprivileged(t)
			makeLedger(t, folder)
			if err := os.Chmod(filepath.Join(folder, "l.db"), modes.file); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(folder, modes.folder); err != nil {
				t.Fatal(err)
			}
			before := names(t, folder)
			for _, args := range [][]string{
				{"status"}, {"status", "-o", "json"}, {"runs"}, {"dead", "list"}, {"show", "a.txt"}, {"export", "-"},
				{"enqueue", "docs", "--dry-run"}, {"run", "docs", "--dry-run"}, {"dead", "retry", "--all", "--dry-run"},
				{"dead", "drop", "--all", "--dry-run"}, {"runs", "-o", "json"}, {"dead", "list", "--summary"}, {"dead", "export", "-"}, {"prune", "--older-than", "1d", "--dry-run"},
			} {
				if output, code := gistmill(append(args, "--store", "sqlite:l.db")...); code != exitOK {
					t.Errorf("%v: exit code %d: %s", args, code, output)
				}
				if after := names(t, folder); !slices.Equal(after, before) {
					t.Fatalf("%v made files: %v, before: %v", args, after, before)
				}
			}
		})
	}
}

// TestReadOnlyPlacesWithALog reads a ledger that another user's program writes, and one whose
// program was killed.
func TestReadOnlyPlacesWithALog(t *testing.T) {
	t.Parallel()
	folder, gistmill := unprivileged(t)
	path := filepath.Join(folder, "l.db")
	writer, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(file, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	// All tables are in the log still.
	if output, code := gistmill("runs", "--store", "sqlite:l.db"); code != exitOK || !strings.Contains(output, "no runs yet") {
		t.Errorf("beside a writer: exit code %d: %s", code, output)
	}
	killed := filepath.Join(folder, "killed.db")
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(killed+suffix, text, 0o444)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	if output, code := gistmill("runs", "--store", "sqlite:killed.db"); code != exitFailed || !strings.Contains(output, "was not closed") {
		t.Errorf("a log without its index: exit code %d: %s", code, output)
	}
}
