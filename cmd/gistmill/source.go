package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/usage"
)

// sourceFlags select the documents of a source.
type sourceFlags struct {
	include, exclude   []string
	since, until       string
	limit              int
	hidden             bool
	idField, textField string
}

func (f *sourceFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringArrayVar(&f.include, "include", nil, "only documents whose URI matches this `glob` (** matches across folders; repeatable)")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out documents whose URI matches this `glob` (repeatable)")
	flags.StringVar(&f.since, "since", "", "only documents changed at or after this `time`: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 36h or 7d")
	flags.StringVar(&f.until, "until", "", "only documents changed before this `time`")
	flags.IntVar(&f.limit, "limit", 0, "only the first `N` documents of the source")
	flags.BoolVar(&f.hidden, "hidden", false, "include documents whose name begins with a dot")
	flags.StringVar(&f.idField, "id-field", "", "`key` that identifies a line of a .jsonl file (default id)")
	flags.StringVar(&f.textField, "text-field", "", "`key` of the text in a line of a .jsonl file (default text)")
	usage.SetGroup(flags, usage.Source, "include", "exclude", "since", "until", "limit", "hidden", "id-field", "text-field")
}

// open opens a source for listing. spool is the folder for the documents of standard input.
func (f *sourceFlags) open(ctx context.Context, a *app, raw string, spool string) (*source.Source, error) {
	o := a.sourceOptions()
	o.Include, o.Exclude, o.Limit, o.Hidden = f.include, f.exclude, f.limit, f.hidden
	o.IDField, o.TextField = f.idField, f.textField
	o.Skip = a.ledgerFiles()
	if out := a.outFolder(); out != "" {
		o.Skip = append(o.Skip, out)
	}
	if raw == "-" {
		o.Stdin, o.Spool = a.stdin, spool
	}
	for _, glob := range slices.Concat(f.include, f.exclude) {
		if !doublestar.ValidatePattern(glob) {
			return nil, &usageError{fmt.Errorf("%q is not a valid glob (--include, --exclude)", glob)}
		}
	}
	var err error
	if o.Since, err = parseTime("since", f.since); err != nil {
		return nil, err
	}
	if o.Until, err = parseTime("until", f.until); err != nil {
		return nil, err
	}
	if f.limit < 0 {
		return nil, &usageError{fmt.Errorf("--limit is %d, but must not be negative", f.limit)}
	}
	return source.Open(ctx, raw, o)
}

// check opens each of several sources once, to report an invalid one before another is planned.
func (f *sourceFlags) check(ctx context.Context, a *app, all []string) error {
	if len(all) < 2 {
		return nil
	}
	for _, raw := range all {
		if raw == "-" { // can be read only once
			continue
		}
		src, err := f.open(ctx, a, raw, "")
		if err != nil {
			return err
		}
		if err := src.Close(); err != nil {
			return err
		}
	}
	return nil
}

// parseTime parses a date, a time, or an age before now.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if age, err := parseAge(s); err == nil {
		return time.Now().Add(-age), nil
	}
	return time.Time{}, &usageError{fmt.Errorf("--%s %q is not a time: use 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 36h or 7d", flag, s)}
}

// parseAge parses a duration, which may be in days.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		if _, err := fmt.Sscanf(days+" ", "%g ", &n); err == nil && n >= 0 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not an age: use a duration such as 36h or 30d", s)
	}
	return d, nil
}
