package llm

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// A format is how a schema reaches the model.
type format int

const (
	formatStrict format = iota // json_schema, strict
	formatLoose                // json_schema, strict false: any JSON schema is taken
	formatObject               // json_object, and the schema in the prompt
	formatPrompt               // the schema in the prompt alone
)

func (f format) String() string {
	return [...]string{"json_schema strict", "json_schema", "json_object", "prompt"}[f]
}

// maxRewrites bounds how often one request is written anew: every part of a
// dialect once, and the format down all its steps. It ends a quarrel with an
// endpoint that refuses each form with a word for the other.
const maxRewrites = 6

// A dialect is how one model on one endpoint wants to be spoken to. It starts
// from the model's name, and is corrected by what the endpoint refuses: names
// of Azure deployments, proxies and local servers say nothing.
type dialect struct {
	format        format
	completionCap bool // max_completion_tokens instead of max_tokens
	temperature   bool // send one
	effort        bool // send reasoning_effort
}

func newDialect(model string) dialect {
	reasoning := isReasoningModel(model)
	return dialect{completionCap: takesCompletionCap(model), temperature: !reasoning, effort: reasoning}
}

// dialects remembers what was learned, for as long as the client lives.
type dialects struct {
	mu    sync.RWMutex
	known map[dialectKey]dialect
}

// A dialectKey holds the schema too: an endpoint can refuse one schema (strict
// mode wants every property required) and take another.
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

// learn replaces the dialect that a refused request was written in, and returns
// the one to try next. Of several calls refused at once one takes the step and
// the others follow it.
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

// without returns the dialect that avoids what a 400 complains of, and false
// when the complaint is about something else.
//
// Wordings: OpenAI "Unsupported parameter: 'max_tokens' is not supported with
// this model. Use 'max_completion_tokens' instead.", "Unsupported value:
// 'temperature' does not support 0 with this model.", "Invalid parameter:
// 'response_format' of type 'json_schema' is not supported with this model.",
// "Invalid schema for response_format"; LM Studio "'response_format.type' must
// be 'json_schema' or 'text'"; Mistral and FastAPI servers "Extra inputs are
// not permitted" with the field in loc; llama.cpp "failed to parse grammar".
func (d dialect) without(r Request, p providerError) (dialect, bool) {
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
			next.format = formatObject // not this schema but the kind is refused
		}
	case !mentions("unsupported", "not support", "unrecognized", "unknown", "not permitted", "unexpected", "not allowed", "deprecated", "only the default"):
		// A value is refused ("temperature must be at most 2", "max_tokens is too
		// large"), not the parameter.
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
