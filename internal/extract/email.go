package extract

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // the character sets that mail uses
	"github.com/emersion/go-message/mail"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/text"
)

const (
	maxMailDepth = 20
	maxMailParts = 1000
)

// looksLikeEmail requires a block of header fields that ends in an empty line, with a sender
// and other fields of e-mail.
func looksLikeEmail(head []byte, ext string) bool {
	signs := 0
	sender := false
	first := true
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if first && bytes.HasPrefix(line, []byte("From ")) { // separator of an mbox
			first = false
			continue
		}
		if len(line) == 0 {
			break
		}
		if !first && (line[0] == ' ' || line[0] == '\t') {
			continue
		}
		first = false
		name, _, ok := bytes.Cut(line, []byte{':'})
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t<>()") {
			return false
		}
		switch strings.ToLower(string(name)) {
		case "from", "sender":
			sender = true
		case "to", "subject", "date", "received", "message-id", "mime-version", "return-path", "delivered-to", "content-type", "cc", "reply-to":
			signs++
		}
	}
	return sender && signs >= 2 || ext == ".eml" && (sender || signs > 0)
}

// readEmail returns a message as sender, date, body and the names of its attachments. The title
// is the subject. It prefers plain text to HTML.
func readEmail(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	data := raw.Data
	if bytes.HasPrefix(data, []byte("From ")) {
		_, data, _ = bytes.Cut(data, []byte{'\n'})
	}
	entity, err := message.Read(bytes.NewReader(data))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return extracted{}, inputError("broken e-mail: its header cannot be read")
	}
	if ctx.Err() != nil {
		return extracted{}, ctx.Err()
	}
	w := mailWalk{ctx: ctx, x: x}
	if err := w.entity(entity, 0); err != nil {
		return extracted{}, err
	}
	header := mail.Header{Header: entity.Header}
	out := extracted{title: headerText(header, "Subject")}
	var b bytes.Buffer
	for _, name := range []string{"From", "To", "Cc", "Date"} {
		if v := headerText(header, name); v != "" && (len(v) < 1000 || name == "From") {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteByte('\n')
	body := w.plain
	if len(bytes.TrimSpace(body)) == 0 && len(w.html) > 0 {
		page, err := x.html(ctx, w.html)
		if err != nil {
			return extracted{}, err
		}
		body = page.text
	}
	if len(bytes.TrimSpace(body)) == 0 && len(w.attachments) == 0 && out.title == "" {
		return extracted{}, nil
	}
	b.Write(body)
	if len(w.attachments) > 0 {
		fmt.Fprintf(&b, "\n\nAttachments: %s\n", strings.Join(w.attachments, ", "))
	}
	out.text = b.Bytes()
	return out, nil
}

// headerText decodes a field. A malformed one is returned unchanged.
func headerText(h mail.Header, name string) string {
	v, err := h.Text(name)
	if err != nil {
		v = h.Get(name)
	}
	return text.OneLine(v)
}

// mailWalk collects the bodies of a message.
type mailWalk struct {
	ctx         context.Context //nolint:containedctx // lives as long as one call of Extract
	x           *Extractor
	plain, html []byte
	attachments []string
	parts       int
}

func (w *mailWalk) entity(e *message.Entity, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.parts++; w.parts > maxMailParts {
		return inputError("e-mail with more than %d parts", maxMailParts)
	}
	if depth > maxMailDepth {
		return inputError("e-mail nested deeper than %d levels", maxMailDepth)
	}
	kind, params, err := e.Header.ContentType()
	if err != nil {
		kind = "text/plain"
	}
	kind = strings.ToLower(kind)
	switch kind {
	case "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime":
		if !strings.EqualFold(params["smime-type"], "signed-data") {
			return inputError("encrypted e-mail")
		}
	}
	if parts := e.MultipartReader(); parts != nil {
		return w.multipart(parts, depth)
	}
	disposition, dparams, _ := e.Header.ContentDisposition()
	name := dparams["filename"]
	if name == "" {
		name = params["name"]
	}
	attached := strings.EqualFold(disposition, "attachment")
	switch {
	case attached, kind != "text/plain" && kind != "text/html" && kind != "message/rfc822":
		if name == "" && !attached {
			return nil // an inline picture, a signature
		}
		if len(w.attachments) < 100 {
			w.attachments = append(w.attachments, text.OneLine(name))
		}
		return nil
	case kind == "message/rfc822":
		inner, err := message.Read(e.Body)
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return nil // omit a broken forwarded message
		}
		if s := headerText(mail.Header{Header: inner.Header}, "Subject"); s != "" {
			w.plain = append(append(append(w.plain, "\n\nForwarded: "...), s...), '\n')
		}
		return w.entity(inner, depth+1)
	case kind == "text/plain":
		w.plain, err = w.body(w.plain, e.Body)
	default:
		w.html, err = w.body(w.html, e.Body)
	}
	return err
}

func (w *mailWalk) multipart(parts message.MultipartReader, depth int) error {
	for {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF: //nolint:errorlint // a wrapped io.EOF means a truncated message
			return nil
		case err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err):
			if len(w.plain)+len(w.html) > 0 {
				return nil // cut off within the attachments; the text is complete
			}
			return inputError("broken e-mail: its parts cannot be separated (it may be truncated)")
		}
		if err := w.entity(part, depth+1); err != nil {
			return err
		}
	}
}

// body appends a body, which go-message has decoded.
func (w *mailWalk) body(to []byte, r io.Reader) ([]byte, error) {
	if len(to) > 0 {
		to = append(to, "\n\n"...)
	}
	buf := bufio.NewReaderSize(r, 32<<10)
	for {
		if err := w.ctx.Err(); err != nil {
			return to, err
		}
		chunk, err := buf.Peek(buf.Size())
		if int64(len(to)+len(chunk)) > w.x.limits.Text {
			return to, w.x.tooMuchText()
		}
		to = append(to, chunk...)
		_, _ = buf.Discard(len(chunk)) // peeked above, so it cannot fail
		if err != nil {
			return to, nil //nolint:nilerr // keep what can be read of a truncated or badly encoded body
		}
	}
}
