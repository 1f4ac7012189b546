package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func tallies(b *strings.Builder, rows []tally) {
	fmt.Fprintf(b, "| %-42s |", "summaries flagged for")
	for _, k := range kinds() {
		fmt.Fprintf(b, " %s |", k)
	}
	b.WriteString(" any |\n|---|")
	b.WriteString(strings.Repeat("---|", len(kinds())+1) + "\n")
	for _, t := range rows {
		fmt.Fprintf(b, "| %-42s |", fmt.Sprintf("%s (%d)", t.name, t.of))
		for _, k := range kinds() {
			fmt.Fprintf(b, " %*d |", len(k), t.flagged[k])
		}
		fmt.Fprintf(b, " %3d |\n", t.any)
	}
}

func (r *checksReport) tables() string {
	var b strings.Builder
	tallies(&b, append(append(append(append([]tally(nil), r.noise...), r.coverage...), r.length...), r.language...))
	for _, d := range r.found {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %.0f %% |\n", d.name, d.kinds[0], d.made, d.caught, 100*float64(d.caught)/float64(max(d.made, 1)))
	}
	for _, s := range r.speed {
		fmt.Fprintf(&b, "%s: %d bytes, %v\n", s.name, s.bytes, s.took.Round(100*time.Nanosecond))
	}
	return b.String()
}

func (r *checksReport) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The checks on summaries: false alarms and detection

Written by the command below; do not edit.

- command: `+"`make bench-checks`, which is `go run ./test/quality -papers $(PAPERS) -checks test/quality/CHECKS.md`"+`
- commit: %s
- machine: %s; load average %s

The texts are the 200 papers of [RESULTS.md](RESULTS.md), bodies without abstracts, and the web pages that go-readability's tests bring along, in a
dozen languages. A summary counts once a check, however many findings it has of it.

## False alarms

`, commit(), machine(), load())
	tallies(&b, r.noise)
	fmt.Fprintf(&b, `
The extractive engine selects sentences of the document, so every finding of a number, date, name or quotation in its summaries is a
false alarm. The abstracts were written by people, some of them from the papers' own abstracts, which are removed from the bodies:
statements that are in the abstract but not in the body are flagged, as intended. %s
The abstracts had no required length, so their length is not checked. The thresholds of coverage were chosen on all of these papers:
on others it may do worse.

Coverage of the engine's summaries is flagged more often, because four or five whole sentences come from few places. There is no
remedy for that, and nothing else can be found in sentences of the document itself: summaries of the extractive engine are not
checked.

## Detection

Summaries without a finding of the kind, changed in one place at random (fixed seed). A change counts as caught if the finding is the
changed piece. Most missed changes are numbers that occur elsewhere in the paper by chance.

| summaries: what was changed | check | changed | caught | |
|---|---|---|---|---|
`, r.absent)
	for _, d := range r.found {
		if d.made > 0 {
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %.0f %% |\n", d.name, d.kinds[0], d.made, d.caught, 100*float64(d.caught)/float64(d.made))
		}
	}
	b.WriteString("\n### Coverage\n\n")
	tallies(&b, r.coverage)
	b.WriteString("\nPapers of less than 16 KiB are not cut into parts. An introduction speaks of the whole paper, so the first words are a hard case. The abstract of another paper of the same field\nis no case for coverage: names give it away.\n\n### Length\n\n")
	tallies(&b, r.length)
	b.WriteString("\n### Language\n\n")
	tallies(&b, r.language)
	b.WriteString("\n## Time\n\n| document and summary | bytes | a summary | MB/s |\n|---|---|---|---|\n")
	for _, s := range r.speed {
		fmt.Fprintf(&b, "| %s | %d | %v | %.0f |\n", s.name, s.bytes, s.took.Round(100*time.Nanosecond), float64(s.bytes)/s.took.Seconds()/1e6)
	}
	b.WriteString("\nMeans of the wall clock on one core, while other programs ran on the machine; `go test -bench Check ./internal/checks` has more sizes, up to 64 MiB.\n")
	return b.String()
}

// load returns the machine's load.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil || len(strings.Fields(string(data))) == 0 {
		return "unknown"
	}
	return strings.Fields(string(data))[0]
}
