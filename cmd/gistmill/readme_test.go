package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeBytes is the largest README.md that a reader still reads.
const readmeBytes = 8192

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	if n := len(readFile(t, filepath.Join(repository, "README.md"))); n > readmeBytes {
		t.Errorf("README.md has %d bytes, more than %d: move details to docs/", n, readmeBytes)
	}
}

// TestReadmeTestCommand requires that `make test` is alone in a code block, which .ci/run
// types.
func TestReadmeTestCommand(t *testing.T) {
	t.Parallel()
	if !slices.ContainsFunc(codeBlocks(t, "sh"), func(lines []string) bool { return slices.Equal(lines, []string{"make test"}) }) {
		t.Error("README.md has no sh block with make test alone")
	}
}

// TestFirstSteps types the README's first steps, in order, in a copy of the repository, and
// compares what they print with the README's sample output. With -update it rewrites the
// sample.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	blocks := codeBlocks(t, "sh")
	steps := slices.IndexFunc(blocks, func(lines []string) bool { return lines[0] == "make build" && len(lines) > 1 })
	if steps < 0 {
		t.Fatal("README.md has no sh block of first steps that begins with make build")
	}
	readme := readFile(t, filepath.Join(repository, "README.md"))
	wanted := sampleOutput(t)
	copied := copyRepository(t)
	shown := 0
	for _, line := range blocks[steps] {
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", line)
		command.Dir = copied
		command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
			name, _, _ := strings.Cut(variable, "=")
			return strings.HasPrefix(name, "GISTMILL_") || strings.HasPrefix(name, "OPENAI_") || strings.HasPrefix(name, "OTEL_") || name == "VERSION"
		}), "GOPROXY=off", "GISTMILL_CONFIG=none")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, output)
		}
		want, ok := wanted[line]
		if !ok {
			continue
		}
		shown++
		got := strings.ReplaceAll(string(output), copied, "/home/you/gistmill")
		switch {
		case sameEachTime(got) == sameEachTime(want):
		case *update:
			readme = strings.Replace(readme, "$ "+line+"\n"+want, "$ "+line+"\n"+got, 1)
		default:
			t.Errorf("%s prints\n%s\nREADME.md shows\n%s\nrun: make docs", line, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(filepath.Join(repository, "README.md"), []byte(readme), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if shown < 3 {
		t.Errorf("README.md shows the output of %d of its first steps, want run, status and dead list", shown)
	}
}

// codeBlocks returns the lines of the README's code blocks in a language, without empty blocks.
func codeBlocks(t *testing.T, language string) [][]string {
	t.Helper()
	var blocks [][]string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.+?)\n```$").FindAllStringSubmatch(readFile(t, filepath.Join(repository, "README.md")), -1) {
		blocks = append(blocks, strings.Split(match[1], "\n"))
	}
	return blocks
}

// sampleOutput returns the output that the README's console blocks show, by command.
func sampleOutput(t *testing.T) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	for _, lines := range codeBlocks(t, "console") {
		var command string
		for _, line := range lines {
			if typed, ok := strings.CutPrefix(line, "$ "); ok {
				command = typed
			} else if line != "" {
				outputs[command] += line + "\n"
			}
		}
	}
	return outputs
}

var (
	runName  = regexp.MustCompile(`\b\d{8}-[a-z2-7]{6}\b`)
	today    = regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`)
	duration = regexp.MustCompile(`\b[\d.]+(ms|s)\b`)
	speed    = regexp.MustCompile(`\b[\d.]+ documents/s`)
	folder   = regexp.MustCompile(`file://\S+`)
)

// sameEachTime replaces what differs between two runs: names, dates, times and folders.
func sameEachTime(output string) string {
	output = runName.ReplaceAllString(output, "RUN")
	output = today.ReplaceAllString(output, "DATE")
	output = speed.ReplaceAllString(output, "SPEED")
	output = duration.ReplaceAllString(output, "TIME")
	return folder.ReplaceAllString(output, "FOLDER")
}

// copyRepository copies what a fresh clone has, without what was built or run here.
func copyRepository(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if slices.Contains([]string{".git", ".gistmill", "bin", "summaries"}, entry.Name()) {
			continue
		}
		from := filepath.Join(repository, entry.Name())
		if entry.IsDir() {
			err = os.CopyFS(filepath.Join(to, entry.Name()), os.DirFS(from))
		} else {
			var content []byte
			if content, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(filepath.Join(to, entry.Name()), content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
