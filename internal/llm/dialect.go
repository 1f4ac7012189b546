package llm

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gistmill/gistmill/internal/llm/traits"
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

// Parts of a request that an endpoint can refuse, as [traits.Traits] keeps them. Those that end in
// a colon are followed by what they apply to: a hash of the schema, or a value.
const (
	partStrict        = "strict:"      // strict mode for a schema: it requires every property
	partSchema        = "json_schema"  // json_schema for all schemas
	partSchemaOf      = "json_schema:" // json_schema for one schema
	partObject        = "json_object"  // json_object
	partFormatOf      = "format:"      // any format but the prompt for one schema
	partMaxTokens     = "max_tokens"   // wants max_completion_tokens
	partCompletionCap = "max_completion_tokens"
	partTemperature   = "temperature"
	partEffort        = "effort:"      // a value of the reasoning effort
	partSystem        = "system"       // messages of the system, and roles that do not alternate
	partThinking      = "thinking"     // thought without a stream: wants enable_thinking false
	partWhole         = "whole_answer" // an answer that is not a stream
	partServiceTier   = "service_tier" // the name of the standard tier
)

// maxRewrites bounds how often one request is rewritten. It ends the exchange with an endpoint that
// refuses every form.
const maxRewrites = 8

// dialect is how one model at one endpoint wants a request written. It starts with a guess from
// the model's name and is corrected by refusals, because the names of Azure deployments and the
// models behind proxies and local servers tell nothing.
type dialect struct {
	format        format
	completionCap bool   // send max_completion_tokens instead of max_tokens
	temperature   bool   // send temperature
	effort        string // send this reasoning effort; "": none
	effortForm    effortForm
	plainRoles    bool // no system message, and roles that alternate
	noThinking    bool // send enable_thinking false
	stream        bool // ask for a stream
	noServiceTier bool // do not name the standard tier
}

// dialect returns how a request is written now.
func (c *Client) dialect(r Request) dialect {
	return newDialect(r, c.known(r.Model), c.base.Hostname())
}

// known returns what is known of a model at this endpoint.
func (c *Client) known(model string) *traits.Model { return c.cfg.Traits.Of(c.base, model) }

func newDialect(r Request, known *traits.Model, host string) dialect {
	reasoning := isReasoningModel(r.Model)
	d := dialect{
		completionCap: takesCompletionCap(r.Model), temperature: !reasoning && !known.Without(partTemperature), effort: r.Effort,
		plainRoles: known.Without(partSystem), noThinking: known.Without(partThinking), stream: known.Without(partWhole),
		noServiceTier: known.Without(partServiceTier), effortForm: effortFormOf(host),
	}
	if noMax, noCompletion := known.Without(partMaxTokens), known.Without(partCompletionCap); noMax != noCompletion {
		d.completionCap = noMax
	}
	if d.effort == "" && reasoning {
		// A summary needs little reasoning, which is billed as output. "low" is the one effort that
		// nearly every reasoning model of OpenAI accepts.
		d.effort = "low"
	}
	if known.Without(partEffort + d.effort) {
		d.effort = ""
	}
	if r.Schema != nil {
		d.format = formatFor(schemaID(r.Schema), known)
	}
	return d
}

func formatFor(id string, known *traits.Model) format {
	switch {
	case known.Without(partFormatOf + id):
		return formatPrompt
	case known.Without(partSchema), known.Without(partSchemaOf + id):
		if known.Without(partObject) {
			return formatPrompt
		}
		return formatObject
	case known.Without(partStrict + id):
		return formatLoose
	}
	return formatStrict
}

// schemaID names a schema in a part.
func schemaID(schema []byte) string {
	sum := sha256.Sum256(schema)
	return hex.EncodeToString(sum[:8])
}

// effortForm is how an endpoint takes a reasoning effort.
type effortForm int

const (
	// effortPlain is OpenAI's reasoning_effort. Gemini, Groq, xAI, Ollama and vLLM take it too.
	effortPlain effortForm = iota
	// effortObject is {"reasoning": {"effort": …}} (openrouter.ai/docs, Reasoning Tokens).
	effortObject
	// effortSwitch is {"thinking": {"type": "disabled"}} for none and nothing for the others: GLM
	// (docs.z.ai, Thinking Mode), DeepSeek (api-docs.deepseek.com, Thinking Mode) and Kimi
	// (platform.moonshot.ai, kimi-k2.5).
	effortSwitch
	// effortQwen is {"enable_thinking": false} for none and nothing for the others
	// (help.aliyun.com/zh/model-studio, deep thinking).
	effortQwen
)

func effortFormOf(host string) effortForm {
	for suffix, form := range map[string]effortForm{
		"openrouter.ai": effortObject, "z.ai": effortSwitch, "bigmodel.cn": effortSwitch, "deepseek.com": effortSwitch,
		"moonshot.ai": effortSwitch, "moonshot.cn": effortSwitch, "aliyuncs.com": effortQwen,
	} {
		if host == suffix || strings.HasSuffix(host, "."+suffix) {
			return form
		}
	}
	return effortPlain
}

// addThinking writes the reasoning effort and the members of the user.
func (d dialect) addThinking(r Request, b *chatBody) {
	set := func(name, value string) {
		if b.extra == nil {
			b.extra = map[string]jsontext.Value{}
		}
		b.extra[name] = jsontext.Value(value)
	}
	switch {
	case d.effort == "":
	case d.effortForm == effortObject:
		set("reasoning", `{"effort":"`+d.effort+`"}`)
	case d.effortForm == effortSwitch && d.effort == "none":
		set("thinking", `{"type":"disabled"}`)
	case d.effortForm == effortQwen && d.effort == "none":
		set("enable_thinking", "false")
	case d.effortForm == effortPlain:
		b.ReasoningEffort = d.effort
	}
	if d.noThinking {
		set("enable_thinking", "false")
	}
	var members map[string]jsontext.Value
	if len(r.Extra) > 0 && json.Unmarshal(r.Extra, &members, lenient) == nil {
		for name, value := range members {
			set(name, string(value))
		}
	}
}
