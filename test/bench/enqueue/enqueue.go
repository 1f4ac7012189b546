package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// planned is a row of `enqueue -o json`.
type planned struct {
	Listed  int64 `json:"listed"`
	New     int64 `json:"new"`
	Skipped int64 `json:"skipped"`
	Tasks   int64 `json:"tasks"`
}

// expect fails when a count is another, tasks aside.
func (p planned) expect(want planned) error {
	want.Tasks = p.Tasks
	if p != want || (p.New > 0) != (p.Tasks > 0) {
		return fmt.Errorf("enqueue counted %+v, want %+v", p, want)
	}
	return nil
}

// enqueue runs the program once.
func (b *bench) enqueue(ctx context.Context, name string) (row, planned, error) {
	store, err := url.Parse(b.store)
	if err != nil {
		return row{}, planned{}, err
	}
	query := store.Query()
	query.Set("search_path", b.name)
	store.RawQuery = query.Encode()
	c := exec.CommandContext(ctx, b.binary, "enqueue", b.file(), "-o", "json", "--model", "extractive")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "GISTMILL_STORE=" + store.String(), "GISTMILL_REDIS=" + b.redis, "GISTMILL_QUEUE=" + b.name}
	c.Dir = b.dir
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	began := time.Now()
	if err := c.Start(); err != nil {
		return row{}, planned{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	peak, err := watch(c.Process.Pid, ended)
	r := row{name: name, took: time.Since(began), peak: peak}
	if err != nil {
		return r, planned{}, fmt.Errorf("%s: %w\n%s", name, err, stderr.String())
	}
	r.processor = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	b.say("%s: %s, %d MiB", name, r.took.Round(10*time.Millisecond), peak>>20)
	var plans []planned
	if err := json.Unmarshal(stdout.Bytes(), &plans); err != nil || len(plans) != 1 {
		return r, planned{}, errors.Join(err, fmt.Errorf("%s: not understood: %s", name, stdout.String()))
	}
	return r, plans[0], nil
}

// watch waits for a program's end and returns its peak resident memory in bytes, as the kernel kept it until some
// milliseconds before (proc(5): VmHWM). What wait4 reports would not do: it begins with the memory of who started it.
func watch(pid int, ended <-chan error) (peak int64, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-tick.C:
			peak = max(peak, highWater(pid))
		}
	}
}

func highWater(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // it has just ended
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// finish books the run as if workers had done it: all that the next enqueue looks at, by SQL, since real work would take
// minutes that nobody measures. Its tasks stay in the queue.
func (b *bench) finish(ctx context.Context) error {
	b.say("booking the run as finished")
	for _, statement := range []string{
		`INSERT INTO results (document_id, profile_id, run_num, version, state, content_sha256, summary, attempts, at)
			SELECT d.id, r.profile_id, r.num, d.version, 'done', '', 'bench', 1, CAST(extract(epoch FROM clock_timestamp())*1000 AS BIGINT)
			FROM run_documents x JOIN documents d ON d.id = x.document_id JOIN runs r ON r.num = x.run_num`,
		`UPDATE run_documents SET state = 'done', attempts = 1, tries = 1`,
		`UPDATE partitions SET state = 'done'`,
		`UPDATE runs SET state = 'finished', finished_at = CAST(extract(epoch FROM clock_timestamp())*1000 AS BIGINT)`,
		// Autovacuum would have done so in the time that the work takes.
		`VACUUM (ANALYZE) results`, `VACUUM (ANALYZE) run_documents`, `VACUUM (ANALYZE) documents`, `VACUUM (ANALYZE) partitions`,
	} {
		if _, err := b.db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("book the run as finished: %w", err)
		}
	}
	return nil
}
