package llm

import (
	"crypto/sha256"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// format is how a schema is given to the model.
type format int

const (
	formatStrict format = iota // json_schema, strict
	formatLoose                // json_schema with strict false: accepts any JSON schema
	formatObject               // json_object, and the schema in the prompt
	formatPrompt               // the schema in the prompt only
)

func (f format) String() string {
	return [...]string{"json_schema strict", "json_schema", "json_object", "prompt"}[f]
}

// maxRewrites bounds how often one request is rewritten: each part of a dialect once, and the
// format in all its steps. It ends the exchange with an endpoint that refuses every form.
const maxRewrites = 6

// dialect is how one model at one endpoint wants a request written. It starts with a guess from
// the model's name and is corrected by refusals, because the names of Azure deployments and the
// models behind proxies and local servers tell nothing.
type dialect struct {
	format        format
	completionCap bool // send max_completion_tokens instead of max_tokens
	temperature   bool // send temperature
	effort        bool // send reasoning_effort
}

func newDialect(model string) dialect {
	reasoning := isReasoningModel(model)
	return dialect{completionCap: takesCompletionCap(model), temperature: !reasoning, effort: reasoning}
}

// dialects remembers what a client has learned.
type dialects struct {
	mu    sync.RWMutex
	known map[dialectKey]dialect
}

// dialectKey includes the schema: an endpoint can refuse one schema, for example because strict
// mode requires every property, and accept another.
type dialectKey struct {
	model  string
	schema [sha256.Size]byte
}

func keyOf(r Request) dialectKey {
	key := dialectKey{model: r.Model}
	if r.Schema != nil {
		key.schema = sha256.Sum256(r.Schema)
	}
	return key
}

func (d *dialects) get(key dialectKey) dialect {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if known, ok := d.known[key]; ok {
		return known
	}
	return newDialect(key.model)
}

// learn replaces the dialect of a refused request and returns the one to try next. If several
// calls are refused at once, the first one changes the dialect and the others use its result.
func (d *dialects) learn(key dialectKey, refused, next dialect) dialect {
	d.mu.Lock()
	defer d.mu.Unlock()
	current, ok := d.known[key]
	if !ok {
		current = newDialect(key.model)
	}
	if current != refused {
		return current
	}
	if d.known == nil {
		d.known = make(map[dialectKey]dialect)
	}
	d.known[key] = next
	return next
}

// without returns the dialect that avoids what a 400 complains about, and false if the complaint
// is about something else.
//
// Wordings: OpenAI "Unsupported parameter: 'max_tokens' is not supported with
// this model. Use 'max_completion_tokens' instead.", "Unsupported value:
// 'temperature' does not support 0 with this model.", "Invalid parameter:
// 'response_format' of type 'json_schema' is not supported with this model.",
// "Invalid schema for response_format"; LM Studio "'response_format.type' must
// be 'json_schema' or 'text'"; Mistral and FastAPI servers "Extra inputs are
// not permitted" with the field in loc; llama.cpp "failed to parse grammar".
func (d dialect) without(r Request, p providererror.Error) (dialect, bool) {
	said := strings.ToLower(p.Param + " " + p.Message)
	mentions := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	next := d
	switch {
	case r.Schema != nil && d.format < formatPrompt &&
		mentions("response_format", "json_schema", "json_object", "text.format", "guided_json", "guided decoding", "grammar", "structured output"):
		next.format++
		if d.format == formatStrict && !mentions("invalid schema", "strict", "additionalproperties", "'required'") {
			next.format = formatObject // the endpoint refuses json_schema, not this schema
		}
	case !mentions("unsupported", "not support", "unrecognized", "unknown", "not permitted", "unexpected", "not allowed", "deprecated", "only the default"):
		// The endpoint refuses a value ("temperature must be at most 2", "max_tokens is too large"),
		// not the parameter.
	case r.MaxOutputTokens > 0 && !d.completionCap && mentions("use 'max_completion_tokens'", "use `max_completion_tokens`", "use max_completion_tokens"):
		next.completionCap = true
	case r.MaxOutputTokens > 0 && d.completionCap && mentions("max_completion_tokens") && !mentions("use 'max_c", "use `max_c", "use max_c"):
		next.completionCap = false
	case d.effort && mentions("reasoning_effort", "reasoning.effort"):
		next.effort = false
	case d.temperature && mentions("temperature"):
		next.temperature = false
	}
	return next, next != d
}
