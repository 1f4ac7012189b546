// Command enqueue measures how long `gistmill enqueue` takes for a large .jsonl file with
// PostgreSQL and Redis: the first time, and again with one appended line. For comparison it
// measures a floor in the same minute: the same rows written into a plain table by COPY and an
// upsert, the minimum for any such program. It writes its section of test/bench/RESULTS.md.
//
//	go run ./test/bench/enqueue -store postgres://… -redis redis://… -lines 1000000
//
// It owns the measurement, and fails if a count is wrong. It sets no time limits: those depend
// on the machine. It works in a schema and a queue of its own, which it deletes.
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
	"time"

	"github.com/gistmill/gistmill/test/bench/report"
	"github.com/gistmill/gistmill/test/bench/servers"
	"github.com/gistmill/gistmill/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	place        *servers.Place
	lines, bytes int
	binary       string // path of gistmill; empty: build it
	dir          string
	stdout       io.Writer
	result       result
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	b := bench{stdout: stdout}
	flags := flag.NewFlagSet("enqueue", flag.ContinueOnError)
	store := flags.String("store", os.Getenv("GISTMILL_TEST_POSTGRES"), "PostgreSQL, postgres://…")
	queue := flags.String("redis", os.Getenv("GISTMILL_TEST_REDIS"), "Redis, redis://…")
	flags.IntVar(&b.lines, "lines", 1_000_000, "documents")
	flags.IntVar(&b.bytes, "bytes", 200, "of text in each")
	flags.StringVar(&b.binary, "binary", "", "gistmill to measure; empty builds it from this source")
	out := flags.String("out", report.File, "file to write the results to; empty for none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.lines < 1 || b.bytes < leastBytes {
		return fmt.Errorf("-lines is at least 1 and -bytes at least %d", leastBytes)
	}
	if b.dir, err = os.MkdirTemp("", "gistmill-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.place, err = servers.Open(ctx, *store, *queue); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, b.place.Close(ctx))
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	text := b.result.markdown()
	fmt.Fprint(stdout, "\n", text)
	if *out == "" {
		return nil
	}
	return report.Save(*out, title, text)
}

// prepare builds the program and writes the documents.
func (b *bench) prepare(ctx context.Context) error {
	if b.binary == "" {
		b.binary = filepath.Join(b.dir, "gistmill")
		if err := program.Build(ctx, b.binary, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
			return err
		}
	}
	b.say("writing %d documents of %d bytes", b.lines, b.bytes)
	return b.writeLines()
}

// measure measures each step and checks the counts.
func (b *bench) measure(ctx context.Context) error {
	b.result = result{lines: b.lines, bytes: b.bytes}
	b.result.here = report.Here(ctx, fmt.Sprintf("`make bench-enqueue LINES=%d`, which is `go run ./test/bench/enqueue -lines %d`", b.lines, b.lines))
	var err error
	if b.result.servers, err = b.place.Describe(ctx); err != nil {
		return err
	}
	b.say("the floor")
	first, err := b.floor(ctx, "first")
	if err != nil {
		return err
	}
	again, err := b.floor(ctx, "again")
	if err != nil {
		return err
	}
	b.result.rows = append(b.result.rows, first, again)

	b.say("enqueue")
	n := int64(b.lines)
	row, plan, err := b.enqueue(ctx, "enqueue, the first time")
	if err != nil {
		return err
	}
	b.result.rows = append(b.result.rows, row)
	if err := plan.expect(planned{Listed: n, New: n}); err != nil {
		return err
	}
	b.result.tasks = plan.Tasks
	if err := b.finish(ctx); err != nil {
		return err
	}
	if row, plan, err = b.enqueue(ctx, "enqueue, nothing changed"); err != nil {
		return err
	}
	b.result.rows = append(b.result.rows, row)
	if err := plan.expect(planned{Listed: n, Skipped: n}); err != nil {
		return err
	}
	if err := b.appendLine(); err != nil {
		return err
	}
	if row, plan, err = b.enqueue(ctx, "enqueue, one line appended"); err != nil {
		return err
	}
	b.result.rows = append(b.result.rows, row)
	return plan.expect(planned{Listed: n + 1, New: 1, Skipped: n})
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stdout, format+"\n", args...)
}
