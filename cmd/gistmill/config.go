package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
)

func (c *cli) configCommand() *cobra.Command {
	var output outputFlag
	command := c.command("config", needsSettings, &cobra.Command{
		Use:   "config [flags]",
		Short: "Show all settings with their values and origins",
		Long: `Config shows the value of every setting and where it comes from: a flag, the environment, a file, or the
default. Secrets are shown as "set" or "not set".

The file is the one of --config or GISTMILL_CONFIG, otherwise gistmill/config.yaml in $XDG_CONFIG_HOME or
~/.config if it exists. A file in the working directory is never read unless it is named.

  gistmill config
  gistmill config init
  gistmill config --config none -o json`,
		Args: noArgs,
	}, func(ctx context.Context, a *app, _ []string) error {
		entries := append(a.config.Explain(), a.learnedEntries(ctx)...)
		return output.write(c.stdout, entries, func() error {
			rows := [][]string{{"SETTING", "VALUE", "FROM"}}
			for _, e := range entries {
				rows = append(rows, []string{e.Setting, e.Value, e.Origin})
			}
			return table(c.stdout, rows...)
		})
	})
	output.add(command)
	command.AddCommand(c.configInitCommand())
	return command
}

// learnedEntries returns what the ledger has learned of models, if there is one that answers soon.
func (a *app) learnedEntries(ctx context.Context) (entries []config.Entry) {
	ctx, cancel := context.WithTimeout(ctx, learnedTimeout)
	defer cancel()
	opened, err := ledger.Open(ctx, a.config.Store, ledger.Options{Connections: 1, Access: ledger.AccessRead})
	if err != nil {
		a.log.Debug("what was learned of endpoints not read", "error", err)
		return nil
	}
	defer opened.Close()
	reader := &app{cli: a.cli, ledger: opened}
	all, err := reader.learned(ctx, "")
	if err != nil {
		a.log.Debug("what was learned of endpoints not read", "error", err)
	}
	for _, l := range all {
		if l.about != "" {
			entries = append(entries, config.Entry{Setting: "learned", Value: text.TerminalLine(l.Model + " at " + l.Endpoint + " " + l.about), Origin: "ledger"})
		}
	}
	return entries
}

// learnedTimeout is how long `config` waits for the ledger.
const learnedTimeout = time.Second

func (c *cli) configInitCommand() *cobra.Command {
	var output outputFlag
	var force bool
	command := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a file with all settings and their defaults",
		Long: `Init writes a YAML file with all settings, their meaning and their defaults, as comments. Without FILE it
writes the file that gistmill reads by default, gistmill/config.yaml in $XDG_CONFIG_HOME or ~/.config.
With - it prints the text. Secrets are not read from the file.

  gistmill config init
  gistmill config init - | less`,
		Args: oneArgOrNone,
		RunE: func(_ *cobra.Command, args []string) error {
			path := strings.Join(args, "")
			if path == "-" && output.json {
				return &usageError{errors.New("-o json and - both write to standard output: name a file, or leave out -o json")}
			}
			if path == "-" {
				_, err := io.WriteString(c.stdout, config.Template())
				return err
			}
			if path == "" {
				path = config.DefaultFile(c.environ)
			}
			if path == "" {
				return &usageError{errors.New("there is no home folder (HOME): name a file")}
			}
			if err := writeTemplate(path, force); err != nil {
				return err
			}
			return output.write(c.stdout, map[string]string{"path": path}, func() error {
				_, err := fmt.Fprintf(c.stdout, "wrote %s\n", path)
				return err
			})
		},
	}
	command.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	output.add(command)
	return command
}

// writeTemplate writes the template of a configuration file. Only its owner may read the file,
// because addresses in it may contain passwords.
func writeTemplate(path string, force bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the config file: %w", err)
	}
	mode := os.O_EXCL
	if force {
		mode = os.O_TRUNC
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; use --force to replace it", path)
	}
	if err != nil {
		return fmt.Errorf("write the config file: %w", err)
	}
	_, err = file.WriteString(config.Template())
	if err = errors.Join(err, file.Chmod(0o600), file.Close()); err != nil {
		return fmt.Errorf("write the config file: %w", err)
	}
	return nil
}
