package main

import (
	"fmt"
	"os"
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
