package usage_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/usage"
)

func example() *cobra.Command {
	command := &cobra.Command{
		Use: "mill SOURCE...",
		Long: `Mill has a description that was wrapped at a width that is not the width of the
terminal.

  mill --limit 3`,
		Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	flags := command.Flags()
	flags.Int("limit", 0, "only the first `N` documents of a source, which may be a folder or a file")
	flags.Duration("wait", time.Second, "a `time`")
	flags.Bool("force", false, "do it")
	flags.String("store", "", "address")
	flags.String("a-name-that-is-quite-long", "", "described below its name")
	flags.String("queue", "", "name")
	usage.SetGroup(flags, usage.Source, "limit")
	usage.SetGroup(flags, usage.Connection, "store", "queue")
	usage.Require(flags, "store", "secret")
	usage.Brief(flags, []string{usage.Connection}, "store")
	return command
}

func TestText(t *testing.T) {
	t.Parallel()
	want := `Mill has a description that was wrapped at a width that is
not the width of the terminal.

  mill --limit 3

Usage:
  mill SOURCE... [flags]

Options:
      --a-name-that-is-quite-long string
                   described below its name
      --force      do it
  -h, --help       help for mill
      --wait time  a time (default 1s)

Source:
      --limit N  only the first N documents of a source,
                 which may be a folder or a file

Connection:
      --store string  address (required)

Also: --queue; see ` + "`mill config --help`" + `.
`
	if diff := cmp.Diff(want, usage.Text(example(), 60)); diff != "" {
		t.Error(diff)
	}
}

func TestTextKeepsTheWidth(t *testing.T) {
	t.Parallel()
	for width := usage.MinWidth; width <= usage.MaxWidth; width++ {
		for line := range strings.Lines(usage.Text(example(), width)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("width %d: a line has %d columns: %s", width, n, line)
			}
		}
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	command := example()
	usage.Install(command)
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs([]string{"--help"})
	if err := command.Execute(); err != nil {
		t.Fatal(err)
	}
	if out.String() != usage.Text(example(), usage.MaxWidth) {
		t.Error(out.String())
	}
}

func TestFlagError(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ arg, want string }{
		{"--limti=3", "unknown flag: --limti; did you mean --limit?"},
		{"--zebra", "unknown flag: --zebra"},
		{"-z", "unknown shorthand flag: 'z' in -z"},
		{"--limit=ten", `--limit "ten" is not a whole number`},
		{"--limit=99999999999999999999", `--limit "99999999999999999999" is out of range`},
		{"--limit", "--limit needs a value: --limit N"},
		{"--wait=5", `--wait "5" is not a duration with a unit; example: 30s`},
		{"--force=ture", `--force "ture" is not one of true, false; did you mean true?`},
	} {
		command := example()
		err := command.ParseFlags([]string{tc.arg})
		if err == nil {
			t.Errorf("%s: no error", tc.arg)
			continue
		}
		if got := usage.FlagError(command, err).Error(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.arg, got, tc.want)
		}
	}
}
