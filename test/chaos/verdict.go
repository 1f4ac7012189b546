package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// A figure is a line of a result.
type figure struct {
	what, found, wanted string
	good                bool
}

func exactly(what string, found, wanted int64) figure {
	return figure{what, fmt.Sprint(found), fmt.Sprint(wanted), found == wanted}
}

func atMost(what string, found, most int64, why string) figure {
	return figure{what, fmt.Sprint(found), fmt.Sprintf("≤ %d%s", most, why), found <= most}
}

func atLeast(what string, found, least int64, why string) figure {
	return figure{what, fmt.Sprint(found), fmt.Sprintf("≥ %d%s", least, why), found >= least}
}

// reported is a figure without a verdict.
func reported(what string, found any) figure { return figure{what, fmt.Sprint(found), "", true} }

// judge compares the ledger, the queue, the export and the model's record with the expected
// result. All runs must be finished.
func (s *site) judge(ctx context.Context, want expected) ([]figure, error) {
	n, err := s.numbers(ctx, map[string]string{
		"done":    `SELECT COUNT(*) FROM results WHERE state = 'done'`,
		"refused": `SELECT COUNT(*) FROM results WHERE state = 'dead' AND class = 'refused'`,
		"results": `SELECT COUNT(*) FROM results`,
		"listed":  `SELECT COUNT(*) FROM documents`,
		"open":    `SELECT COUNT(*) FROM run_documents WHERE state IN ('pending', 'claimed')`,
		"twice":   `SELECT COUNT(*) FROM (SELECT document_id FROM run_documents WHERE state = 'done' GROUP BY document_id HAVING COUNT(*) > 1) d`,
		"crashed": `SELECT COUNT(*) FROM history WHERE event = 'crashed' OR class = 'crashing'`,
		// A document that was booked as done once has one attempt more than it has failures.
		"booked": `SELECT COUNT(*) FROM run_documents x WHERE x.state = 'done' AND x.attempts <> 1 +
			(SELECT COUNT(*) FROM history h WHERE h.document_id = x.document_id AND h.run_num = x.run_num AND h.event = 'failed')`,
		"failed":     `SELECT COUNT(*) FROM history WHERE event = 'failed'`,
		"open calls": `SELECT COUNT(*) FROM calls WHERE finished_at IS NULL`,
		"tokens":     `SELECT COALESCE(SUM(tokens_in + tokens_out), 0) FROM calls`,
		"lost calls": `SELECT COUNT(*) FROM calls WHERE class = 'lost'`,
		"stale":      `SELECT COALESCE(SUM(n), 0) FROM counts WHERE name = 'stale'`,
		"workers":    `SELECT COUNT(*) FROM workers`,
	})
	if err != nil {
		return nil, err
	}
	exported, err := s.export(ctx, want.uris)
	if err != nil {
		return nil, err
	}
	keys, err := s.taskKeys(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.twice(); err != nil {
		return nil, err
	}
	stats := s.endpoint.fake.Stats()
	return []figure{
		exactly("documents listed", n["listed"], int64(want.done+want.dead)),
		exactly("documents done", n["done"], int64(want.done)),
		exactly("documents dead (refused by the model)", n["refused"], int64(want.dead)),
		exactly("documents lost (neither)", int64(want.done+want.dead)-n["results"], 0),
		exactly("… open in some run", n["open"], 0),
		exactly("documents done in more than one run", n["twice"], 0),
		exactly("documents completed more than once in a run", n["booked"], 0),
		exactly("crashes counted against a document", n["crashed"], 0),
		exactly("documents exported, each once", exported, int64(want.done)),
		exactly("distinct prompts answered", int64(stats.Distinct), int64(want.contents)),
		atLeast("tokens in the ledger", n["tokens"], stats.TokensIn+stats.TokensOut, " (what the model charged)"),
		exactly("calls open in the ledger", n["open calls"], 0),
		exactly("keys of tasks in Redis", keys, 0),
		reported("attempts spent on failures", n["failed"]),
		reported("calls completed at their reservation after a kill", n["lost calls"]),
		reported("calls abandoned by their client", stats.Outcomes[fakellm.OutcomeAbandoned]),
		reported("workers started", n["workers"]),
	}, nil
}

// taskKeys counts the remaining keys of tasks in Redis. A task ends a moment after its run.
func (s *site) taskKeys(ctx context.Context) (n int64, err error) {
	lists := []string{"pending", "active", "lease", "scheduled", "retry", "archived", "completed"}
	waited := await(ctx, "an empty queue", time.Minute, func(ctx context.Context) (bool, error) {
		keys, err := s.redis.Client.Keys(ctx, "asynq:{"+queue+"}:*").Result()
		n = 0
		for _, key := range keys {
			kind := strings.TrimPrefix(key, "asynq:{"+queue+"}:")
			if strings.HasPrefix(kind, "t:") || slices.Contains(lists, kind) {
				n++
			}
		}
		return err == nil && n == 0, err
	})
	if waited != nil && n == 0 {
		return 0, waited
	}
	return n, nil
}

// export counts the expected documents that an export has exactly once. Anything else in it is
// a violation.
func (s *site) export(ctx context.Context, want map[string]bool) (int64, error) {
	name := filepath.Join(s.dir, "export.jsonl")
	if err := s.run(ctx, nil, "export", name); err != nil {
		return 0, err
	}
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ URI, Summary string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return 0, err
		}
		if !want[line.URI] || seen[line.URI] || line.Summary == "" {
			s.violation("the export has %s, wanted: %v, already: %v, with a summary: %v", line.URI, want[line.URI], seen[line.URI], line.Summary != "")
			continue
		}
		seen[line.URI] = true
	}
	return int64(len(seen)), lines.Err()
}

// twice writes the calls for prompts that were answered more than once, in the order they
// ended.
func (s *site) twice() error {
	answers := map[string][]fakellm.Call{}
	for _, c := range s.endpoint.fake.Calls() {
		if c.Outcome == fakellm.OutcomeOK || c.Outcome == fakellm.OutcomeRefused || c.Outcome == fakellm.OutcomeAbandoned {
			answers[c.Prompt] = append(answers[c.Prompt], c)
		}
	}
	var b strings.Builder
	for prompt, all := range answers {
		if len(all) < 2 {
			continue
		}
		fmt.Fprintln(&b, prompt)
		for _, c := range all {
			fmt.Fprintf(&b, "  %-14s %-9s began %s, took %.0f ms\n", c.Key, c.Outcome, c.At.Sub(s.begun).Round(time.Millisecond), c.Millis)
		}
	}
	return os.WriteFile(filepath.Join(s.dir, "logs", "twice.txt"), []byte(b.String()), 0o600)
}

// violationsFigure is the number of violations as a figure.
func (s *site) violationsFigure() figure {
	return exactly("violations during the run", int64(len(s.found())), 0)
}

// table formats the figures as Markdown.
func table(figures []figure) string {
	var b strings.Builder
	b.WriteString("| | found | wanted | |\n|---|---:|---:|---|\n")
	for _, f := range figures {
		verdict := ""
		switch {
		case !f.good:
			verdict = "**no**"
		case f.wanted != "":
			verdict = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.what, f.found, f.wanted, verdict)
	}
	return b.String()
}
