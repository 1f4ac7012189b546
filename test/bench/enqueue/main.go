// Command enqueue measures how long `gistmill enqueue` takes for a large .jsonl file, over PostgreSQL and Redis: the first
// time, and again with one line appended. Beside it stands a floor from the same minute: the same rows brought into a plain
// table by COPY and an upsert, which is the least that any such program does. It writes test/bench/RESULTS.md.
//
//	go run ./test/bench/enqueue -store postgres://… -redis redis://… -lines 1000000
//
// It owns the measurement, and fails when a count is wrong. It refuses to own time limits: those depend on the machine.
// It works in a schema and a queue of its own, which it deletes.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
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
	store, redis string // URLs
	lines, bytes int
	binary       string // of gistmill; empty: built for it
	dir          string
	name         string // of the schema and the queue
	db           *pgx.Conn
	stdout       io.Writer
	result       result
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	b := bench{stdout: stdout, name: "bench_" + strings.ToLower(rand.Text())}
	flags := flag.NewFlagSet("enqueue", flag.ContinueOnError)
	flags.StringVar(&b.store, "store", os.Getenv("GISTMILL_TEST_POSTGRES"), "PostgreSQL, postgres://…")
	flags.StringVar(&b.redis, "redis", os.Getenv("GISTMILL_TEST_REDIS"), "Redis, redis://…")
	flags.IntVar(&b.lines, "lines", 1_000_000, "documents")
	flags.IntVar(&b.bytes, "bytes", 200, "of text in each")
	flags.StringVar(&b.binary, "binary", "", "gistmill to measure; empty builds it from this source")
	out := flags.String("out", "test/bench/RESULTS.md", "file to write the results to; empty for none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.store == "" || b.redis == "" {
		return errors.New("name the servers by -store and -redis, or by GISTMILL_TEST_POSTGRES and GISTMILL_TEST_REDIS (`make services` starts both)")
	}
	if b.lines < 1 || b.bytes < leastBytes {
		return fmt.Errorf("-lines is at least 1 and -bytes at least %d", leastBytes)
	}
	if b.dir, err = os.MkdirTemp("", "gistmill-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.connect(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sweep()) }()
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
	return os.WriteFile(*out, []byte(text), 0o644)
}

// connect makes the schema.
func (b *bench) connect(ctx context.Context) error {
	config, err := pgx.ParseConfig(b.store)
	if err != nil {
		return err
	}
	config.RuntimeParams["search_path"] = b.name
	if b.db, err = pgx.ConnectConfig(ctx, config); err != nil {
		return fmt.Errorf("reach PostgreSQL: %w", err)
	}
	if _, err := b.db.Exec(ctx, `CREATE SCHEMA `+b.name); err != nil {
		return errors.Join(fmt.Errorf("make a schema: %w", err), b.db.Close(ctx))
	}
	return nil
}

// prepare makes the program and the documents.
func (b *bench) prepare(ctx context.Context) error {
	if b.binary == "" {
		b.binary = filepath.Join(b.dir, "gistmill")
		if err := command(ctx, "go", "build", "-trimpath", "-o", b.binary, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
			return err
		}
	}
	b.say("writing %d documents of %d bytes", b.lines, b.bytes)
	return b.writeLines()
}

// measure times each step, and checks what it counted.
func (b *bench) measure(ctx context.Context) error {
	b.result = describeMachine(ctx, b)
	if err := b.describeServers(ctx); err != nil {
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

// sweep deletes what the measurement left on the servers.
func (b *bench) sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := b.db.Exec(ctx, `DROP SCHEMA `+b.name+` CASCADE`)
	err = errors.Join(err, b.db.Close(ctx))
	options, parseErr := redis.ParseURL(b.redis)
	if parseErr != nil {
		return errors.Join(err, parseErr)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys := client.Scan(ctx, 0, "asynq:{"+b.name+"}:*", 1000).Iterator()
	for keys.Next(ctx) {
		err = errors.Join(err, client.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(err, keys.Err(), client.SRem(ctx, "asynq:queues", b.name).Err())
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stdout, format+"\n", args...)
}
