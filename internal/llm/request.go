package llm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
)

// Roles of a message, as the chat API spells them.
const (
	RoleSystem    = "system"
	RoleUser      = "user"
	RoleAssistant = "assistant"
)

// A Message is one turn of a conversation.
type Message struct {
	Role    string // RoleSystem, RoleUser or RoleAssistant
	Content string
}

// A Request is one question to a model, complete in itself: two equal requests
// ask for the same answer, whichever endpoint gives it.
type Request struct {
	Model    string
	Messages []Message
	// Schema is a JSON schema for the answer, nil for plain text. It is sent as
	// strict structured output where the endpoint takes it; the caller validates
	// the answer in any case.
	Schema json.RawMessage
	// SchemaName labels the schema for the endpoint ([a-zA-Z0-9_-], at most 64
	// characters); "answer" when empty.
	SchemaName string
	// MaxOutputTokens caps the answer; 0 leaves it to the endpoint.
	MaxOutputTokens int
	// Temperature is sent even when it is 0, except to reasoning models, which
	// take no temperature.
	Temperature float64
}

// Name is the SHA-256, in hex, of all that determines the answer: model,
// messages, schema and parameters. Whitespace in the schema does not count. The
// endpoint and the key do not either.
func (r Request) Name() string {
	sum := sha256.New()
	h := bufio.NewWriterSize(sum, 512) // a prompt is hashed without a copy of it
	writePart(h, "gistmill/llm.Request/1")
	writePart(h, r.Model)
	writeNumber(h, uint64(len(r.Messages)))
	for _, m := range r.Messages {
		writePart(h, m.Role)
		writePart(h, m.Content)
	}
	schema := string(r.Schema)
	var compact bytes.Buffer
	if json.Compact(&compact, r.Schema) == nil {
		schema = compact.String()
	}
	writePart(h, schema)
	writePart(h, r.SchemaName)
	writeNumber(h, uint64(r.MaxOutputTokens))
	writeNumber(h, math.Float64bits(r.Temperature))
	_ = h.Flush() // a hash never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// writePart hashes a length before the text, so that no two lists of parts
// run together into the same bytes.
func writePart(h *bufio.Writer, s string) {
	writeNumber(h, uint64(len(s)))
	_, _ = h.WriteString(s)
}

func writeNumber(h *bufio.Writer, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = h.Write(b[:])
}
