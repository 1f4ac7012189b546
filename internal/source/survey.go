package source

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// surveyFiles is how many files a survey meets, so that it stays short beside a listing.
	surveyFiles = 10_000
	// surveyObjects is how many objects of a bucket a survey reads: each is a request.
	surveyObjects = 50
	// surveyLines and surveyBytes are what a survey reads of a JSONL file.
	surveyLines = 100
	surveyBytes = 8 << 20
	// surveyJSON is how many files a survey reads to find JSON lines under another name.
	surveyJSON = 100
	// shownFields is how many names of fields a message lists.
	shownFields = 12
)

// Survey is what a look at a source shows before it is planned.
type Survey struct {
	// Warnings are sentences for the user.
	Warnings []string
	// Unmatched means that there are documents, and that none matches [Options].Include, whatever
	// its time. LeftOut counts them.
	Unmatched bool
	LeftOut   LeftOut
}

// FieldsError means that the fields of [Options] are not those of the lines. Its text names the
// fields that the lines have.
type FieldsError struct{ reason string }

func (e *FieldsError) Error() string { return e.reason }

// Survey looks at a source without listing all of it. It reads the first 100 lines of each JSONL
// file among the first 10,000 files (50 files of a bucket). If [Options].Include matches none of
// these 10,000, it lists again until a document matches.
//
// The error is a [*FieldsError] if no line of a file has the fields and the user named the file,
// or no other file of the source has them. In a source with other JSONL files such a file gets a
// warning: its lines are dead letters of their own.
func (s *Source) Survey(ctx context.Context) (Survey, error) {
	var v Survey
	var wrong []*FieldsError
	var misnamed []string
	met, opened, peeked := 0, 0, 0
	right, matched := false, false
	_, isBucket := s.tree.(*bucketTree)
	err := s.tree.list(ctx, &s.filter, func(it item) bool {
		if met++; met > surveyFiles {
			return false
		}
		if it.problem != "" || !s.filter.matchesTime(s.fileTime(it)) || s.filter.excluded(it.uri) || !s.filter.included(it.uri) {
			return true
		}
		matched = true
		if opened == surveyObjects && isBucket {
			return false
		}
		switch {
		case holdsLines(it.name):
			opened++
			sample := s.sample(ctx, it)
			bad := sample.problem(it.uri, s.fields, s.timeField)
			if right = right || bad == nil && sample.objects > 0; bad != nil {
				wrong = append(wrong, bad)
			}
		case peeked < surveyJSON && mayHoldJSON(it.name, s.filter.named(it.uri)):
			opened++
			peeked++
			if sample := s.sample(ctx, it); sample.objects > 1 && sample.objects == sample.lines {
				misnamed = append(misnamed, it.uri)
			}
		}
		return true
	})
	if err != nil {
		return v, err
	}
	for _, bad := range wrong {
		if !right || s.filter.only != nil {
			return v, bad
		}
		v.Warnings = append(v.Warnings, bad.reason+"; its lines become dead letters, --exclude leaves it out")
	}
	if len(misnamed) > 0 {
		first := misnamed[0]
		hint := fmt.Sprintf("%s has a JSON object in each line and is read as one document: name it %s to summarize each line",
			first, strings.TrimSuffix(path.Base(first), path.Ext(first))+".jsonl")
		if len(misnamed) > 1 {
			hint += fmt.Sprintf(" (and %d more like it)", len(misnamed)-1)
		}
		v.Warnings = append(v.Warnings, hint)
	}
	if len(s.filter.include) > 0 && !matched {
		v.Unmatched, v.LeftOut, err = s.unmatched(ctx)
	}
	return v, err
}

// mayHoldJSON reports whether a look for JSON lines is worth it, by a file's name.
func mayHoldJSON(name string, named bool) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return true
	case ".txt", "":
		return named
	}
	return false
}

// unmatched lists until a document matches Include.
func (s *Source) unmatched(ctx context.Context) (bool, LeftOut, error) {
	var left LeftOut
	f := s.filter
	f.left, f.since, f.until = &left, time.Time{}, time.Time{}
	found := false
	var failed error
	err := s.tree.list(ctx, &f, func(it item) bool {
		switch {
		case holdsLines(it.name) && it.problem == "" && !f.excluded(it.uri):
			if found = s.filter.included(it.uri); !found {
				failed = s.lines(ctx, it, &f, &UnknownTimes{}, func(Entry) bool { found = true; return false })
			}
		case s.filter.included(it.uri):
			found = true
		case it.problem == "":
			f.includes(it.uri)
		}
		return !found && failed == nil
	})
	return !found && left.NotIncluded > 0, left, cmp.Or(failed, err)
}

// Includes reports whether [Options].Include admits a URI.
func (s *Source) Includes(uri string) bool { return s.filter.included(uri) }

// lineSample is what the first lines of a file have.
type lineSample struct {
	times          bool // values are parsed as times
	lines, objects int  // lines that are not blank; those that are JSON objects
	cut            bool
	id, text       int // lines with a usable field
	hasText        int // lines with the text field, of any type
	keys           []string
	fields         map[string]*fieldSample
}

// fieldSample is what a field of the sampled lines has.
type fieldSample struct {
	ids    int                 // lines where it could be an id
	bytes  int                 // of its strings
	values map[uint64]struct{} // hashes of its values
	parsed int                 // lines where it is a time
	times  int                 // of these, with a year near ours: numbers are times too
}

// sample reads the first lines of a file. A file that cannot be read has none: the listing
// reports it.
func (s *Source) sample(ctx context.Context, it item) lineSample {
	r, _, err := s.openLines(ctx, it)
	if err != nil {
		return lineSample{}
	}
	defer func() { _ = r.Close() }()
	return sampleLines(r, s.fields, s.max, s.timeField != "")
}

// sampleLines reads the first lines of a file, and with times also whether their values are times.
func sampleLines(r io.Reader, fields lineFields, max int64, times bool) lineSample {
	out := lineSample{times: times, fields: map[string]*fieldSample{}}
	bounded := &io.LimitedReader{R: r, N: surveyBytes}
	scan := newLineReader(bounded, min(max, surveyBytes))
	for {
		ln, err := scan.next()
		if err != nil || bounded.N == 0 && scan.start == scan.end { // the last line may be cut
			out.cut = out.cut || bounded.N == 0
			return out
		}
		if !ln.long && blank(ln.data) {
			continue
		}
		if out.lines == surveyLines {
			out.cut = true
			return out
		}
		out.lines++
		if !ln.long {
			out.add(ln.data, fields)
		}
	}
}

func (l *lineSample) add(line []byte, fields lineFields) {
	type member struct {
		key   string
		value []byte
	}
	var members []member
	id, text, err := fields.values(line, func(key, value []byte) {
		members = append(members, member{string(unquote(key)), value})
	})
	if err != nil {
		return
	}
	l.objects++
	if id != nil && usableID(id) {
		l.id++
	}
	if text != nil {
		l.hasText++
		if text[0] == '"' {
			l.text++
		}
	}
	for _, m := range members {
		f := l.fields[m.key]
		if f == nil {
			if len(l.keys) == 10*shownFields {
				continue
			}
			f = &fieldSample{values: map[uint64]struct{}{}}
			l.fields[m.key] = f
			l.keys = append(l.keys, m.key)
		}
		if usableID(m.value) {
			f.ids++
			f.values[xxhash.Sum64(m.value)] = struct{}{}
		}
		if m.value[0] == '"' {
			f.bytes += len(m.value) - 2
		}
		if !l.times {
			continue
		}
		if t, ok := parseLineTime(m.value); ok {
			f.parsed++
			if t.Year() >= 1980 && t.Year() < 2200 {
				f.times++
			}
		}
	}
}

// usableID reports whether a raw value can identify a line, as [lineFields.find] has it.
func usableID(raw []byte) bool {
	if raw[0] == '"' {
		return len(raw) > 2 && len(raw) <= maxIDBytes+2
	}
	return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// problem returns an error if no line has one of the fields. Lines that are no objects say
// nothing about fields.
func (l *lineSample) problem(file string, fields lineFields, timeField string) *FieldsError {
	if l.objects > 0 && l.id > 0 && l.text > 0 && timeField != "" {
		return l.timeProblem(file, timeField)
	}
	if l.objects == 0 || l.id > 0 && l.text > 0 {
		return nil
	}
	var reason string
	switch _, has := l.fields[fields.id]; {
	case l.id == 0 && has:
		reason = fmt.Sprintf("%s: no line has a string or a number in %q", file, fields.id)
	case l.id == 0:
		reason = fmt.Sprintf("%s: no line has %q", file, fields.id)
	case l.hasText > 0:
		reason = fmt.Sprintf("%s: no line has a string in %q", file, fields.text)
	default:
		reason = fmt.Sprintf("%s: no line has %q", file, fields.text)
	}
	if len(l.keys) == 0 {
		return &FieldsError{reason + "; the lines have no fields"}
	}
	idField, textField := fields.id, fields.text
	if l.text == 0 {
		textField = l.likelyText(idField)
	}
	if l.id == 0 {
		idField = l.likelyID(textField)
	}
	var try []string
	if idField != "" && (idField != defaultIDField || idField != fields.id) {
		try = append(try, "--id-field "+text.ShellWord(idField))
	}
	if textField != "" && (textField != defaultTextField || textField != fields.text) {
		try = append(try, "--text-field "+text.ShellWord(textField))
	}
	if idField == "" || textField == "" || len(try) == 0 {
		return l.failure(reason, ": name the id and the text with --id-field and --text-field")
	}
	return l.failure(reason, ": try "+strings.Join(try, " "))
}

// failure returns an error with the fields of the lines between its reason and a hint.
func (l *lineSample) failure(reason, hint string) *FieldsError {
	reason += "; the lines have " + listNames(l.keys) + hint
	if l.cut {
		reason += fmt.Sprintf(" (lines read: the first %d)", l.lines)
	}
	return &FieldsError{reason}
}

// timeProblem returns an error if no line has a time.
func (l *lineSample) timeProblem(file, timeField string) *FieldsError {
	f := l.fields[timeField]
	if f != nil && f.parsed > 0 {
		return nil
	}
	reason := fmt.Sprintf("%s: no line has %q", file, timeField)
	if f != nil {
		reason = fmt.Sprintf("%s: no line has a time in %q", file, timeField)
	}
	best, most := "", l.objects/2
	for _, k := range l.keys {
		if n := l.fields[k].times; n > most {
			best, most = k, n
		}
	}
	hint := ""
	if best != "" {
		hint = ": try --time-field " + text.ShellWord(best)
	}
	return l.failure(reason, hint)
}

// likelyText returns the field with the longest strings, without the name of an id if there is
// another.
func (l *lineSample) likelyText(id string) string {
	best, bytes, isID := "", 0, true
	for _, k := range l.keys {
		f, named := l.fields[k], idName.MatchString(k)
		if k == id || f.bytes == 0 {
			continue
		}
		if best == "" || isID && !named || isID == named && f.bytes > bytes {
			best, bytes, isID = k, f.bytes, named
		}
	}
	return best
}

var idName = regexp.MustCompile(`(?i)(^|[_.\- ])(id|uid|uuid|guid|key)$|[a-z](Id|ID)$`)

// likelyID returns a field with another value in each line, one with the name of an id first.
func (l *lineSample) likelyID(text string) string {
	var unique []string
	for _, k := range l.keys {
		if f := l.fields[k]; k != text && f.ids == l.objects && len(f.values) == f.ids {
			unique = append(unique, k)
		}
	}
	if i := slices.IndexFunc(unique, idName.MatchString); i >= 0 {
		return unique[i]
	}
	if len(unique) > 0 {
		return unique[0]
	}
	return ""
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.@%+=:,/][A-Za-z0-9_.@%+=:,/-]*$`)

func listNames(keys []string) string {
	names := make([]string, 0, shownFields)
	for _, k := range keys[:min(len(keys), shownFields)] {
		if len(k) > 60 || !plainWord.MatchString(k) {
			k = strconv.Quote(k[:min(len(k), 60)])
		}
		names = append(names, k)
	}
	if len(keys) > shownFields {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}
