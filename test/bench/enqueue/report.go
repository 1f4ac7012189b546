package main

import (
	"fmt"
	"strings"
	"time"
)

// row is one measured step.
type row struct {
	name      string
	took      time.Duration
	processor time.Duration // of the program alone; 0: not measured
	peak      int64         // bytes; 0: not measured
}

// result holds everything that is reported.
type result struct {
	here, servers string
	lines, bytes  int
	tasks         int64
	rows          []row
}

// title is the heading of the section in the file of results.
const title = "Enqueuing a large .jsonl file"

func (r result) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, `%s- servers: %s
- source: a .jsonl file of %d documents with %d bytes of text each; %d tasks

| step | seconds | processor, s | peak memory, MiB |
|---|---|---|---|
`, r.here, r.servers, r.lines, r.bytes, r.tasks)
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
