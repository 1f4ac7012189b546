package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
)

// maxViews bounds the number of sources and profiles of one document.
const maxViews = 1000

func (c *cli) showCommand() *cobra.Command {
	var output outputFlag
	var all bool
	command := c.command("show", readsLedger, &cobra.Command{
		Use:   "show URI",
		Short: "Show one document with its summary, checks and history",
		Long: `Show prints everything that the ledger has about one document. Name it by its URI as listed
(sub/a.pdf, data.jsonl#id7), by its local path, or by the URL of its source, a slash and its URI. If
several sources or profiles have the document, show prints the newest outcome. With --all it prints
all of them, with -o json as a list.

  gistmill show sub/a.pdf
  gistmill show s3://bucket/reports/2026/q1.pdf -o json`,
		Args: documentArg,
	}, func(ctx context.Context, a *app, args []string) error {
		views, err := a.documents(ctx, args[0])
		if err != nil {
			return err
		}
		if all {
			return a.showAll(views, output)
		}
		if len(views) > 1 {
			c.say("%s in other sources or profiles; use --all to see them", count(int64(len(views)-1), "more result"))
		}
		return output.write(c.stdout, documentViewOf(views[0]), func() error { return describeDocument(c.stdout, views[0]) })
	})
	output.add(command)
	command.Flags().BoolVar(&all, "all", false, "show the document in every source and profile")
	return command
}

func (a *app) showAll(views []report.Document, output outputFlag) error {
	rows := make([]documentView, len(views))
	for i, v := range views {
		rows[i] = documentViewOf(v)
	}
	return output.write(a.stdout, rows, func() error {
		for i, v := range views {
			if i > 0 {
				if _, err := fmt.Fprintln(a.stdout); err != nil {
					return err
				}
			}
			if err := describeDocument(a.stdout, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// documents returns the documents that a user names: at least one, or an error with a hint.
func (a *app) documents(ctx context.Context, name string) ([]report.Document, error) {
	views, err := report.New(a.ledger).Documents(ctx, name, maxViews)
	if err != nil || len(views) > 0 {
		return views, err
	}
	if !strings.Contains(name, "://") {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		if views, err = report.New(a.ledger).Documents(ctx, filepath.ToSlash(path), maxViews); err != nil || len(views) > 0 {
			return views, err
		}
	}
	return nil, fmt.Errorf("document %q: %w%s", name, ledger.ErrNotFound, a.similar(ctx, name))
}

// similar suggests documents with the same name in other folders. It is only a hint, so it takes at
// most two seconds and ignores errors.
func (a *app) similar(ctx context.Context, name string) string {
	const most = 3
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	last := name[strings.LastIndexByte(strings.TrimRight(name, "/"), '/')+1:]
	found, err := report.New(a.ledger).SimilarURIs(ctx, last, most)
	if err != nil || len(found) == 0 {
		return ""
	}
	return "; did you mean " + text.TerminalLine(strings.Join(found, " or ")) + "?"
}

// documentView is a document as shown. Its JSON fields are an interface for users.
type documentView struct {
	URI           string               `json:"uri"`
	ID            string               `json:"id,omitempty"` // of a JSON line
	Source        string               `json:"source"`
	Run           string               `json:"run"`
	State         ledger.DocumentState `json:"state"`
	Gone          bool                 `json:"gone"`
	Profile       string               `json:"profile"`
	Model         string               `json:"model"` // of the profile
	AnsweredBy    *answeredBy          `json:"answered_by"`
	ContentSHA256 string               `json:"content_sha256"`
	Size          int64                `json:"size"`
	Modified      *time.Time           `json:"modified_at"`
	At            *time.Time           `json:"at"`
	Attempts      int64                `json:"attempts"`
	Class         string               `json:"class"`
	Message       string               `json:"message"`
	Title         string               `json:"title"`
	Summary       *string              `json:"summary"`
	Output        json.RawMessage      `json:"output,omitempty"`
	Checks        json.RawMessage      `json:"checks"`
	TokensIn      int64                `json:"tokens_in"`
	TokensOut     int64                `json:"tokens_out"`
	CostUSD       *float64             `json:"cost_usd"`
	Chunks        int64                `json:"chunks"`
	History       []report.Event       `json:"history"`
	// As in the records of summaries.
	Fields         json.RawMessage `json:"fields,omitempty"`
	FieldsTooLarge int64           `json:"fields_too_large,omitempty"`
}

// answeredBy is the model and endpoint that made a summary.
type answeredBy struct {
	Model    string `json:"model"`    // as the endpoint names it
	Endpoint string `json:"endpoint"` // host; empty for the extractive engine
}

func (a answeredBy) String() string {
	if a.Endpoint == "" {
		return a.Model
	}
	return a.Model + " at " + a.Endpoint
}

func documentViewOf(v report.Document) documentView {
	d := documentView{
		URI: v.URI, Source: v.Source, Run: v.Run, State: v.State, Gone: v.Gone, Profile: v.Profile, Model: v.Model, ContentSHA256: v.ContentSHA256,
		Size: v.Size, Modified: notZero(v.Modified), At: notZero(v.At), Attempts: v.Attempts, Class: string(v.Class), Message: v.Message,
		Checks: json.RawMessage("[]"), History: v.History,
		ID: v.ID, Fields: v.Fields.JSON, FieldsTooLarge: v.Fields.TooLarge,
	}
	if d.History == nil {
		d.History = []report.Event{}
	}
	if s := v.Summary; s != nil {
		d.Title, d.Summary, d.Output, d.TokensIn, d.TokensOut, d.Chunks = s.Title, &s.Text, s.Output, s.TokensIn, s.TokensOut, s.Chunks
		d.CostUSD = export.USD(s.CostNano)
		d.AnsweredBy = &answeredBy{s.Model, s.Endpoint}
		if len(s.Checks) > 0 {
			d.Checks = s.Checks
		}
	}
	return d
}

// describeDocument prints a document for people.
func describeDocument(stdout io.Writer, v report.Document) error {
	state := string(v.State)
	if v.Gone {
		state += ", gone from its source"
	}
	rows := [][]string{
		{"URI:", v.URI},
		{"Source:", v.Source},
		{"State:", state},
		{"Run:", orDash(v.Run)},
		{"Model:", v.Model},
		{"Profile:", abbreviated(v.Profile)},
		{"Size:", fmt.Sprintf("%s, changed %s", humanize.Bytes(uint64(max(v.Size, 0))), when(v.Modified))},
		{"Content:", orDash(abbreviated(v.ContentSHA256))},
		{"Attempts:", fmt.Sprintf("%d, last outcome %s", v.Attempts, when(v.At))},
	}
	if v.Class != "" {
		rows = append(rows, []string{"Class:", string(v.Class)}, []string{"Message:", v.Message})
	}
	if s := v.Summary; s != nil {
		rows = append(rows, []string{"Answered by:", answeredBy{s.Model, s.Endpoint}.String()}, []string{"Tokens:", fmt.Sprintf("%s in, %s out, %s", number(s.TokensIn), number(s.TokensOut), count(s.Chunks, "chunk"))},
			[]string{"Cost:", usd(s.CostNano)}, []string{"Title:", orDash(s.Title)})
	}
	width := terminal.Width(stdout)
	if err := describe(stdout, width, rows...); err != nil {
		return err
	}
	if err := describeSummary(stdout, width, v); err != nil {
		return err
	}
	return describeHistory(stdout, width, v.History)
}

// abbreviated returns the first 12 digits of a hash, as git does. JSON has all of them.
func abbreviated(hash string) string { return text.Cut(hash, 12) }

func describeSummary(stdout io.Writer, width int, v report.Document) error {
	s := v.Summary
	if s == nil {
		return nil
	}
	heading := "Summary:"
	if v.State != ledger.DocumentDone {
		heading = "Summary (the last one):"
	}
	out := heading + "\n" + indented(s.Text, width)
	if len(s.Output) > 0 {
		out += "Output:\n" + indented(pretty(s.Output), 0)
	}
	if findings := export.Findings(s.Checks); len(findings) > 0 {
		out += "Checks:\n"
		for _, f := range findings {
			out += "  " + strings.Join(fitted(f, width-2), "\n    ") + "\n"
		}
	}
	_, err := io.WriteString(stdout, out)
	return err
}

func pretty(raw json.RawMessage) string {
	b, err := json.MarshalIndent(raw, "", "  ")
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// indented indents a text and makes it safe for terminals. It breaks lines that are longer than a
// width in columns, unless that is 0.
func indented(s string, width int) string {
	s = strings.TrimSpace(text.TerminalSafe(s))
	if width > 0 {
		var lines []string
		for line := range strings.SplitSeq(s, "\n") {
			lines = append(lines, fitted(line, width-2)...)
		}
		s = strings.Join(lines, "\n")
	}
	return "  " + strings.ReplaceAll(s, "\n", "\n  ") + "\n"
}

func describeHistory(stdout io.Writer, width int, history []report.Event) error {
	if len(history) == 0 {
		return nil
	}
	if _, err := io.WriteString(stdout, "History:\n"); err != nil {
		return err
	}
	var rows [][]string
	for _, e := range history {
		attempt := "-"
		if e.Attempt > 0 {
			attempt = fmt.Sprintf("attempt %d", e.Attempt)
		}
		rows = append(rows, []string{"  " + when(e.At), e.Run, e.Event, attempt, orDash(string(e.Class)), e.Message})
	}
	if width == 0 {
		return table(stdout, rows...)
	}
	for _, row := range rows { // the message has lines of its own
		lines := fitted(strings.Join(row[:5], " "), width-2)
		if row[5] != "" {
			lines = append(lines, fitted(row[5], width-4)...)
		}
		if err := writeIndented(stdout, "  ", 4, lines); err != nil {
			return err
		}
	}
	return nil
}
