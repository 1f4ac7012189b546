package extract

import (
	"strings"
	"unicode/utf8"
)

// maxTitle limits a title in bytes. A longer text is not a title, and joining a million pieces
// would take quadratic time.
const maxTitle = 1024

func extendTitle(title string, more []byte) string {
	n := min(len(more), maxTitle-len(title))
	for n > 0 && n < len(more) && !utf8.RuneStart(more[n]) {
		n--
	}
	return title + string(more[:n])
}

// usableTitle drops titles that programs write if the user set none.
func usableTitle(title string) string {
	low := strings.ToLower(strings.TrimSpace(title))
	for _, prefix := range []string{"microsoft word - ", "untitled", "layout 1", "slide 1"} {
		if strings.HasPrefix(low, prefix) {
			return ""
		}
	}
	for _, suffix := range []string{".doc", ".docx", ".tex", ".dvi", ".indd", ".qxd", ".pdf", ".ps", ".rtf", ".odt", ".pages"} {
		if strings.HasSuffix(low, suffix) {
			return ""
		}
	}
	return title
}
