package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/text"
)

// writePage renders a summary as Markdown: title, summary, the other fields of a custom schema,
// findings and origin. A page depends on the record only, so an unchanged record gives the same
// bytes.
func writePage(b *bytes.Buffer, r Record) {
	fmt.Fprintf(b, "# %s\n", literal(heading(r)))
	fields := fieldsOf(r.Output)
	if !isRendering(r.Summary, fields) {
		fmt.Fprintf(b, "\n%s\n", prose(r.Summary))
	}
	for _, f := range fields {
		if text, ok := f.text(); ok && f.name == "summary" && text == r.Summary {
			continue
		}
		f.write(b)
	}
	writeFindings(b, r.Checks)
	fmt.Fprintf(b, "\n---\n\nSource: %s in %s  \n", code(r.URI), code(r.Source))
	fmt.Fprintf(b, "Summary by %s from %s, %d tokens in, %d out, cost %s\n", code(r.Model), chunks(r.Chunks), r.TokensIn, r.TokensOut, cost(r.CostUSD))
}

// heading returns the title of a page. For a document without one it is the id of the line or the
// name of the file; the whole URI is at the end of the page.
func heading(r Record) string {
	if strings.TrimSpace(r.Title) != "" {
		return r.Title
	}
	return cmp.Or(r.ID, path.Base(r.URI))
}

// isRendering reports whether the summary repeats the fields as text. It does for a schema without
// a field "summary".
func isRendering(summary string, fields []field) bool {
	for _, f := range fields {
		if text, ok := f.text(); ok && f.name == "summary" && text == summary {
			return false
		}
	}
	return len(fields) > 0
}

func chunks(n int64) string {
	if n == 1 {
		return "1 chunk"
	}
	return fmt.Sprintf("%d chunks", n)
}

func cost(usd *float64) string {
	if usd == nil {
		return "unknown"
	}
	return text.USD(*usd)
}

// field is a field of a JSON object.
type field struct {
	name  string
	value json.RawMessage
}

// fieldsOf returns the fields of a JSON object in their order. Other values have none.
func fieldsOf(object json.RawMessage) []field {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	var fields []field
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fields
		}
		f := field{name: fmt.Sprint(name)}
		if err := d.Decode(&f.value); err != nil {
			return fields
		}
		fields = append(fields, f)
	}
	return fields
}

func (f field) text() (string, bool) {
	var s *string
	if json.Unmarshal(f.value, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// write renders a field as a section: text as it is, a list of plain values as a list, and anything
// deeper as JSON.
func (f field) write(b *bytes.Buffer) {
	var v any
	if json.Unmarshal(f.value, &v) != nil || v == nil || v == "" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", literal(strings.ReplaceAll(f.name, "_", " ")))
	if text, ok := v.(string); ok {
		fmt.Fprintf(b, "%s\n", prose(text))
		return
	}
	if items, ok := plainItems(f.value); ok {
		for _, item := range items {
			fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(prose(item), "\n", "\n  "))
		}
		return
	}
	if isPlain(f.value) {
		fmt.Fprintf(b, "%s\n", bytes.TrimSpace(f.value))
		return
	}
	var indented bytes.Buffer
	if json.Indent(&indented, f.value, "", "  ") == nil {
		fence(b, "json", indented.String())
	}
}

// plainItems returns the items of a list that contains no lists or objects.
func plainItems(value json.RawMessage) ([]string, bool) {
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil || len(items) == 0 {
		return nil, false
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if !isPlain(item) {
			return nil, false
		}
		if text, ok := (field{value: item}).text(); ok {
			texts[i] = text
		} else {
			texts[i] = string(bytes.TrimSpace(item))
		}
	}
	return texts, true
}

func isPlain(value json.RawMessage) bool {
	value = bytes.TrimSpace(value)
	return len(value) > 0 && value[0] != '[' && value[0] != '{'
}

// writeFindings lists the findings of a summary.
func writeFindings(b *bytes.Buffer, raw json.RawMessage) {
	findings := Findings(raw)
	if len(findings) == 0 {
		return
	}
	b.WriteString("\n## Checks\n\n")
	for _, f := range findings {
		fmt.Fprintf(b, "- %s\n", literal(f))
	}
}

// Findings returns the findings of a summary's checks as lines for people, such as
// `number "1,200": this number is not in the document`. Values that are not findings are returned
// as stored.
func Findings(raw json.RawMessage) []string {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	lines := make([]string, len(items))
	for i, item := range items {
		var f checks.Finding
		if json.Unmarshal(item, &f) != nil || f.Check == "" || f.Message == "" {
			lines[i] = oneLine(string(item))
			continue
		}
		lines[i] = oneLine(string(f.Check) + " \"" + f.Found + "\": " + f.Message)
	}
	return lines
}

// oneLine returns s on one line, safe for terminals.
func oneLine(s string) string { return text.OneLine(text.TerminalSafe(s)) }

// prose prepares text of a model or a document for Markdown. Lists and emphasis stay. It removes
// characters that control a terminal and escapes HTML and images: a viewer would fetch an image
// from any address that the text names.
func prose(s string) string {
	s = strings.TrimSpace(text.TerminalSafe(s))
	if !strings.ContainsAny(s, "<!") {
		return s
	}
	var b strings.Builder
	escaped := false // by the backslash before; a second backslash would undo it
	for i, r := range s {
		if !escaped && (r == '<' && opensTag(s[i+1:]) || r == '!' && strings.HasPrefix(s[i+1:], "[")) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		escaped = r == '\\' && !escaped
	}
	return b.String()
}

// opensTag reports whether < before this text begins HTML or an autolink (CommonMark 0.31, 6.5 and
// 6.6).
func opensTag(after string) bool {
	if after == "" {
		return false
	}
	c := after[0]
	return c == '/' || c == '!' || c == '?' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// literal escapes text so that Markdown shows it unchanged, on one line.
func literal(s string) string {
	s = oneLine(s)
	var b strings.Builder
	before := ' '
	for i, r := range s {
		next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		// An underscore within a word is plain text (CommonMark 0.31, 6.2).
		closes := r == '#' && i == len(s)-1 // ends a heading (CommonMark 0.31, 4.2)
		if closes || strings.ContainsRune("\\`*[]<", r) || r == '_' && !(letter(before) && letter(next)) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// code returns s as a code span.
func code(s string) string {
	s = oneLine(s)
	ticks := strings.Repeat("`", longest(s)+1)
	if s == "" || s[0] == '`' || s[len(s)-1] == '`' {
		return ticks + " " + s + " " + ticks
	}
	return ticks + s + ticks
}

func fence(b *bytes.Buffer, language, s string) {
	s = text.TerminalSafe(s)
	ticks := strings.Repeat("`", max(3, longest(s)+1))
	fmt.Fprintf(b, "%s%s\n%s\n%s\n", ticks, language, s, ticks)
}

// longest returns the length of the longest run of backquotes.
func longest(s string) int {
	most, now := 0, 0
	for _, r := range s {
		if r == '`' {
			now++
			most = max(most, now)
		} else {
			now = 0
		}
	}
	return most
}
