// Command llm measures from outside how gistmill uses an endpoint's limits: real processes on
// loopback, a fake endpoint that reports what it would have admitted, a real Redis and a real
// PostgreSQL. It writes its section of test/bench/RESULTS.md.
//
//	go run ./test/bench/llm                      all scenarios, about 25 minutes
//	go run ./test/bench/llm -quick               all scenarios, shortened to three minutes
//	go run ./test/bench/llm -only known,budget   scenarios with these prefixes
//
// It owns the scenarios and their references. It does not own the endpoint (test/fakellm), and
// it changes nothing in gistmill for a better figure: it starts the program as users do.
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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/test/bench/report"
	"github.com/gistmill/gistmill/test/bench/servers"
	"github.com/gistmill/gistmill/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := run
	args := os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case loopCommand:
			command, args = loop, args[1:]
		case workCommand:
			command, args = work, args[1:]
		}
	}
	if err := command(ctx, args, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is shared by all scenarios.
type bench struct {
	store, redis string // URLs
	gistmill     string // programs
	fakellm      string
	dir          string
	quick        bool
	refusedFor   time.Duration
	latency      time.Duration
	stderr       io.Writer
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	b := &bench{stderr: stderr}
	flags := flag.NewFlagSet("llm", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&b.store, "store", os.Getenv("GISTMILL_TEST_POSTGRES"), "PostgreSQL, postgres://…")
	flags.StringVar(&b.redis, "redis", os.Getenv("GISTMILL_TEST_REDIS"), "Redis, redis://…")
	flags.StringVar(&b.gistmill, "binary", "", "gistmill to judge; empty builds it from this source")
	flags.BoolVar(&b.quick, "quick", false, "short intervals, three scenarios at once: for trying, not for judging")
	flags.DurationVar(&b.refusedFor, "refused-for", 10*time.Minute, "how long scenario refused answers everything 429")
	flags.DurationVar(&b.latency, "latency", 20*time.Millisecond, "of the endpoint in scenario throughput: on a slower machine a longer one leaves as much processor time a call")
	only := flags.String("only", "", "scenarios to run, by the beginnings of their names, separated by commas")
	parallel := flags.Int("parallel", 0, "scenarios at once; 0: 1, with -quick 3")
	out := flags.String("out", "", "file to write the section to; without it "+report.File+", after a whole run that was not quick")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	all := scenarios()
	chosen, err := choose(all, *only)
	if err != nil {
		return err
	}
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if b.quick && !set["refused-for"] {
		b.refusedFor = 30 * time.Second
	}
	if *parallel == 0 {
		*parallel = 1
		if b.quick {
			*parallel = 3
		}
	}
	if *out == "" && !b.quick && !set["refused-for"] && !set["latency"] && len(chosen) == len(all) {
		*out = report.File
	}
	here := report.Here(ctx, spelled("`make bench", "BENCHFLAGS='", args, "'")+"`, which is "+spelled("`go run ./test/bench/llm", "", args, "")+"`")
	if b.dir, err = os.MkdirTemp("", "gistmill-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	description, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	rows, failed := b.judge(ctx, chosen, *parallel)
	text := here + "- servers: " + description + "\n\n" + markdown(rows) + "\n" + notes
	fmt.Fprint(stdout, text)
	if *out != "" && ctx.Err() == nil {
		failed = errors.Join(failed, report.Save(*out, title, text))
	}
	return failed
}

// spelled returns a command with its arguments.
func spelled(command, before string, args []string, after string) string {
	if len(args) == 0 {
		return command
	}
	return command + " " + before + strings.Join(args, " ") + after
}

// choose returns the scenarios whose names have one of the given prefixes.
func choose(all []scenario, only string) ([]scenario, error) {
	if only == "" {
		return all, nil
	}
	wanted := strings.Split(only, ",")
	found := map[string]bool{}
	var chosen []scenario
	for _, s := range all {
		for _, prefix := range wanted {
			if strings.HasPrefix(s.name, prefix) {
				found[prefix] = true
				if len(chosen) == 0 || chosen[len(chosen)-1].name != s.name {
					chosen = append(chosen, s)
				}
			}
		}
	}
	for _, prefix := range wanted {
		if !found[prefix] {
			var names []string
			for _, s := range all {
				names = append(names, s.name)
			}
			return nil, fmt.Errorf("no scenario begins with %q; there are %s", prefix, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// prepare builds the programs and describes the servers.
func (b *bench) prepare(ctx context.Context) (string, error) {
	place, err := servers.Open(ctx, b.store, b.redis)
	if err != nil {
		return "", err
	}
	description, err := place.Describe(ctx)
	if err = errors.Join(err, place.Close(ctx)); err != nil {
		return "", err
	}
	b.say("building")
	if b.gistmill == "" {
		b.gistmill = filepath.Join(b.dir, "gistmill")
		if err := program.Build(ctx, b.gistmill, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
			return "", err
		}
	}
	b.fakellm = filepath.Join(b.dir, "fakellm")
	return description, program.Build(ctx, b.fakellm, "github.com/gistmill/gistmill/test/fakellm")
}

// judge runs the scenarios. Those that need the whole machine run first, one at a time; then
// the others run. A scenario that uses almost nothing runs concurrently. Rows keep the order of
// the list. A failed scenario adds a row and an error, and the others continue.
func (b *bench) judge(ctx context.Context, chosen []scenario, parallel int) ([]row, error) {
	rows := make([][]row, len(chosen))
	errs := make([]error, len(chosen))
	one := func(i int) {
		s := chosen[i]
		began := time.Now()
		b.say("%s: %s", s.name, s.about)
		rows[i], errs[i] = b.play(ctx, s)
		if errs[i] != nil {
			errs[i] = fmt.Errorf("scenario %s: %w", s.name, errs[i])
			rows[i] = append(rows[i], failure(errs[i]))
		}
		for k := range rows[i] {
			rows[i][k].scenario = s.name
			b.say("%s: %s: %s (%s)", s.name, rows[i][k].what, rows[i][k].measured, rows[i][k].verdict())
		}
		b.say("%s: %s", s.name, time.Since(began).Round(time.Second))
	}
	for i, s := range chosen {
		if s.alone {
			one(i)
		}
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, s := range chosen {
		switch {
		case s.alone:
		case s.aside:
			wait.Go(func() { one(i) })
		default:
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				one(i)
			})
		}
	}
	wait.Wait()
	var list []row
	for _, r := range rows {
		list = append(list, r...)
	}
	return list, errors.Join(errs...)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
