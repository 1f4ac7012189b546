package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/extractive"
	"github.com/gistmill/gistmill/internal/source"
)

// pair is a document and a summary of it.
type pair struct {
	id, title, text, summary string
	words                    int // requested length; 0: none
}

func (p pair) check() []checks.Finding {
	return checks.Check(checks.Document{Text: p.text, Around: []string{p.title}}, []string{p.summary}, checks.Asked{Words: p.words, Language: checks.SameLanguage})
}

// kinds are the checks in the order of the tables.
func kinds() []checks.Kind {
	return []checks.Kind{checks.Number, checks.Date, checks.Name, checks.Quote, checks.Coverage, checks.Length, checks.Language}
}

// tally counts the summaries that a check flags.
type tally struct {
	name    string
	of      int
	flagged map[checks.Kind]int
	any     int
}

func count(name string, pairs []pair) tally {
	t := tally{name: name, of: len(pairs), flagged: map[checks.Kind]int{}}
	for _, p := range pairs {
		seen := map[checks.Kind]bool{}
		for _, f := range p.check() {
			if !seen[f.Check] {
				seen[f.Check] = true
				t.flagged[f.Check]++
			}
		}
		if len(seen) > 0 {
			t.any++
		}
	}
	return t
}

// faithful are summaries without a known error.
type faithful struct{ abstracts, picked, pages, lead []pair }

// gather reads the papers and the web pages of go-readability's tests, with their summaries by
// the extractive engine.
func gather(ctx context.Context, papers []paper, words int) (faithful, error) {
	var f faithful
	for _, p := range papers {
		of := func(summary string, words int) pair { return pair{p.ID, p.Title, p.Text, summary, words} }
		picked, err := extractive.Summarize(ctx, p.Title, p.Text, words)
		if err != nil {
			return f, fmt.Errorf("summarize %s: %w", p.ID, err)
		}
		f.abstracts = append(f.abstracts, of(p.Summary, 0))
		f.picked = append(f.picked, of(picked, words))
		f.lead = append(f.lead, of(strings.Join(strings.Fields(p.Text)[:min(words, len(strings.Fields(p.Text)))], " "), words))
	}
	x := extract.New(extract.Limits{})
	defer x.Close()
	files, err := filepath.Glob(filepath.Join(output("go", "list", "-m", "-f", "{{.Dir}}", "codeberg.org/readeck/go-readability/v2"), "test-pages", "*", "source.html"))
	if err != nil {
		return f, fmt.Errorf("find the pages: %w", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return f, fmt.Errorf("read a page: %w", err)
		}
		d, err := x.Extract(ctx, &source.Raw{Name: "source.html", Data: data})
		if err != nil {
			continue // some test pages have no text
		}
		picked, err := extractive.Summarize(ctx, d.Title, d.Text, 100)
		if err != nil {
			return f, fmt.Errorf("summarize %s: %w", file, err)
		}
		if picked != "" {
			f.pages = append(f.pages, pair{filepath.Base(filepath.Dir(file)), d.Title, d.Text, picked, 100})
		}
	}
	return f, nil
}

// foreign are the pages that are not in English, by the name of their test.
func foreign() map[string]string {
	return map[string]string{
		"heise": "de", "lemonde-1": "fr", "liberation-1": "fr", "la-nacion": "es", "folha": "pt", "aktualne": "cs", "hukumusume": "ja", "pixnet": "zh", "qq": "zh",
	}
}

// checksReport is the content of CHECKS.md.
type checksReport struct {
	noise    []tally
	absent   string // findings in the abstracts that a plain search contradicts
	found    []detection
	coverage []tally
	length   []tally
	language []tally
	speed    []speed
}

// speed is the time for one summary.
type speed struct {
	name  string
	bytes int
	took  time.Duration
}

func measureChecks(ctx context.Context, papers []paper, words int) (*checksReport, error) {
	f, err := gather(ctx, papers, words)
	if err != nil {
		return nil, err
	}
	r := &checksReport{
		noise: []tally{count("abstracts by people", f.abstracts), count("picked from papers", f.picked), count("picked from web pages", f.pages)},
	}
	r.absent = search(f.abstracts)
	r.found = detect(f)
	r.coverage = []tally{count("first words of the paper", f.lead), count("picked from its first quarter", quarter(ctx, f.picked, words)), count("abstract of another paper", turned(f.abstracts))}
	r.length = []tally{count("three times the length", stretched(f.picked, 3)), count("a fifth of the length", stretched(f.picked, 0.2))}
	r.language = languages(f)
	r.speed = timed(f.abstracts)
	return r, nil
}

// search verifies the findings in abstracts with a simpler method: the words and figures of the
// piece in those of the document.
func search(pairs []pair) string {
	only := func(s string) string {
		return " " + strings.Join(strings.FieldsFunc(strings.ToLower(s), notWord), " ") + " "
	}
	all, standing := 0, 0
	for _, p := range pairs {
		text := only(p.title + " " + p.text)
		for _, x := range p.check() {
			switch x.Check {
			case checks.Number, checks.Date, checks.Name, checks.Quote:
				all++
				if strings.Contains(text, only(strings.TrimSuffix(x.Found, "…"))) {
					standing++
				}
			}
		}
	}
	return fmt.Sprintf("The abstracts have %d findings of numbers, dates, names and quotations. A plain search for the same words and figures finds %d of them in the paper's body.", all, standing)
}

func turned(pairs []pair) []pair {
	out := append([]pair(nil), pairs...)
	for i := range out {
		out[i].summary = pairs[(i+7)%len(pairs)].summary
	}
	return out
}

func quarter(ctx context.Context, pairs []pair, words int) []pair {
	out := append([]pair(nil), pairs...)
	for i, p := range out {
		if s, err := extractive.Summarize(ctx, p.title, p.text[:len(p.text)/4], words); err == nil {
			out[i].summary = s
		}
	}
	return out
}

// stretched makes summaries several times as long from text of the document.
func stretched(pairs []pair, by float64) []pair {
	out := append([]pair(nil), pairs...)
	for i, p := range out {
		fields := strings.Fields(p.text)
		out[i].summary = strings.Join(fields[:min(len(fields), int(by*float64(p.words)))], " ")
	}
	return out
}

// languages gives English papers a summary of a page in another language, and such pages a
// summary in English.
func languages(f faithful) []tally {
	var there, back, same []pair
	for i, p := range f.pages {
		if foreign()[p.id] == "" {
			continue
		}
		en := f.picked[i%len(f.picked)]
		there = append(there, pair{en.id, en.title, en.text, p.summary, 0})
		back = append(back, pair{p.id, p.title, p.text, en.summary, 0})
		same = append(same, p)
	}
	return []tally{
		count("English paper, summary of a foreign page", there), count("foreign page, summary of an English paper", back), count("foreign page, its own summary", same),
	}
}

func timed(pairs []pair) []speed {
	var out []speed
	measure := func(name string, pairs []pair) {
		s := speed{name: name}
		const rounds = 20
		start := time.Now()
		for range rounds {
			for _, p := range pairs {
				p.check()
			}
		}
		s.took = time.Since(start) / time.Duration(rounds*len(pairs))
		for _, p := range pairs {
			s.bytes += len(p.text)
		}
		s.bytes /= len(pairs)
		out = append(out, s)
	}
	small := append([]pair(nil), pairs...)
	for i, p := range small {
		at := strings.IndexByte(p.text[min(len(p.text), 2048):], ' ')
		small[i].text = p.text[:min(len(p.text), 2048+max(at, 0))]
		fields := strings.Fields(small[i].text)
		small[i].summary = strings.Join(fields[min(40, len(fields)):min(100, len(fields))], " ")
	}
	measure("the paper's first 2 KB, 60 words of it", small)
	measure("a whole paper, its abstract", pairs)
	return out
}
