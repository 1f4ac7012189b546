package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// TestReadme holds that the README lists the settings, metrics and exit codes that the program has.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	if !strings.Contains(readme, config.Markdown()) {
		t.Errorf("README.md has not the table of settings of the program; it is to be:\n%s", config.Markdown())
	}
	for name, table := range map[string]string{"server": telemetry.ServerMarkdown(), "worker": telemetry.WorkerMarkdown()} {
		if !strings.Contains(readme, table) {
			t.Errorf("README.md has not the table of metrics of the %s; it is to be:\n%s", name, table)
		}
	}
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitDead, exitPlanning, exitBudget, exitInterrupted} {
		if !strings.Contains(readme, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("README.md does not explain exit code %d", code)
		}
	}
}

// TestSecurityNamesTests holds that the tests which SECURITY.md leans on exist.
func TestSecurityNamesTests(t *testing.T) {
	t.Parallel()
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([a-z]+))?`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Errorf("SECURITY.md names %d tests", len(named))
	}
	var code strings.Builder
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range named {
		if !strings.Contains(code.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("SECURITY.md names %s, which is no test", name[1])
		}
		if name[2] != "" {
			if _, err := os.Stat(filepath.Join("testdata", name[2]+".txtar")); err != nil {
				t.Errorf("SECURITY.md names the script %s: %v", name[2], err)
			}
		}
	}
}
