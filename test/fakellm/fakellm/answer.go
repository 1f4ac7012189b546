package fakellm

import "strings"

// extract returns this model's summary: the first lines of the prompt that look like prose, up
// to the given number of words. It depends on the prompt alone.
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
		// The second pass accepts lines that the first one rejects.
	}
	return "The document is empty."
}

// isProse rejects headings, delimiters and lists.
func isProse(line string) bool {
	words := 0
	for range strings.FieldsSeq(line) {
		if words++; words == 8 {
			return true
		}
	}
	return strings.HasSuffix(strings.TrimSpace(line), ".")
}

// cutWords shortens text to about the given number of bytes, at a space.
func cutWords(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	if i := strings.LastIndexByte(text[:max(0, bytes)], ' '); i > 0 {
		return text[:i]
	}
	return strings.ToValidUTF8(text[:max(0, bytes)], "")
}
