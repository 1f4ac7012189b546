package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/internal/usage"
)

// outputFlag is the flag -o: text for people, or JSON.
type outputFlag struct{ json bool }

func (o *outputFlag) add(command *cobra.Command) {
	command.Flags().VarP(o, "output", "o", "output `format`: text or json")
	usage.SetGroup(command.Flags(), usage.Output, "output")
	completeFlag(command, "output", fixed("text", "json"))
}

var _ pflag.Value = (*outputFlag)(nil)

// String implements [pflag.Value].
func (o *outputFlag) String() string {
	if o.json {
		return "json"
	}
	return "text"
}

// Set implements [pflag.Value].
func (o *outputFlag) Set(s string) error {
	switch s {
	case "json":
		o.json = true
	case "text":
		o.json = false
	default:
		return errors.New(text.NotOneOf(s, "text", "json"))
	}
	return nil
}

// Type implements [pflag.Value].
func (o *outputFlag) Type() string { return "format" }

// write writes the value as JSON, or calls asText.
func (o *outputFlag) write(stdout io.Writer, v any, asText func() error) error {
	if !o.json {
		return asText()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
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

// when formats a time with its zone.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
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
