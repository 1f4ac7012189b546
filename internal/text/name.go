package text

import (
	"strconv"
	"strings"
)

// UnescapeName returns a name or an id as its source has it. In the URI of a document, bytes that
// are not UTF-8, control characters and line separators are written as %XX, and a percent sign
// before two hex digits as %25. Other percent signs are not changed.
func UnescapeName(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	var b strings.Builder
	b.Grow(len(uri))
	for i := 0; i < len(uri); i++ {
		if uri[i] == '%' && i+2 < len(uri) && isHex(uri[i+1]) && isHex(uri[i+2]) {
			c, _ := strconv.ParseUint(uri[i+1:i+3], 16, 8) // two hex digits always parse
			b.WriteByte(byte(c))
			i += 2
			continue
		}
		b.WriteByte(uri[i])
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
