package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/marker"
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
	timeField          string
}

// opened is a source that check has opened and looked at.
type opened struct {
	source.Given
	src *source.Source // nil: standard input, which can be read only once, or taken
	// unmatched says that no document matches --include; empty: one does, or it is not known.
	unmatched string
}

// take returns the source, which the caller closes. spool is for [sourceFlags.open].
func (s *opened) take(ctx context.Context, a *app, f *sourceFlags, spool string) (*source.Source, error) {
	if src := s.src; src != nil {
		s.src = nil
		return src, nil
	}
	return f.open(ctx, a, s.Given, spool)
}

func (f *sourceFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringArrayVar(&f.include, "include", nil, "only documents whose URI matches this `glob` (** matches across folders; repeatable)")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out documents whose URI matches this `glob` (repeatable)")
	flags.StringVar(&f.since, "since", "", "only documents changed at or after this `time`: 2026-01-31 (local time), 2026-01-31T12:00:00Z, or an age such as 36h or 7d")
	flags.StringVar(&f.until, "until", "", "only documents changed before this `time`")
	flags.IntVar(&f.limit, "limit", 0, "only the first `N` documents of the source")
	flags.BoolVar(&f.hidden, "hidden", false, "include hidden files, whose names begin with a dot")
	flags.StringVar(&f.idField, "id-field", "", "`key` that identifies a line of a .jsonl file (default id)")
	flags.StringVar(&f.textField, "text-field", "", "`key` of the text in a line of a .jsonl file (default text)")
	flags.StringVar(&f.timeField, "time-field", "", "`key` of the time of a line of a .jsonl file, for --since and --until (default: that of the file)")
	usage.SetGroup(flags, usage.Source, "include", "exclude", "since", "until", "limit", "hidden", "id-field", "text-field", "time-field")
}

// open opens a source for listing. spool is the folder for the documents of standard input.
func (f *sourceFlags) open(ctx context.Context, a *app, given source.Given, spool string) (*source.Source, error) {
	o := a.sourceOptions()
	o.Include, o.Exclude, o.Limit, o.Hidden = f.include, f.exclude, f.limit, f.hidden
	o.IDField, o.TextField, o.TimeField = f.idField, f.textField, f.timeField
	o.Skip = a.ledgerFiles()
	o.Files = given.Files
	if given.Address == "-" {
		o.Stdin, o.Spool = a.stdin, spool
	}
	for _, glob := range slices.Concat(f.include, f.exclude) {
		if !doublestar.ValidatePattern(glob) {
			return nil, &usageError{fmt.Errorf("%q is not a valid glob (--include, --exclude)", glob)}
		}
	}
	var err error
	if o.Since, o.Until, err = f.times(); err != nil {
		return nil, err
	}
	if f.limit < 0 {
		return nil, &usageError{fmt.Errorf("--limit is %d, but must not be negative", f.limit)}
	}
	doing := "opening " + config.RedactURL(given.Address)
	if given.Address == "-" {
		doing = "reading standard input"
	}
	done := a.slow(doing)
	src, err := source.Open(ctx, given.Address, o)
	done()
	if bad := (*source.FieldsError)(nil); errors.As(err, &bad) {
		err = &usageError{err}
	}
	return src, err
}

// times returns the bounds of --since and --until, zero without one.
func (f *sourceFlags) times() (since, until time.Time, err error) {
	if since, err = parseTime("since", f.since); err != nil {
		return since, until, err
	}
	if until, err = parseTime("until", f.until); err != nil {
		return since, until, err
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		err = &usageError{fmt.Errorf("--since %s is not before --until %s: no document can match", minute(since), minute(until))}
	}
	return since, until, err
}

// check looks at all sources before anything is written, and prints what the user should know. It
// fails if one does not exist or has lines without the fields.
//
// It returns the sources. Several files are one source. The app closes those that are not taken.
func (f *sourceFlags) check(ctx context.Context, a *app, args []string) ([]*opened, error) {
	if _, err := a.prices(); err != nil {
		return nil, err
	}
	since, until, err := f.times()
	if err != nil {
		return nil, err
	}
	if len(args) > 1 && slices.Contains(args, "-") {
		return nil, &usageError{errors.New("- reads standard input: it cannot be combined with other sources")}
	}
	for _, arg := range args {
		if path, ok := source.LocalPath(arg); ok && slices.ContainsFunc(strings.Split(filepath.ToSlash(path), "/"), marker.IsPrivate) {
			return nil, &usageError{fmt.Errorf("%s holds gistmill's own data, which is never a document: name another source", arg)}
		}
	}
	given, err := source.Gather(ctx, args)
	if err != nil {
		return nil, err
	}
	switch {
	case !since.IsZero() && !until.IsZero():
		a.say("only documents changed since %s and before %s", minute(since), minute(until))
	case !since.IsZero():
		a.say("only documents changed since %s", minute(since))
	case !until.IsZero():
		a.say("only documents changed before %s", minute(until))
	}
	all := make([]*opened, len(given))
	for i, one := range given {
		all[i] = &opened{Given: one}
	}
	a.closes = append(a.closes, func() error {
		for _, s := range all {
			if s.src != nil {
				_ = s.src.Close() // it was only read
			}
		}
		return nil
	})
	for _, s := range all {
		if s.Address == "-" {
			continue
		}
		if err := f.checkOne(ctx, a, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f *sourceFlags) checkOne(ctx context.Context, a *app, s *opened) (err error) {
	if s.src, err = f.open(ctx, a, s.Given, ""); err != nil {
		return err
	}
	done := a.slow("looking at " + s.src.URL())
	survey, err := s.src.Survey(ctx)
	done()
	if bad := (*source.FieldsError)(nil); errors.As(err, &bad) {
		return &usageError{err}
	}
	if err != nil {
		return fmt.Errorf("look at the source %s: %w", s.Address, err)
	}
	for _, w := range survey.Warnings {
		a.say("warning: %s", w)
	}
	if survey.Unmatched {
		s.unmatched = f.describeLeftOut(s.Given, survey.LeftOut)
	}
	return nil
}

// checkMatches fails if no document of any source matches --include, which is likely a typing
// error. It is not one if the ledger has such a document: a folder may be emptied and filled
// again. A ledger that does not exist has none, and is not made. One that cannot be read now is
// asked when checkMatches is called again, with an open ledger.
func checkMatches(ctx context.Context, a *app, all []*opened) error {
	reasons := make([]string, len(all))
	for i, s := range all {
		if reasons[i] = s.unmatched; s.unmatched == "" {
			return nil
		}
	}
	l := a.ledger
	if l == nil {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		var err error
		switch l, err = ledger.Open(ctx, a.config.Store, ledger.Options{Access: ledger.AccessRead}); {
		case errors.Is(err, ledger.ErrMissing):
			return &usageError{errors.New(strings.Join(reasons, "; "))}
		case err != nil:
			return nil // documented
		}
		defer l.Close()
	}
	for _, s := range all {
		known, err := report.New(l).AnyDocument(ctx, s.src.URL(), s.src.Includes)
		if err != nil || known {
			return err
		}
	}
	return &usageError{errors.New(strings.Join(reasons, "; "))}
}

// warnOfListing prints what the user should know about a listing that has ended.
func (f *sourceFlags) warnOfListing(a *app, given source.Given, src *source.Source, listed int64) {
	if listed == 0 {
		a.say("warning: %s", f.describeLeftOut(given, src.LeftOut()))
	}
	unknown := src.UnknownTimes()
	if n := unknown.Missing; n > 0 && f.since+f.until != "" {
		a.say("warning: %s without %q: their time is unknown, and --since and --until leave none of them out", count(n, "line"), f.timeField)
	}
	if n := unknown.Unreadable; n > 0 {
		a.say("warning: %s with a %q that is not a time: their time is unknown", count(n, "line"), f.timeField)
	}
}

// describeLeftOut says why a listing has no document.
func (f *sourceFlags) describeLeftOut(given source.Given, left source.LeftOut) string {
	raw := given.Address
	include, exclude := globs("--include", f.include), globs("--exclude", f.exclude)
	n := left.Sum()
	switch n {
	case 0:
		if left.Hidden > 0 {
			return fmt.Sprintf("%s has no documents, except %s that %s with a dot (--hidden reads them)", raw, count(left.Hidden, "name"), map[bool]string{true: "begins", false: "begin"}[left.Hidden == 1])
		}
		return raw + " has no documents"
	case left.NotIncluded:
		return fmt.Sprintf("%s has %s, none matches %s", raw, count(n, "document"), include)
	}
	var why []string
	add := func(n int64, reason string) {
		if n > 0 {
			why = append(why, number(n)+" "+reason)
		}
	}
	since, until, _ := f.times() // they were parsed before
	add(left.NotIncluded, "not matched by "+include)
	add(left.Excluded, "left out by "+exclude)
	add(left.Older, "older than --since "+minute(since))
	add(left.Newer, "not older than --until "+minute(until))
	return fmt.Sprintf("%s has %s, and the filters leave none: %s", raw, count(n, "document"), strings.Join(why, ", "))
}

func globs(flag string, all []string) string {
	words := make([]string, len(all))
	for i, g := range all {
		words[i] = flag + " '" + g + "'"
	}
	return strings.Join(words, " ")
}

// minute formats a time with its zone.
func minute(t time.Time) string {
	if t.Second() != 0 {
		return t.Local().Format("2006-01-02 15:04:05 MST")
	}
	return t.Local().Format("2006-01-02 15:04 MST")
}

// parseTime parses a date, a time, or an age before now. A date or time without a zone is local,
// as all times are that the program prints.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	if age, err := parseAge(s); err == nil {
		return time.Now().Add(-age), nil
	}
	return time.Time{}, &usageError{fmt.Errorf("--%s %q is not a time: use 2026-01-31, \"2026-01-31 12:00\" (local time), 2026-01-31T12:00:00Z, or an age such as 36h or 7d", flag, s)}
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
