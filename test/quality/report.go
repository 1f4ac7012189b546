package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/extractive"
)

// report is the content of RESULTS.md.
type report struct {
	words int
	rows  []row
	sides []side
	long  string
}

// side is one example with the two summaries to compare.
type side struct {
	name            string
	bytes, words    int
	engine, lexRank string
	took            time.Duration // of the engine
}

// compare adds the examples.
func (r *report) compare(ctx context.Context) error {
	var err error
	if r.long, err = long(ctx, r.words); err != nil { // first, while little memory is in use
		return err
	}
	examples, err := loadExamples(ctx)
	if err != nil {
		return err
	}
	for _, e := range examples {
		s := side{name: e.name, bytes: len(e.doc.Text), words: e.words, lexRank: lexRank(e.doc.Text, e.words)}
		start := time.Now()
		if s.engine, err = extractive.Summarize(ctx, e.doc.Title, e.doc.Text, e.words); err != nil {
			return fmt.Errorf("summarize %s: %w", e.name, err)
		}
		s.took = time.Since(start)
		r.sides = append(r.sides, s)
	}
	return nil
}

// table is Markdown that also reads well on a terminal.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %-16s | %-13s | ROUGE-1 | ROUGE-2 | ROUGE-L | words | a document |\n|---|---|---|---|---|---|---|\n", "papers", "method")
	for _, x := range r.rows {
		fmt.Fprintf(&b, "| %-16s | %-13s | %7.1f | %7.1f | %7.1f | %5.0f | %10v |\n",
			x.set, x.method, x.score.One, x.score.Two, x.score.L, x.words, x.took.Round(100*time.Microsecond))
	}
	return b.String()
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The built-in engine beside Lead and plain LexRank

Written by the command below; do not edit.

- command: `+"`make bench-quality`, which is `go run ./test/quality -papers $(PAPERS)`"+`
- commit: %s
- machine: %s
- engine: %s, %d words asked for

%s
F1 in percent, means over documents. The papers are 200 of the ACL Anthology, each with a summary
that a person wrote, abstracts taken out (ScisummNet 2019, Yasunaga et al., AAAI 2019, CC BY 4.0; not shipped here).

**Score.** ROUGE of our own (package rouge; Lin 2004): words are runs of letters and digits in lower case, no
stemming, stop words kept; ROUGE-L over the two texts as wholes (sentence level).

**Baselines.** Both take whole sentences, from the same sentence splitter, headings left out, until the asked length is
reached; a sentence that would go further beyond it than the summary is short of it is passed over. LexRank is the continuous one with damping 0.85 over all words, without filter
or bound on redundancy.

**Halves.** The set was cut in two at random by a fixed seed. The engine's weights were found on the tuned half only;
the other half says what they are worth on papers not seen. It was looked at during the work, but no choice was made by it.
A paired difference of less than about half a point is noise at this size.

**Times** are of the wall clock, taken while other programs ran on the machine.

## Other text

There are no human summaries of these texts, so they are printed for reading: the engine's summary, then plain LexRank at the same length.
`, commit(), machine(), extractive.Version, r.words, r.table())
	for _, s := range r.sides {
		fmt.Fprintf(&b, "\n### %s\n\n%d bytes of text, %d words asked for, %v.\n\n**%s:** %s\n\n**plain LexRank:** %s\n",
			s.name, s.bytes, s.words, s.took.Round(100*time.Microsecond), extractive.Version, quoted(s.engine), quoted(s.lexRank))
	}
	fmt.Fprintf(&b, "\n## Long text\n\n%s Plain LexRank is quadratic and was not tried.\n", r.long)
	return b.String()
}

// quoted escapes a document's own marks, which would become Markdown of the report.
func quoted(s string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "`", "\\`", "|", `\|`, "<", `\<`, "#", `\#`).Replace(s)
}

func commit() string {
	c := output("git", "rev-parse", "--short", "HEAD")
	if output("git", "status", "--porcelain", "internal/checks", "internal/extractive", "internal/summarize", "test/quality/*.go") != "" {
		c += " with changes"
	}
	return c
}

func machine() string {
	cpu := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(data)) {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// output returns what a command prints, and "unknown" when it fails.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
