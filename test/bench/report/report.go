// Package report writes the results of a benchmark into a named section of a Markdown file. It
// replaces the section of that name and leaves the others unchanged.
//
// It owns the file's form and the description of where a measurement was made. It measures
// nothing.
package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// File is where all benchmarks write, relative to the module's folder.
const File = "test/bench/RESULTS.md"

const preamble = `# What was measured

Each section is written by the command it names; do not edit. Running a command again replaces its own section only.
`

// Save writes a section into a file, which it creates if there is none. body must not contain a
// heading of level 1 or 2.
func Save(name, title, body string) error {
	before, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temporary := name + ".new"
	if err := os.WriteFile(temporary, []byte(replace(string(before), title, body)), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}

// replace returns a file's text with a section in place of the one with the same title, or at
// the end.
func replace(text, title, body string) string {
	heading := "## " + title + "\n"
	section := heading + "\n" + strings.TrimSpace(body) + "\n"
	if text == "" {
		return preamble + "\n" + section
	}
	begin := 0
	if !strings.HasPrefix(text, heading) {
		at := strings.Index(text, "\n"+heading)
		if at < 0 {
			return strings.TrimRight(text, "\n") + "\n\n" + section
		}
		begin = at + 1
	}
	rest := ""
	if end := strings.Index(text[begin+len(heading):], "\n## "); end >= 0 {
		rest = text[begin+len(heading)+end:]
	}
	return text[:begin] + section + rest
}

// Here returns a list that describes a measurement: the command, the commit, the machine and
// its load at this moment.
func Here(ctx context.Context, command string) string {
	return fmt.Sprintf("- command: %s\n- commit: %s\n- machine: %s, %d processors, %s/%s, %s; load before the start %s\n",
		command, commit(ctx), processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), load())
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(b))[0]
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
