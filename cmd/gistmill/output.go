package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/internal/usage"
)

// outputFlag is the flag -o: text for people, or JSON. Commands whose text is cut to the width of a
// terminal have wide, too: the text as without a terminal.
type outputFlag struct {
	json, wide bool
	formats    []string
}

func (o *outputFlag) add(command *cobra.Command) { o.addFormats(command, "text", "json") }

func (o *outputFlag) addWide(command *cobra.Command) { o.addFormats(command, "text", "wide", "json") }

func (o *outputFlag) addFormats(command *cobra.Command, formats ...string) {
	o.formats = formats
	last := len(formats) - 1
	command.Flags().VarP(o, "output", "o", "output `format`: "+strings.Join(formats[:last], ", ")+" or "+formats[last])
	usage.SetGroup(command.Flags(), usage.Output, "output")
	completeFlag(command, "output", fixed(formats...))
}

var _ pflag.Value = (*outputFlag)(nil)

// String implements [pflag.Value].
func (o *outputFlag) String() string {
	switch {
	case o.json:
		return "json"
	case o.wide:
		return "wide"
	}
	return "text"
}

// Set implements [pflag.Value].
func (o *outputFlag) Set(s string) error {
	if !slices.Contains(o.formats, s) {
		return errors.New(text.NotOneOf(s, o.formats...))
	}
	o.json, o.wide = s == "json", s == "wide"
	return nil
}

// Type implements [pflag.Value].
func (o *outputFlag) Type() string { return "format" }

// width returns the width in columns that text must fit into; 0 is no limit.
func (o *outputFlag) width(stdout io.Writer) int {
	if o.wide {
		return 0
	}
	return terminal.Width(stdout)
}

// write writes the value as JSON, or calls asText.
func (o *outputFlag) write(stdout io.Writer, v any, asText func() error) error {
	if !o.json {
		return asText()
	}
	return writeJSON(stdout, v, "  ")
}

// writeJSON writes a value as JSON, on one line if indent is empty.
func writeJSON(stdout io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := stdout.Write(text.TerminalSafeJSON(b.Bytes()))
	return err
}

// jsonList writes a JSON array element by element, because a list may exceed the memory.
type jsonList struct {
	stdout io.Writer
	n      int
}

func (l *jsonList) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	before := ",\n  "
	if l.n == 0 {
		before = "[\n  "
	}
	l.n++
	_, err = fmt.Fprintf(l.stdout, "%s%s", before, text.TerminalSafeJSON(b))
	return err
}

func (l *jsonList) end() error {
	after := "\n]\n"
	if l.n == 0 {
		after = "[]\n"
	}
	_, err := io.WriteString(l.stdout, after)
	return err
}

// table writes rows as aligned columns.
func table(stdout io.Writer, rows ...[]string) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = text.TerminalLine(cell)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// describe writes names with values, such as those of a document. On a terminal, whose width in
// columns is not 0, it breaks long values into lines.
func describe(stdout io.Writer, width int, rows ...[]string) error {
	if width == 0 {
		return table(stdout, rows...)
	}
	names := 0
	for _, row := range rows {
		names = max(names, len(row[0])+2)
	}
	for _, row := range rows {
		if err := writeIndented(stdout, terminal.Pad(row[0], names), names, fitted(row[1], width-names)); err != nil {
			return err
		}
	}
	return nil
}

// writeIndented writes lines: the first after a prefix, the others after that number of spaces.
func writeIndented(stdout io.Writer, prefix string, spaces int, lines []string) error {
	_, err := fmt.Fprintln(stdout, strings.TrimRight(prefix+strings.Join(lines, "\n"+strings.Repeat(" ", spaces)), " "))
	return err
}

// fitColumns removes columns from a table until it fits into the width of a terminal, in the order
// of their headings in drop. It cuts the last column, which keeps at least 12 columns of the
// terminal. A width of 0 changes nothing.
func fitColumns(rows [][]string, width int, drop ...string) [][]string {
	if width == 0 {
		return rows
	}
	const least, gap = 12, 2
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], terminal.Columns(cell))
		}
	}
	for {
		last := len(widths) - 1
		used := gap * last
		for _, w := range widths[:last] {
			used += w
		}
		if used+min(widths[last], least) <= width || len(drop) == 0 {
			for _, row := range rows {
				row[last] = terminal.CutStart(row[last], max(least, width-used))
			}
			return rows
		}
		if column := slices.Index(rows[0], drop[0]); column >= 0 {
			widths = slices.Delete(widths, column, column+1)
			for i, row := range rows {
				rows[i] = slices.Delete(row, column, column+1)
			}
		}
		drop = drop[1:]
	}
}

func number(n int64) string { return humanize.Comma(n) }

func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// usd formats nano-USD; nil means an unknown price.
func usd(nano *int64) string {
	if nano == nil {
		return "unknown"
	}
	return text.USD(float64(*nano) / 1e9)
}

// usdMost formats an upper bound in USD, rounded up.
func usdMost(amount float64) string {
	if amount >= 0.01 {
		amount = math.Ceil(amount*100-1e-6) / 100
	}
	return text.USD(amount)
}

// when formats a time with its zone.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// shortWhen is [when] in at most 11 columns. A heading has the [zone].
func shortWhen(t time.Time) string {
	const recent = 300 * 24 * time.Hour
	switch {
	case t.IsZero():
		return "-"
	case time.Since(t) > recent:
		return t.Local().Format("2006-01-02")
	}
	return t.Local().Format("01-02 15:04")
}

// zone returns the name of the time zone of times in text.
func zone() string { return time.Now().Format("MST") }

// fitted returns a text as lines for a terminal of a width in columns, or as one line if width is
// below 1: then it is not for a terminal.
func fitted(s string, width int) []string {
	if width < 1 {
		return []string{text.TerminalLine(s)}
	}
	return text.Wrap(s, width)
}

// round formats a duration for people.
func round(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func notZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func summaries(n int64) string {
	if n == 1 {
		return "1 summary"
	}
	return number(n) + " summaries"
}
