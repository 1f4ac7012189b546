package summarize

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/gistmill/gistmill/internal/extractive"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// Extractive is the model name of the extractive engine, which selects sentences and makes
// no calls.
const Extractive = "extractive"

// The versions of the built-in prompts: a folder of prompts each. Any change of their
// wording, or of the way requests are built from them, needs a new version.
const (
	PromptV1 = "v1"
	PromptV2 = "v2"
)

// Profile is everything besides the document that determines a summary. The ledger and
// tasks hold it as JSON.
//
// A new field is omitted from the JSON while it is not set, and [Profile.Hash] leaves it
// out: profiles that do not use it keep their hash, and their summaries their names.
type Profile struct {
	Model string `json:"model"`
	// PromptVersion is the version of the built-in prompts; empty means [PromptV1]. It also
	// applies with a Prompt: the rules around it and the chunk prompt are built in.
	PromptVersion string `json:"prompt_version,omitempty"`
	// Prompt is a Go text template with .Text, .Title and .URI; empty for the built-in
	// prompt. A document that is read whole is sent as the rendered template. If the
	// template has no .Text, the document follows it. A longer document is first turned
	// into notes, chunk by chunk, with the built-in chunk prompt, which quotes this
	// instruction. The template is then rendered once, with the merged notes as .Text.
	Prompt string `json:"prompt,omitempty"`
	// Schema is a JSON schema of an object; empty for the built-in schema.
	Schema json.RawMessage `json:"schema,omitempty"`
	// Words is the length asked for. A Prompt may ask for another one.
	Words int `json:"words"`
	// MaxOutputTokens caps an answer. An answer that reaches the cap is requested again
	// with a larger one.
	MaxOutputTokens int     `json:"max_output_tokens,omitempty"`
	Temperature     float64 `json:"temperature"`
	// Language is the language of summaries, a canonical BCP 47 tag; empty: that of the document,
	// which prompts from [PromptV2] on name if it is certain.
	Language string `json:"language,omitempty"`
	// ReasoningEffort is one of [Efforts]; empty leaves it to the model, or asks for the least that
	// is known to be safe.
	ReasoningEffort string `json:"reasoning_effort,omitempty"`
	// RequestExtra is a JSON object whose members are added to the body of each request.
	RequestExtra json.RawMessage `json:"request_extra,omitempty"`
}

// Efforts are the values of ReasoningEffort.
func Efforts() []string { return []string{"none", "minimal", "low", "medium", "high"} }

// WithPromptVersion returns p with another version of the prompts. It leaves the field
// empty for [PromptV1], as in profiles that are older than the field, and for the
// extractive engine, which has no prompts.
func (p Profile) WithPromptVersion(version string) Profile {
	p.PromptVersion = version
	if version == PromptV1 || p.Model == Extractive {
		p.PromptVersion = ""
	}
	return p
}

func (p Profile) promptVersion() string { return cmp.Or(p.PromptVersion, PromptV1) }

// Validate reports every invalid field, each with what to do.
func (p Profile) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Model == "" {
		fail("model is empty: name one, or %q for the built-in engine", Extractive)
	}
	if p.Words < 1 || p.Words > 10_000 {
		fail("words is %d: take 1 to 10000", p.Words)
	}
	if p.Model == Extractive {
		return errors.Join(errs...)
	}
	if v := p.promptVersion(); v != PromptV1 && v != PromptV2 {
		fail("prompt-version is %q: take %s or %s", v, PromptV1, PromptV2)
	}
	if p.Language != "" {
		switch tag, err := text.LanguageTag(p.Language); {
		case err != nil:
			fail("language: %w; take same, or a tag such as de or pt-BR", err)
		case tag != p.Language:
			fail("language is %q: the canonical form is %q", p.Language, tag)
		case p.promptVersion() == PromptV1:
			fail("language is %q, but prompt-version is %s, which has the language of the document: take prompt-version %s", p.Language, PromptV1, PromptV2)
		}
	}
	switch {
	case p.MaxOutputTokens < 16:
		fail("max-output-tokens is %d: take at least 16", p.MaxOutputTokens)
	case p.MaxOutputTokens < p.Words:
		fail("max-output-tokens is %d, too few for %d words: a word takes one token or more", p.MaxOutputTokens, p.Words)
	}
	if math.IsNaN(p.Temperature) || p.Temperature < 0 || p.Temperature > 2 {
		fail("temperature is %v: take 0 to 2", p.Temperature)
	}
	if p.ReasoningEffort != "" && !slices.Contains(Efforts(), p.ReasoningEffort) {
		fail("reasoning-effort is %q: take none, minimal, low, medium or high", p.ReasoningEffort)
	}
	if problem := llm.CheckExtra(string(p.RequestExtra)); problem != "" {
		fail("request-extra %s", problem)
	}
	if _, err := parseTemplate(p.Prompt); err != nil {
		fail("prompt: %w", err)
	}
	if _, err := compileSchema(p.Schema); err != nil {
		fail("schema: %w", err)
	}
	return errors.Join(errs...)
}

// Hash is the SHA-256, in hex, of what determines the answers: for the extractive engine
// its version and the length, else model, prompts, schema and parameters. Space between
// the tokens of the schema does not count. The order of its fields does, because models
// answer in that order.
//
// There are two encodings. The first is a fixed list of values. The extractive engine has
// it, and each profile that sets no field besides them, so that older profiles keep their
// hash. The second is a list of the names and values of the fields that are set, so that a
// field that is added later changes no hash of a profile without it.
func (p Profile) Hash() string {
	h, fields := sha256.New(), p.fields()
	switch {
	case p.Model == Extractive:
		writeParts(h, "gistmill/profile/1", p.Model)
		writeNumber(h, uint64(p.Words))
		writeParts(h, extractive.Version)
	case onlyFirstFields(fields):
		writeParts(h, "gistmill/profile/1", p.Model)
		writeNumber(h, uint64(p.Words))
		writeParts(h, PromptV1, p.Prompt, string(compact(p.Schema)))
		writeNumber(h, uint64(p.MaxOutputTokens))
		writeNumber(h, math.Float64bits(p.Temperature))
	default:
		writeParts(h, "gistmill/profile/2")
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if fields[name] != "" {
				writeParts(h, name, fields[name])
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// onlyFirstFields reports whether no field is set that the first encoding does not have.
func onlyFirstFields(fields map[string]string) bool {
	first := []string{"model", "prompt", "schema", "words", "max_output_tokens", "temperature"}
	for name, value := range fields {
		if value != "" && !slices.Contains(first, name) {
			return false
		}
	}
	return true
}

// fields returns the values of a profile as text, by their JSON names. A value that is not
// set is empty.
func (p Profile) fields() map[string]string {
	number := func(x float64) string {
		if x == 0 {
			return ""
		}
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return map[string]string{
		"model":             p.Model,
		"prompt_version":    p.WithPromptVersion(p.promptVersion()).PromptVersion,
		"prompt":            p.Prompt,
		"schema":            string(compact(p.Schema)),
		"words":             number(float64(p.Words)),
		"max_output_tokens": number(float64(p.MaxOutputTokens)),
		"temperature":       number(p.Temperature),
		"language":          p.Language,
		"reasoning_effort":  p.ReasoningEffort,
		"request_extra":     string(canonical(p.RequestExtra)),
	}
}

// Namer returns a function that names the summary of a document: the SHA-256, in hex, of
// the profile's hash and of the fields that reach the model. These are the Text, and Title
// and URI if the template uses them; the built-in prompt and the extractive engine use the
// Title. With an invalid template all fields count. The function is safe for concurrent use.
func (p Profile) Namer() func(Document) string {
	uses, hash := p.uses(), p.Hash()
	return func(d Document) string {
		d = uses.restrict(d)
		h := sha256.New()
		writeParts(h, "gistmill/summary/1", hash, d.Title, d.URI, d.Text)
		return hex.EncodeToString(h.Sum(nil))
	}
}

// uses returns the fields of a document that reach the model.
func (p Profile) uses() fields {
	if p.Model == Extractive || p.Prompt == "" {
		return fields{title: true, text: true}
	}
	t, err := parseTemplate(p.Prompt)
	if err != nil {
		return fields{title: true, uri: true, text: true}
	}
	return t.uses
}

// compact removes the space between the tokens of a JSON text. Other text is returned as
// it is.
func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// canonical returns a JSON text without space and with sorted members.
func canonical(raw json.RawMessage) []byte {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return raw
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return sorted
}

// writeParts hashes each part after its length, so that no two lists of parts give the
// same bytes.
func writeParts(h hash.Hash, parts ...string) {
	w := bufio.NewWriterSize(h, 512) // does not copy long texts
	for _, s := range parts {
		writeNumber(w, uint64(len(s)))
		_, _ = w.WriteString(s) // a hash never fails
	}
	_ = w.Flush()
}

func writeNumber(w io.Writer, n uint64) {
	_, _ = w.Write(binary.BigEndian.AppendUint64(nil, n))
}
