package extract

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// headBytes is how much of a document its type is detected from.
const headBytes = 8 << 10

// decodedHead returns the start of a text as UTF-8.
func decodedHead(data []byte) []byte {
	head := data[:min(len(data), headBytes)]
	if name, enc := sniffUnicode(data); name != "" {
		if enc == nil {
			return bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
		}
		if out, err := enc.NewDecoder().Bytes(head[:len(head)&^3]); err == nil {
			return bytes.TrimPrefix(out, []byte("\xef\xbb\xbf"))
		}
	}
	return head
}

// sniffUnicode recognizes a byte order mark, and UTF-16 without one. The encoding is nil for
// UTF-8.
func sniffUnicode(data []byte) (string, encoding.Encoding) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "utf-8", nil
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")):
		return "utf-32le", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	case bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return "utf-32be", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return "utf-16le", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "utf-16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	return bareUTF16(data)
}

// bareUTF16 recognizes UTF-16 without a byte order mark by its spaces and line ends. Text has
// U+0020 or U+000A often, and only the right byte order shows them. Control characters and
// unassigned ones rule an order out.
func bareUTF16(data []byte) (string, encoding.Encoding) {
	head := data[:min(len(data)&^1, headBytes)]
	if len(head) < 8 || bytes.IndexByte(head, 0) < 0 {
		return "", nil
	}
	for _, e := range []struct {
		name  string
		order binary.ByteOrder
		enc   encoding.Encoding
	}{
		{"utf-16le", binary.LittleEndian, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
		{"utf-16be", binary.BigEndian, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	} {
		spaces, bad, latin := 0, 0, 0
		for i := 0; i+1 < len(head); i += 2 {
			switch c := e.order.Uint16(head[i:]); {
			case c == ' ' || c == '\n':
				spaces++
				latin++
			case c == '\r' || c == '\t':
			case c < 0x20 || c >= 0x7f && c < 0xa0 || c >= 0xfffe:
				bad++
			case c < 0x250:
				latin++
			}
		}
		units := len(head) / 2
		if bad == 0 && spaces*60 >= units && latin*2 >= units {
			return e.name, e.enc
		}
	}
	return "", nil
}

// decode returns a text as UTF-8. declared is the character set that the document names, if
// any. The result may be data itself. Invalid sequences remain, and [text.Clean] replaces them.
func decode(data []byte, declared string) []byte {
	if name, enc := sniffUnicode(data); name != "" {
		if enc == nil {
			return data[3:]
		}
		return mustDecode(enc, data)
	}
	if utf8.Valid(data) || mostlyUTF8(data) {
		return data
	}
	if enc, name := charset.Lookup(declared); enc != nil && name != "utf-8" {
		return mustDecode(enc, data)
	}
	return mustDecode(guess(data), data)
}

// mostlyUTF8 reports whether a text is UTF-8 with some damage. Other encodings rarely have ten
// valid sequences for each invalid one.
func mostlyUTF8(data []byte) bool {
	good, bad := 0, 0
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		i += n
	}
	return good > 10*bad
}

// guess finds the encoding of a text that is not Unicode from its byte statistics. If these are
// not clear it returns windows-1252, which has a character for nearly every byte, and which
// browsers use for undeclared western pages.
func guess(data []byte) encoding.Encoding {
	sample := data
	if len(sample) > 64<<10 {
		// Long documents often begin in ASCII, so sample from the first byte that is not.
		i := bytes.IndexFunc(data, func(r rune) bool { return r >= utf8.RuneSelf })
		i = max(0, min(i-1024, len(data)-64<<10))
		sample = data[i : i+64<<10]
	}
	best, err := chardet.NewTextDetector().DetectBest(sample)
	if err == nil && best.Confidence >= 30 {
		if enc, name := charset.Lookup(best.Charset); enc != nil && name != "utf-8" && name != "utf-16le" && name != "utf-16be" {
			return enc
		}
	}
	return charmap.Windows1252
}

// mustDecode decodes a text; the decoders of x/text replace invalid bytes. The result grows in
// small steps, because the document may be large.
func mustDecode(enc encoding.Encoding, data []byte) []byte {
	d := enc.NewDecoder()
	out := make([]byte, 0, len(data)+len(data)/8+64)
	for {
		written, read, err := d.Transform(out[len(out):cap(out)], data, true)
		out, data = out[:len(out)+written], data[read:]
		switch {
		case err == nil:
			return out
		case errors.Is(err, transform.ErrShortDst):
			out = append(make([]byte, 0, cap(out)+cap(out)/4+64), out...)
		default:
			return append(out, data...) // text.Clean replaces the rest
		}
	}
}
