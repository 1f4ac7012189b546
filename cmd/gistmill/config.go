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

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
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
	}, func(_ context.Context, a *app, _ []string) error {
		entries := a.config.Explain()
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
