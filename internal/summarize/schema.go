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

// builtinSchema has the summary alone. The ledger stores only the text of such an answer, so
// a second field would be paid for and dropped.
const builtinSchema = `{"type":"object","properties":{"summary":{"type":"string"}},"required":["summary"],"additionalProperties":false}`

// answerSchema is a compiled schema for answers.
type answerSchema struct {
	raw    json.RawMessage // compact, as sent
	custom bool
	check  *jsonschema.Schema
	// properties are the names of the fields at the top.
	properties map[string]bool
}

// compileSchema reads a schema. An empty one gives the built-in schema.
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
	s.properties = make(map[string]bool)
	if fields, ok := obj["properties"].(map[string]any); ok {
		for name := range fields {
			s.properties[name] = true
		}
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

// schemaURL identifies the schema within the compiler. It is not fetched.
const schemaURL = "gistmill:schema"

// noLoader refuses references to other documents: a profile must be self-contained.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema: put the definition under $defs", url)
}

// problem is what is wrong with an answer. The model gets all details. The ledger gets no
// details, because they may contain text of the document.
type problem struct {
	forModel      string
	forLedger     string
	class         string // of the OutputError; empty is BadOutput
	afterCleaning bool   // the answer itself was valid, its cleaned text is not
	tooLong       bool   // the text is far longer than its cap
}

// validate checks a JSON value against the schema. It returns nil for a valid one.
func (s *answerSchema) validate(v ordered) *problem {
	err := s.check.Validate(v.tree())
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return &problem{forModel: "it does not match the schema", forLedger: "the answer does not match the schema"}
	}
	const most = 5
	english := message.NewPrinter(language.English)
	var details, keywords []string
	for leaf := range leaves(invalid) {
		// The validator walks maps in random order. Sorted errors give equal repair
		// requests for equal answers.
		if k, ok := leaf.ErrorKind.(*kind.AdditionalProperties); ok {
			slices.Sort(k.Properties)
		}
		details = append(details, "at /"+strings.Join(leaf.InstanceLocation, "/")+": "+leaf.ErrorKind.LocalizedString(english))
		keywords = append(keywords, strings.Join(leaf.ErrorKind.KeywordPath(), "/"))
	}
	slices.Sort(details)
	slices.Sort(keywords)
	details, keywords = details[:min(len(details), most)], slices.Compact(keywords)
	for i, s := range details {
		details[i] = text.Cut(s, 300)
	}
	return &problem{
		forModel:  "it does not match the schema: " + strings.Join(details, "; "),
		forLedger: "the answer does not match the schema (" + strings.Join(keywords, ", ") + ")",
	}
}

// leaves yields the innermost causes of an error.
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
