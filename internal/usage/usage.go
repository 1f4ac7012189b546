// Package usage renders the help texts of commands and words the errors of command lines. It owns
// the groups of flags, the width of lines, and the sentences about flags that are unknown or have
// no valid value. It refuses to own what a flag means: it knows no command and no setting.
package usage

import (
	"cmp"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/gistmill/gistmill/internal/text"
)

// The groups of flags. A flag without a group is an option of its command.
const (
	Options    = "Options"
	Source     = "Source"
	Model      = "Model"
	Limits     = "Limits and budget"
	Output     = "Output"
	Connection = "Connection"
	Advanced   = "Advanced"
)

// Groups returns the groups of flags in the order of the help text.
func Groups() []string {
	return []string{Options, Source, Model, Limits, Output, Connection, Advanced}
}

// Widths of help texts, in columns.
const (
	MaxWidth = 80
	MinWidth = 60
)

// maxName is the width of the column of flags. The description of a longer one begins on the next
// line.
const maxName = 28

// Annotations of flags.
const (
	groupKey    = "gistmill_group"
	requiredKey = "gistmill_required"
	briefKey    = "gistmill_brief"
)

// SetGroup puts flags of a set into a group. It panics for a flag that does not exist.
func SetGroup(flags *pflag.FlagSet, group string, names ...string) {
	annotate(flags, groupKey, group, names)
}

// GroupOf returns the group of a flag.
func GroupOf(flag *pflag.Flag) string {
	if group := flag.Annotations[groupKey]; len(group) > 0 {
		return group[0]
	}
	return Options
}

// Require marks flags whose setting the command requires. Names without a flag are ignored: secrets
// have none.
func Require(flags *pflag.FlagSet, names ...string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return flags.Lookup(name) == nil })
	annotate(flags, requiredKey, "true", names)
}

// Brief marks flags that the help text lists by name only, except those in shown.
func Brief(flags *pflag.FlagSet, groups []string, shown ...string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(groups, GroupOf(f)) && !slices.Contains(shown, f.Name) {
			annotate(flags, briefKey, "true", []string{f.Name})
		}
	})
}

func annotate(flags *pflag.FlagSet, key, value string, names []string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, key, []string{value}); err != nil {
			panic("usage: " + err.Error())
		}
	}
}

// Install makes a command and its subcommands print the help texts of this package, as wide as the
// terminal but within [MinWidth] and [MaxWidth].
func Install(root *cobra.Command) {
	help := func(command *cobra.Command) error {
		out, width := command.OutOrStdout(), MaxWidth
		if file, ok := out.(*os.File); ok {
			if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
				width = columns
			}
		}
		_, err := io.WriteString(out, Text(command, min(max(width, MinWidth), MaxWidth)))
		return err
	}
	root.SetHelpFunc(func(command *cobra.Command, _ []string) {
		if err := help(command); err != nil {
			command.PrintErrln(err)
		}
	})
	root.SetUsageFunc(help)
}

// Text returns the help text of a command, in lines of at most width columns.
func Text(command *cobra.Command, width int) string {
	command.InitDefaultHelpFlag()
	command.InitDefaultVersionFlag()
	var b strings.Builder
	b.WriteString(Reflow(cmp.Or(command.Long, command.Short), width) + "\n\nUsage:\n")
	if command.Runnable() && !(command.HasAvailableSubCommands() && command.Use == command.Name()) {
		b.WriteString("  " + command.UseLine() + "\n")
	}
	if command.HasAvailableSubCommands() {
		b.WriteString("  " + command.CommandPath() + " [command]\n")
	}
	b.WriteString(commands(command, width))
	b.WriteString(flags(command, width))
	if command.HasAvailableSubCommands() {
		b.WriteString("\n" + Reflow(`Use "`+command.CommandPath()+` [command] --help" for more information about a command.`, width) + "\n")
	}
	return b.String()
}

// commands lists the subcommands by group.
func commands(command *cobra.Command, width int) string {
	rest := &cobra.Group{Title: "Available Commands:"}
	if len(command.Groups()) > 0 {
		rest.Title = "Other commands:"
	}
	var b strings.Builder
	for _, g := range append(slices.Clone(command.Groups()), rest) {
		var rows [][2]string
		for _, sub := range command.Commands() {
			if sub.GroupID == g.ID && (sub.IsAvailableCommand() || sub.Name() == "help") {
				rows = append(rows, [2]string{"  " + sub.Name(), sub.Short})
			}
		}
		if len(rows) > 0 {
			b.WriteString("\n" + g.Title + "\n" + columns(rows, width))
		}
	}
	return b.String()
}

// flags lists the flags by group, and then those that are listed by name only.
func flags(command *cobra.Command, width int) string {
	rows := map[string][][2]string{}
	var brief []string
	command.Flags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden:
		case f.Annotations[briefKey] != nil:
			brief = append(brief, "--"+f.Name)
		default:
			rows[GroupOf(f)] = append(rows[GroupOf(f)], row(f))
		}
	})
	var b strings.Builder
	for _, g := range Groups() {
		if len(rows[g]) > 0 {
			b.WriteString("\n" + g + ":\n" + columns(rows[g], width))
		}
	}
	if len(brief) > 0 {
		root := command.Root().Name()
		b.WriteString("\n" + Reflow("Also: "+strings.Join(brief, ", ")+"; see `"+root+" config --help`.", width) + "\n")
	}
	return b.String()
}

// row is a flag with its description.
func row(f *pflag.Flag) [2]string {
	name, about := pflag.UnquoteUsage(f)
	left := "      --" + f.Name
	if f.Shorthand != "" {
		left = "  -" + f.Shorthand + ", --" + f.Name
	}
	if name != "" {
		left += " " + name
	}
	if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
		left += "[=" + f.NoOptDefVal + "]"
	}
	switch {
	case f.Annotations[requiredKey] != nil:
		about += " (required)"
	case !slices.Contains([]string{"", "0", "0s", "[]", "false"}, f.DefValue):
		about += " (default " + f.DefValue + ")"
	}
	return [2]string{left, about}
}

// columns aligns rows of a name and a description.
func columns(rows [][2]string, width int) string {
	first := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r[0]); n <= maxName {
			first = max(first, n)
		}
	}
	first += 2
	indent := strings.Repeat(" ", first)
	var b strings.Builder
	for _, r := range rows {
		lines := text.Wrap(r[1], width-first)
		pad := first - utf8.RuneCountInString(r[0])
		if pad < 2 {
			b.WriteString(r[0] + "\n" + indent + lines[0] + "\n")
		} else {
			b.WriteString(strings.TrimRight(r[0]+strings.Repeat(" ", pad)+lines[0], " ") + "\n")
		}
		for _, line := range lines[1:] {
			b.WriteString(indent + line + "\n")
		}
	}
	return b.String()
}

// Reflow wraps the paragraphs of a text. It leaves indented lines as they are.
func Reflow(s string, width int) string {
	var out, paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			out = append(out, text.Wrap(strings.Join(paragraph, " "), width)...)
			paragraph = nil
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			end()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, line)
	}
	end()
	return strings.Join(out, "\n")
}

// suggestFlag returns "; did you mean --X?" with the nearest flag of a command.
func suggestFlag(command *cobra.Command, name string) string {
	var names []string
	command.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return text.DidYouMean("--"+name, names)
}
