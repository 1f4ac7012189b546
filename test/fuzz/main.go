// Command fuzz runs every fuzz target of the module for a while, one at a time, and prints what
// each has done.
//
//	go run ./test/fuzz -time 10m
//
// A failing target does not end the command. The failing input is in the target's
// testdata/fuzz, where `go test` runs it from then on. The exit code is 1 if any target has
// failed.
//
// It owns the list of targets and the table. The targets are in the packages that they test.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", 10*time.Minute, "time for each target")
	only := flags.String("only", "", "regular expression: targets whose package and name match, e.g. extract/FuzzPDF")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	all, err := targets(os.DirFS("."))
	if err != nil {
		return err
	}
	var chosen []target
	for _, t := range all {
		if match.MatchString(t.dir + "/" + t.name) {
			chosen = append(chosen, t)
		}
	}
	return fuzz(ctx, chosen, stdout, func(ctx context.Context, t target) (string, error) {
		var said bytes.Buffer
		command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "./"+t.dir)
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		command.WaitDelay = 10 * time.Second
		command.Stdout = io.MultiWriter(&said, stderr)
		command.Stderr = command.Stdout
		err := command.Run()
		return said.String(), err
	})
}

// target is one fuzz target.
type target struct{ dir, name string }

var declared = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`)

// targets finds the fuzz targets of the module, without nested modules.
func targets(module fs.FS) ([]target, error) {
	var all []target
	err := fs.WalkDir(module, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != ".":
			if name := entry.Name(); name == "testdata" || strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			if _, err := fs.Stat(module, path.Join(file, "go.mod")); err == nil {
				return fs.SkipDir
			}
		case strings.HasSuffix(file, "_test.go"):
			source, err := fs.ReadFile(module, file)
			if err != nil {
				return err
			}
			for _, m := range declared.FindAllSubmatch(source, -1) {
				all = append(all, target{path.Dir(file), string(m[1])})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for fuzz targets: %w", err)
	}
	return all, nil
}

// fuzz runs all targets and prints a row for each.
func fuzz(ctx context.Context, all []target, stdout io.Writer, try func(context.Context, target) (string, error)) error {
	if len(all) == 0 {
		return errors.New("there is no fuzz target")
	}
	var rows []row
	failed := 0
	for _, t := range all {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		said, err := try(ctx, t)
		r := read(said)
		r.target, r.took = t, time.Since(began)
		r.failed, r.stopped = err != nil && ctx.Err() == nil, ctx.Err() != nil
		if r.failed {
			failed++
		}
		rows = append(rows, r)
	}
	table(stdout, rows)
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d targets failed; what made them fail is in their testdata/fuzz", failed, len(rows))
	case len(rows) < len(all):
		return fmt.Errorf("stopped after %d of %d targets: %w", len(rows), len(all), ctx.Err())
	}
	return nil
}

// row is the result of a target.
type row struct {
	target
	executions, fresh, known int64 // runs, new inputs kept, inputs in all
	took                     time.Duration
	failed, stopped          bool
	input                    string // the failing input
}

var (
	progress = regexp.MustCompile(`execs: (\d+) \(\d+/sec\)(?:, new interesting: (\d+) \(total: (\d+)\))?`)
	written  = regexp.MustCompile(`Failing input written to (\S+)`)
)

// read parses the last figures in the output of `go test -fuzz`.
func read(said string) (r row) {
	if all := progress.FindAllStringSubmatch(said, -1); len(all) > 0 {
		last := all[len(all)-1]
		for i, figure := range []*int64{&r.executions, &r.fresh, &r.known} {
			*figure, _ = strconv.ParseInt(last[i+1], 10, 64) // digits, or nothing
		}
	}
	if m := written.FindStringSubmatch(said); m != nil {
		r.input = m[1]
	}
	return r
}

// table returns the Markdown table of RESULTS.md.
func table(to io.Writer, rows []row) {
	fmt.Fprintln(to, "| target | time | executions | new inputs | inputs | result |\n|---|---:|---:|---:|---:|---|")
	for _, r := range rows {
		result := "ok"
		switch {
		case r.failed:
			result = strings.TrimSpace("FAILED " + r.input)
		case r.stopped:
			result = "stopped"
		}
		fmt.Fprintf(to, "| %s %s | %s | %d | %d | %d | %s |\n", r.dir, r.name, r.took.Round(time.Second), r.executions, r.fresh, r.known, result)
	}
}
