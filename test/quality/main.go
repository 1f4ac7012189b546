// Command quality compares the extractive engine with summaries written by people, next to Lead
// and plain LexRank at the same length, and writes test/quality/RESULTS.md.
//
//	go run ./test/quality -papers papers.jsonl
//
// With -checks it measures the checks on summaries instead: how often they flag correct
// summaries, and how often corrupted ones.
//
// It owns the comparison: the two baselines, the halves of the set, the examples, the
// corruptions. It does not own the engine, the checks or the score (package rouge), and it
// prints no wording of the set, only averages.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/extractive"
	"github.com/gistmill/gistmill/test/quality/rouge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("quality", flag.ContinueOnError)
	papers := flags.String("papers", "", "JSONL file of {id, title, text, summary}")
	words := flags.Int("words", 150, "words of a summary")
	checksOut := flags.String("checks", "", "measure the checks on summaries instead, and write this file; - is none")
	out := flags.String("out", "test/quality/RESULTS.md", "file to write the results to; empty for none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	set, err := readPapers(*papers)
	if err != nil {
		return err
	}
	if *checksOut != "" {
		r, err := measureChecks(ctx, set, *words)
		if err != nil {
			return err
		}
		fmt.Fprint(stdout, r.tables())
		if *checksOut == "-" {
			return nil
		}
		return os.WriteFile(*checksOut, []byte(r.markdown()), 0o644)
	}
	tuned, unseen := halves(set)
	var r report
	for _, part := range []struct {
		name   string
		papers []paper
	}{{"all", set}, {"tuned half", tuned}, {"other half", unseen}} {
		for _, m := range methods() {
			row, err := measure(ctx, m, part.papers, *words)
			if err != nil {
				return err
			}
			row.set = fmt.Sprintf("%s (%d)", part.name, len(part.papers))
			r.rows = append(r.rows, row)
		}
	}
	fmt.Fprint(stdout, r.table())
	if *out == "" {
		return nil
	}
	r.words = *words
	if err := r.compare(ctx); err != nil {
		return err
	}
	return os.WriteFile(*out, []byte(r.markdown()), 0o644)
}

// method summarizes a document in about the given number of words.
type method struct {
	name      string
	summarize func(ctx context.Context, title, text string, words int) (string, error)
}

func methods() []method {
	return []method{
		{"Lead", func(_ context.Context, _, text string, words int) (string, error) { return lead(text, words), nil }},
		{"plain LexRank", func(_ context.Context, _, text string, words int) (string, error) { return lexRank(text, words), nil }},
		{extractive.Version, extractive.Summarize},
	}
}

// row is one line of the table: means over a set of documents.
type row struct {
	set, method string
	score       rouge.Score // percent
	words       float64
	took        time.Duration // of a document
}

func measure(ctx context.Context, m method, papers []paper, words int) (row, error) {
	r := row{method: m.name}
	for _, p := range papers {
		start := time.Now()
		s, err := m.summarize(ctx, p.Title, p.Text, words)
		if err != nil {
			return row{}, fmt.Errorf("summarize %s: %w", p.ID, err)
		}
		r.took += time.Since(start)
		one := rouge.Of(s, p.Summary)
		r.score.One += one.One
		r.score.Two += one.Two
		r.score.L += one.L
		r.words += float64(len(strings.Fields(s)))
	}
	n := float64(len(papers))
	r.score.One *= 100 / n
	r.score.Two *= 100 / n
	r.score.L *= 100 / n
	r.words /= n
	r.took /= time.Duration(len(papers))
	return r, nil
}
