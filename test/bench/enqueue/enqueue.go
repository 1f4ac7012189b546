package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

// planned is a row of `enqueue -o json`.
type planned struct {
	Listed  int64 `json:"listed"`
	New     int64 `json:"new"`
	Skipped int64 `json:"skipped"`
	Tasks   int64 `json:"tasks"`
}

// expect fails if a count differs. Tasks are not compared.
func (p planned) expect(want planned) error {
	want.Tasks = p.Tasks
	if p != want || (p.New > 0) != (p.Tasks > 0) {
		return fmt.Errorf("enqueue counted %+v, want %+v", p, want)
	}
	return nil
}

// enqueue runs the program once.
func (b *bench) enqueue(ctx context.Context, name string) (row, planned, error) {
	c := exec.CommandContext(ctx, b.binary, "enqueue", b.file(), "-o", "json", "--model", "extractive")
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir}, b.place.Environment()...)
	c.Dir = b.dir
	p, err := program.Start(c)
	if err != nil {
		return row{}, planned{}, err
	}
	<-p.Ended() // its context is ours
	ended, err := p.Wait(ctx)
	if err != nil {
		return row{}, planned{}, err
	}
	r := row{name: name, took: ended.Took, processor: ended.Processor, peak: ended.Peak}
	if ended.Code != 0 {
		return r, planned{}, fmt.Errorf("%s: exit code %d\n%s", name, ended.Code, ended.Stderr)
	}
	b.say("%s: %s, %d MiB", name, r.took.Round(10*time.Millisecond), r.peak>>20)
	var plans []planned
	if err := json.Unmarshal([]byte(ended.Stdout), &plans); err != nil || len(plans) != 1 {
		return r, planned{}, errors.Join(err, fmt.Errorf("%s: not understood: %s", name, ended.Stdout))
	}
	return r, plans[0], nil
}

// finish completes the run by SQL, as far as the next enqueue reads it. Real work would take
// minutes that are not part of the measurement. The tasks stay in the queue.
func (b *bench) finish(ctx context.Context) error {
	b.say("booking the run as finished")
	for _, statement := range []string{
		`INSERT INTO results (document_id, profile_id, run_num, version, state, content_sha256, summary, attempts, at)
			SELECT d.id, r.profile_id, r.num, d.version, 'done', '', 'bench', 1, CAST(extract(epoch FROM clock_timestamp())*1000 AS BIGINT)
			FROM run_documents x JOIN documents d ON d.id = x.document_id JOIN runs r ON r.num = x.run_num`,
		`UPDATE run_documents SET state = 'done', attempts = 1, tries = 1`,
		`UPDATE partitions SET state = 'done'`,
		`UPDATE runs SET state = 'finished', finished_at = CAST(extract(epoch FROM clock_timestamp())*1000 AS BIGINT)`,
		// Autovacuum would run in the time that real work takes.
		`VACUUM (ANALYZE) results`, `VACUUM (ANALYZE) run_documents`, `VACUUM (ANALYZE) documents`, `VACUUM (ANALYZE) partitions`,
	} {
		if _, err := b.place.DB.Exec(ctx, statement); err != nil {
			return fmt.Errorf("book the run as finished: %w", err)
		}
	}
	return nil
}
