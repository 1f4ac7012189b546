package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the build (-ldflags -X main.version=…).
var version = ""

// versionText returns the version that the build set, or the one of the Go build information.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// userAgent names the program to servers. A comment in parentheses is no version (RFC 9110,
// 10.1.5).
func userAgent() string { return "gistmill/" + strings.Trim(versionText(), "()") }

// versionLine returns the version in one line for people.
func versionLine() string {
	return fmt.Sprintf("gistmill %s (%s, %s)", versionText(), runtime.Version(), platform())
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func (c *cli) versionCommand() *cobra.Command {
	var output outputFlag
	command := &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": versionText(), "go": runtime.Version(), "platform": platform()}
			return output.write(c.stdout, v, func() error {
				_, err := fmt.Fprintln(c.stdout, versionLine())
				return err
			})
		},
	}
	output.add(command)
	return command
}
