// Command chaos tests that nothing is lost and nothing is paid twice when processes and servers
// die. It starts real gistmill processes over a Redis and a PostgreSQL of its own. It kills,
// stops, flushes and cuts them off from each other, and compares the result with the fake
// model's record of calls.
//
//	go run ./test/chaos                      the long run, about 20 minutes
//	go run ./test/chaos -short               a run of two minutes
//	go run ./test/chaos -scenario soak       half an hour of steady load; -soak sets the duration
//
// It owns the schedule of faults, the programs that it keeps running, and the invariants during
// and after a run. It does not own the model (test/fakellm) or the servers' processes
// (test/servers), and it changes nothing in gistmill: it starts the program as users do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/test/bench/report"
	"github.com/gistmill/gistmill/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o := options{}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("scenario", "storm,sigterm,last", "scenarios to run: storm, sigterm, last, soak")
	flags.BoolVar(&o.short, "short", false, "run for two minutes instead of twenty")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the schedule; 0 draws one")
	flags.DurationVar(&o.soak, "soak", 30*time.Minute, "duration of the soak")
	binary := flags.String("binary", "", "gistmill binary to test; empty builds it from this source")
	out := flags.String("out", "", "file to write the results to, a section for each scenario")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())>>10%1_000_000 + 1
	}
	dir, err := os.MkdirTemp("", "gistmill-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			fmt.Fprintln(stderr, "chaos: logs of all programs are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must be able to enter
		return err
	}
	if *binary == "" {
		*binary = filepath.Join(dir, "gistmill")
		if err := program.Build(ctx, *binary, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
			return err
		}
	} else if *binary, err = filepath.Abs(*binary); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "chaos: seed %d\n", o.seed)
	var failures []error
	for _, c := range chosen {
		failures = append(failures, c.show(ctx, o, dir, *binary, *out, stdout, stderr))
	}
	return errors.Join(failures...)
}

func choose(names string) (chosen []scenario, err error) {
	all := scenarios()
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown scenario %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// show runs a scenario on a site of its own and prints its figures. The error lists what did
// not hold.
func (c scenario) show(ctx context.Context, o options, dir, binary, out string, stdout, stderr io.Writer) error {
	here := report.Here(ctx, fmt.Sprintf("`go run ./test/chaos -scenario %s%s`", c.name, c.flags(o)))
	fmt.Fprintf(stdout, "\n=== %s\n", c.title)
	begun := time.Now()
	s, err := open(ctx, filepath.Join(dir, c.name), binary, c.latency, stderr)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	defer s.close()
	figures, err := c.run(ctx, s, o)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", c.name, err), s.asError())
	}
	body := table(figures)
	fmt.Fprintf(stdout, "%s--- %s: %s\n", body, c.title, time.Since(begun).Round(time.Second))
	if out != "" {
		if err := report.Save(out, c.title, here+fmt.Sprintf("- took: %s\n\n", time.Since(begun).Round(time.Second))+body); err != nil {
			return err
		}
	}
	var bad []error
	for _, f := range figures {
		if !f.good {
			bad = append(bad, fmt.Errorf("%s: %s: %s, wanted %s", c.name, f.what, f.found, f.wanted))
		}
	}
	return errors.Join(append(bad, s.asError())...)
}

// flags returns the flags that repeat the run.
func (c scenario) flags(o options) (text string) {
	if c.name == "storm" {
		text += fmt.Sprintf(" -seed %d", o.seed)
	}
	if o.short && c.name != "soak" {
		text += " -short"
	}
	if c.name == "soak" {
		text += fmt.Sprintf(" -soak %s", o.soak)
	}
	return text
}

func (s *site) asError() error {
	if found := s.found(); len(found) > 0 {
		return errors.New(strings.Join(found, "\n"))
	}
	return nil
}
