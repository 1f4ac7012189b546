package fakellm

import "strings"

// extract is the summary this model writes: the first lines of the prompt that
// look like prose, up to so many words. It depends on the prompt alone.
func extract(prompt string, words int) string {
	var out strings.Builder
	left := words
	for pass := range 2 {
		for line := range strings.Lines(prompt) {
			if pass == 0 && !isProse(line) {
				continue
			}
			for w := range strings.FieldsSeq(line) {
				if left == 0 {
					return out.String()
				}
				if out.Len() > 0 {
					out.WriteByte(' ')
				}
				out.WriteString(w)
				left--
			}
		}
		if out.Len() > 0 {
			return out.String()
		}
		// The second pass takes what the first found nothing in.
	}
	return "The document is empty."
}

// isProse leaves out headings, delimiters and lists.
func isProse(line string) bool {
	words := 0
	for range strings.FieldsSeq(line) {
		if words++; words == 8 {
			return true
		}
	}
	return strings.HasSuffix(strings.TrimSpace(line), ".")
}

// cutWords shortens text to about so many bytes, at a space.
func cutWords(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	if i := strings.LastIndexByte(text[:max(0, bytes)], ' '); i > 0 {
		return text[:i]
	}
	return strings.ToValidUTF8(text[:max(0, bytes)], "")
}
