package extract

import (
	"bytes"
	"context"

	"github.com/gistmill/gistmill/internal/source"
)

// readMarkdown keeps Markdown as it is, except for a block of front matter. The title is that
// of the front matter, else the first heading of level one.
func readMarkdown(_ context.Context, _ *Extractor, raw *source.Raw) (extracted, error) {
	text := decode(raw.Data, "")
	title, body := frontMatter(text)
	if title == "" {
		title = firstHeading(body)
	}
	return extracted{title: title, text: body}, nil
}

// frontMatter removes a block between two lines of three dashes, and returns the title in it.
// Jekyll, Hugo, Pandoc and others use this form.
func frontMatter(text []byte) (string, []byte) {
	rest, ok := cutLine(text, "---")
	if !ok {
		return "", text
	}
	var title []byte
	for len(rest) > 0 {
		if body, ok := cutLine(rest, "---"); ok {
			return string(title), body
		}
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		line = bytes.TrimRight(line, "\r \t")
		key, value, hasColon := bytes.Cut(line, []byte{':'})
		indented := len(line) > 0 && (line[0] == ' ' || line[0] == '\t' || line[0] == '-' || line[0] == '#')
		if len(line) > 0 && !hasColon && !indented || len(text)-len(rest) > 64<<10 {
			return "", text // three dashes as a thematic break
		}
		if string(key) == "title" {
			title = bytes.Trim(bytes.TrimSpace(value), `"'`)
		}
		rest = after
	}
	return "", text
}

// cutLine removes the first line if it is want.
func cutLine(text []byte, want string) ([]byte, bool) {
	line, rest, _ := bytes.Cut(text, []byte{'\n'})
	return rest, string(bytes.TrimRight(line, "\r \t")) == want
}

// firstHeading returns the first heading of level one, ATX or Setext, outside of code fences.
func firstHeading(text []byte) string {
	var before []byte
	fence := false
	for line := range bytes.SplitSeq(text[:min(len(text), 64<<10)], []byte{'\n'}) {
		line = bytes.TrimRight(line, "\r \t")
		switch {
		case bytes.HasPrefix(line, []byte("```")), bytes.HasPrefix(line, []byte("~~~")):
			fence = !fence
		case fence:
		case headingLevel(line) == 1:
			return string(bytes.Trim(line, "# \t"))
		case len(line) >= 3 && len(bytes.Trim(line, "=")) == 0 && len(before) > 0:
			return string(bytes.TrimSpace(before))
		}
		before = line
	}
	return ""
}
