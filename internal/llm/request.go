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

// A Request is one question to a model. It contains everything that determines the answer, so two
// equal requests ask for the same answer, whichever endpoint gives it.
type Request struct {
	Model    string
	Messages []Message
	// Schema is a JSON schema for the answer; nil asks for plain text. It is sent as strict
	// structured output if the endpoint supports that. The caller validates the answer in any case.
	Schema json.RawMessage
	// SchemaName labels the schema for the endpoint: at most 64 characters of [a-zA-Z0-9_-].
	// Empty means "answer".
	SchemaName string
	// MaxOutputTokens caps the answer; 0 leaves the cap to the endpoint.
	MaxOutputTokens int
	// Temperature is sent even if it is 0, but not to reasoning models, which do not accept one.
	Temperature float64

	// Effort asks a model that thinks to think so much: none, minimal, low, medium or high. Empty
	// leaves it to the model, or asks for the least that is known to be safe.
	Effort string
	// Extra is a JSON object whose members are added to the body; nil adds none.
	Extra json.RawMessage

	// Headroom is added to MaxOutputTokens for the model's thought, Room is what the window leaves
	// for both, and MostOutput is the most output tokens that the model can give; 0: unknown. They
	// do not determine the answer, but whether it is cut.
	Headroom, Room, MostOutput int
	prepared                   bool // Headroom and MostOutput are as the endpoint's client knows them

	// Waits is how the call waits before it is sent. It does not determine the answer.
	Waits Waits
	// Tier is the service tier to ask for. It changes the price, and not the answer.
	Tier Tier
	// FlexFallback lets a call at [TierFlex] be made at [TierStandard] after the endpoint has
	// refused flex calls for some time.
	FlexFallback bool
}

// Name returns the SHA-256, in hex, of everything that determines the answer: model, messages,
// schema and parameters. White space in the schema, the endpoint and the key do not change it.
func (r Request) Name() string {
	sum := sha256.New()
	h := bufio.NewWriterSize(sum, 512) // hashes a prompt without copying it
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
	if r.Effort != "" || len(r.Extra) > 0 { // requests without them keep their names
		writePart(h, r.Effort)
		writePart(h, string(r.Extra))
	}
	_ = h.Flush() // a hash never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// writePart hashes the length of a text before the text, so that different lists of parts never
// yield the same bytes.
func writePart(h *bufio.Writer, s string) {
	writeNumber(h, uint64(len(s)))
	_, _ = h.WriteString(s)
}

func writeNumber(h *bufio.Writer, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = h.Write(b[:])
}
