package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// row is one measured step.
type row struct {
	name      string
	took      time.Duration
	processor time.Duration // of the program alone; 0: not measured
	peak      int64         // bytes; 0: not measured
}

// result is all that is reported.
type result struct {
	machine, commit, servers, load string
	lines, bytes                   int
	tasks                          int64
	rows                           []row
}

// describeMachine says where and of what this was measured.
func describeMachine(ctx context.Context, b *bench) result {
	r := result{lines: b.lines, bytes: b.bytes}
	r.machine = fmt.Sprintf("%s, %d processors, %s/%s, %s", processorName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		r.commit = strings.TrimSpace(string(out))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.load = strings.Fields(string(load))[0]
	}
	return r
}

func processorName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// describeServers says what the servers are, as far as they tell.
func (b *bench) describeServers(ctx context.Context) error {
	var postgres, fsync string
	if err := b.db.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync')`).Scan(&postgres, &fsync); err != nil {
		return err
	}
	options, err := redis.ParseURL(b.redis)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.InfoMap(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("reach Redis: %w", err)
	}
	b.result.servers = fmt.Sprintf("PostgreSQL %s (fsync %s), Redis %s, on the same machine", strings.Fields(postgres)[0], fsync, info["Server"]["redis_version"])
	return nil
}

func (r result) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, `# Enqueuing a large .jsonl file

Written by the command below; do not edit.

- command: %s, which is %s
- commit: %s
- machine: %s; load before the start %s
- servers: %s
- source: a .jsonl file of %d documents with %d bytes of text each; %d tasks

| step | seconds | processor, s | peak memory, MiB |
|---|---|---|---|
`, "`make bench-enqueue LINES="+fmt.Sprint(r.lines)+"`", "`go run ./test/bench/enqueue -lines "+fmt.Sprint(r.lines)+"`",
		r.commit, r.machine, r.load, r.servers, r.lines, r.bytes, r.tasks)
	for _, row := range r.rows {
		fmt.Fprintf(&t, "| %s | %.1f | %s | %s |\n", row.name, row.took.Seconds(), seconds(row.processor), mebibytes(row.peak))
	}
	t.WriteString(`
Seconds are from the start of the process to its end. Processor time is gistmill's own, without the servers'. Memory is the peak
of the resident set (VmHWM). The floor is one connection that copies rows of the same size to a staging table and upserts
them, and neither reads a file nor knows of runs, partitions or a queue.
`)
	return t.String()
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

func mebibytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n >> 20)
}

// command runs a program that says nothing when all is well.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
