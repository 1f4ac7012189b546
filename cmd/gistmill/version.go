package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is stamped by the build (-ldflags -X main.version=…).
var version = ""

// versionText is the stamped version, or what the Go build knows.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (c *cli) versionCommand() *cobra.Command {
	var output outputFlag
	command := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": versionText(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return output.write(c.stdout, v, func() error {
				_, err := fmt.Fprintf(c.stdout, "gistmill %s (%s, %s)\n", v["version"], v["go"], v["platform"])
				return err
			})
		},
	}
	output.add(command)
	return command
}
