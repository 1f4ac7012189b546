package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/usage"
)

// TestHelpTexts requires that the help text of every command has at most 80 columns and every flag
// under a heading, and that it shows the settings that the command reads.
func TestHelpTexts(t *testing.T) {
	t.Parallel()
	root := (&cli{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	commands := 0
	var visit func(*cobra.Command)
	visit = func(command *cobra.Command) {
		commands++
		help := usage.Text(command, usage.MaxWidth)
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > usage.MaxWidth {
				t.Errorf("%s: a line has %d columns: %s", command.CommandPath(), n, line)
			}
		}
		command.Flags().VisitAll(func(f *pflag.Flag) {
			if group := usage.GroupOf(f); !slices.Contains(usage.Groups(), group) {
				t.Errorf("%s: --%s is in %q, which is no group", command.CommandPath(), f.Name, group)
			}
			if !f.Hidden && !strings.Contains(help, "--"+f.Name) {
				t.Errorf("%s: --%s is not in the help text", command.CommandPath(), f.Name)
			}
		})
		for _, sub := range command.Commands() {
			visit(sub)
		}
	}
	visit(root)
	if commands < 20 {
		t.Errorf("only %d commands found", commands)
	}
}

// TestSettingsHaveGroups requires a heading for each setting that has a flag.
func TestSettingsHaveGroups(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		if !slices.Contains(usage.Groups(), s.Group) || s.Group == usage.Options {
			t.Errorf("%s is in the group %q", s.Name, s.Group)
		}
	}
}
