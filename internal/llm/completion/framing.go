package completion

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Unframe removes what precedes the JSON of a body: a byte order mark, white space, and comment
// lines that keep a connection alive (": keep-alive", OpenRouter's ": OPENROUTER PROCESSING",
// https://openrouter.ai/docs/api-reference/streaming). Errors too come after them.
func Unframe(body []byte) []byte {
	for {
		body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n\x00")
		if len(body) == 0 || body[0] != ':' {
			return body
		}
		end := bytes.IndexByte(body, '\n')
		if end < 0 {
			return nil
		}
		body = body[end:]
	}
}

// ErrorBody returns the JSON of an error that an endpoint sent as an event, and other bodies
// without what [Unframe] removes.
func ErrorBody(body []byte) []byte {
	body = Unframe(body)
	if !isEventStream(body) {
		return body
	}
	list, _, _ := eventData(body)
	for _, e := range list {
		if e.Kind() == '{' && isSet(first(member(e, "error"), member(e, "message"), member(e, "detail"))) {
			return e
		}
	}
	return body
}

// isEventStream reports the framing of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func isEventStream(body []byte) bool {
	for _, name := range []string{"data:", "event:", "id:", "retry:"} {
		if bytes.HasPrefix(body, []byte(name)) {
			return true
		}
	}
	return false
}

// eventData returns the JSON of the events, and whether the mark [DONE] ended them. An event may
// span several lines; some servers send no empty line between events.
func eventData(body []byte) (list []jsontext.Value, done bool, err error) {
	var pending []byte
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, "\r\n")
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		switch {
		case len(data) == 0:
		case pending == nil && bytes.HasPrefix(data, []byte("[DONE]")):
			done = true
		default:
			if pending != nil {
				pending = append(pending, '\n')
			}
			pending = append(pending, data...)
			if v := jsontext.Value(pending); v.IsValid(lenient) {
				list = append(list, v)
				pending = nil
			}
		}
	}
	if pending != nil {
		return list, false, io.ErrUnexpectedEOF
	}
	if len(list) == 0 {
		return nil, done, errNoJSON
	}
	return list, done, nil
}

// ErrEncoding is the error of a body in a compression that was not asked for and is not read.
var ErrEncoding = errors.New("unknown compression")

// ErrTooLarge is the error of a body that is larger than its bound once it is decompressed.
var ErrTooLarge = errors.New("too large")

// Decompress reads a body that an endpoint compressed without having been asked. encoding is the
// Content-Encoding that is left, most bytes the bound of the result.
func Decompress(body []byte, encoding string, most int64) ([]byte, error) {
	names := strings.Split(strings.ToLower(encoding), ",")
	for i := len(names) - 1; i >= 0; i-- { // the last one was applied last
		var err error
		switch name := strings.TrimSpace(names[i]); name {
		case "", "identity", "gzip", "x-gzip", "utf-8", "none":
			// gzip is found by its first bytes below.
		case "deflate":
			body, err = inflate(body, most)
		default:
			if first := Unframe(body); len(first) > 0 && bytes.IndexByte([]byte(`{["d`), first[0]) >= 0 {
				continue // the header is wrong
			}
			return nil, fmt.Errorf("%w %s", ErrEncoding, name)
		}
		if err != nil {
			return nil, err
		}
	}
	for range 2 { // compressed by the server and again by a proxy
		if len(body) < 3 || body[0] != 0x1f || body[1] != 0x8b || body[2] != 8 {
			break
		}
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = bounded(r, most); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// inflate reads deflate as the standard has it, with the frame of zlib, and as many servers send
// it, without.
func inflate(body []byte, most int64) ([]byte, error) {
	if z, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
		return bounded(z, most)
	}
	if first := Unframe(body); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		return body, nil // the header is wrong
	}
	return bounded(flate.NewReader(bytes.NewReader(body)), most)
}

func bounded(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, ErrTooLarge
	}
	return b, err
}
