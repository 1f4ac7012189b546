package summarize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/gistmill/gistmill/internal/text"
)

// builtinSchema asks for the summary alone: what the books keep of an answer to the
// built-in schema is its text, and a second field would be paid for and dropped.
const builtinSchema = `{"type":"object","properties":{"summary":{"type":"string"}},"required":["summary"],"additionalProperties":false}`

// answerSchema is a compiled schema for answers.
type answerSchema struct {
	raw    json.RawMessage // compact, as sent
	custom bool
	check  *jsonschema.Schema
}

// compileSchema reads a schema; the empty one gives the built-in schema.
func compileSchema(raw json.RawMessage) (*answerSchema, error) {
	s := &answerSchema{raw: compact(raw), custom: true}
	if len(bytes.TrimSpace(raw)) == 0 {
		s.raw, s.custom = json.RawMessage(builtinSchema), false
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.raw))
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	obj, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New(`it is not a JSON object: write {"type": "object", "properties": {…}}`)
	}
	if obj["type"] != "object" {
		return nil, errors.New(`its answers are not objects: write "type": "object" at the top`)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("it is not a JSON schema: %w", err)
	}
	if s.check, err = c.Compile(schemaURL); err != nil {
		return nil, fmt.Errorf("it is not a JSON schema: %s", strings.ReplaceAll(err.Error(), schemaURL, ""))
	}
	return s, nil
}

// schemaURL stands for the schema within the compiler; nothing is ever fetched.
const schemaURL = "gistmill:schema"

// noLoader keeps references inside the schema: a profile has to be complete in itself.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s stands elsewhere: put the definition under $defs", url)
}

// problem is what is wrong with an answer. The model is told all of it; the books only
// get what cannot hold text of the document.
type problem struct {
	forModel      string
	forBooks      string
	afterCleaning bool // the answer itself was valid, its cleaned text is not
}

// validate checks a JSON value against the schema; nil means it fits.
func (s *answerSchema) validate(v ordered) *problem {
	err := s.check.Validate(v.tree())
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return &problem{forModel: "it does not match the schema", forBooks: "the answer does not match the schema"}
	}
	const most = 5
	english := message.NewPrinter(language.English)
	var told, kept []string
	for leaf := range leaves(invalid) {
		// The validator walks maps: sort what it found, or equal answers would be
		// followed by unequal repair requests.
		if k, ok := leaf.ErrorKind.(*kind.AdditionalProperties); ok {
			slices.Sort(k.Properties)
		}
		told = append(told, "at /"+strings.Join(leaf.InstanceLocation, "/")+": "+leaf.ErrorKind.LocalizedString(english))
		kept = append(kept, strings.Join(leaf.ErrorKind.KeywordPath(), "/"))
	}
	slices.Sort(told)
	slices.Sort(kept)
	told, kept = told[:min(len(told), most)], slices.Compact(kept)
	for i, s := range told {
		told[i] = text.Cut(s, 300)
	}
	return &problem{
		forModel: "it does not match the schema: " + strings.Join(told, "; "),
		forBooks: "the answer does not match the schema (" + strings.Join(kept, ", ") + ")",
	}
}

// leaves yields the innermost causes.
func leaves(e *jsonschema.ValidationError) iter.Seq[*jsonschema.ValidationError] {
	return func(yield func(*jsonschema.ValidationError) bool) {
		var visit func(*jsonschema.ValidationError) bool
		visit = func(e *jsonschema.ValidationError) bool {
			if len(e.Causes) == 0 {
				return yield(e)
			}
			for _, c := range e.Causes {
				if !visit(c) {
					return false
				}
			}
			return true
		}
		visit(e)
	}
}
