package llm

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// refusal is what an endpoint's refusal says about the form of a request.
type refusal struct {
	part   string // to leave out from now on; "": none
	most   int    // the most output tokens that the model can give; 0: not said
	advice string // the user's own setting is refused, and this says which
}

// Names of parts as refusals write them. The name that comes first decides, and the parameter that
// an endpoint names in its own field comes before the message.
var (
	namesFormat = regexp.MustCompile(`response[_ ]?format|json[_ ]?(?:schema|object|mode)|text\.format|guided[_ ](?:json|decoding)|grammar|` +
		`structured[_ ]outputs?|response[_ ]?schema|xgrammar|response_?mime_?type`)
	namesCap    = regexp.MustCompile(`max[_ ]?(?:completion|output|new)?[_ ]?tokens|maximum (?:completion|output|new) tokens|max_length`)
	namesEffort = regexp.MustCompile(`reasoning[_. ]?effort|\beffort\b|\breasoning\b.{0,40}(?:not support|unsupported|unrecognized|unknown)`)
	namesSystem = regexp.MustCompile(`(?:system|developer)[_ -]?(?:role|message|prompt|instruction)|roles? must alternate|must alternate|` +
		`alternat\w+ (?:between )?user|roles?\b.{0,60}\b(?:system|developer)\b|(?:system|developer)['"\x60]? (?:is|as a) .{0,40}role|` +
		`only user and assistant roles|messages?[.\[]+\d+\]?\.role`)
	namesTemperature = regexp.MustCompile(`temperature`)
	namesThinking    = regexp.MustCompile(`enable_thinking`)
	namesStream      = regexp.MustCompile(`(?:only|must|have to|please|required?|enable)\b.{0,60}\bstream|\bstream(?:ing)?\b.{0,40}\b(?:only|required|must be (?:set to )?true)|` +
		`non-stream\w* .{0,60}not support`)
	namesTier = regexp.MustCompile(`service_?tier`)

	// unknownName says that the endpoint refuses a parameter, and not its value.
	unknownName = regexp.MustCompile(`un-?supported|not (?:be )?support|does(?:n't| not) support|unrecogni[sz]ed|unknown|not permitted|unexpected|not allowed|deprecated|` +
		`extra (?:inputs?|fields?|parameters?)|only the default|not available|unavailable|not recogni[sz]ed|no such|invalid (?:parameter|argument|field)|not accept`)
	// ownSchema says that the endpoint refuses this schema, and may take another.
	ownSchema   = regexp.MustCompile(`invalid (?:json )?schema|strict|additionalproperties|'required'|grammar|guided|compil|\$ref|keyword`)
	strictOnly  = regexp.MustCompile(`invalid (?:json )?schema|strict|additionalproperties|'required'`)
	wantsOther  = regexp.MustCompile(`use ['"\x60]?max_completion_tokens`)
	wholeNumber = regexp.MustCompile(`\d[\d,]*`)
	tooLarge    = regexp.MustCompile(`too (?:large|high|big|many)|exceed|larger than|greater than`)
)

// refused reads a refusal of a request in this dialect. Wordings: OpenAI "Unsupported parameter:
// 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
// "Unsupported value: 'temperature' does not support 0 with this model.", "Invalid schema for
// response_format"; DeepSeek "response_format.type `json_schema` is unavailable now"; Kimi "invalid
// temperature: only 1 is allowed for this model"; LM Studio "'response_format.type' must be
// 'json_schema' or 'text'"; Mistral and FastAPI servers "Extra inputs are not permitted" with the
// field in loc; llama.cpp "failed to parse grammar"; Gemini "Developer instruction is not enabled";
// chat templates on vLLM "System role not supported", "Conversation roles must alternate
// user/assistant"; DashScope "parameter.enable_thinking must be set to false for non-streaming
// calls", "This model only support stream mode"; Anthropic "max_tokens: 9000 > 8192, which is the
// maximum allowed number of output tokens".
func (d dialect) refused(r Request, p providererror.Error) refusal {
	said := strings.ToLower(p.Param + " " + p.Message)
	sendsSystem := len(r.Messages) > 0 && r.Messages[0].Role == RoleSystem || d.format >= formatObject && r.Schema != nil
	first, found := len(said), refusal{}
	consider := func(sent bool, name *regexp.Regexp, read func() refusal) {
		if at := name.FindStringIndex(said); sent && at != nil && at[0] < first {
			if one := read(); one != (refusal{}) {
				first, found = at[0], one
			}
		}
	}
	part := func(name string) func() refusal { return func() refusal { return refusal{part: name} } }
	consider(r.Schema != nil && d.format < formatPrompt, namesFormat, func() refusal { return refusal{part: d.format.refusedFor(r, said)} })
	consider(r.MaxOutputTokens > 0, namesCap, func() refusal { return d.refusedCap(r, said) })
	consider(d.effort != "", namesEffort, part(partEffort+d.effort))
	consider(sendsSystem && !d.plainRoles || repeatsRole(r) && !d.plainRoles, namesSystem, part(partSystem))
	consider(d.temperature, namesTemperature, func() refusal {
		if r.Temperature != 0 && !unknownName.MatchString(said) {
			return refusal{advice: fmt.Sprintf("the endpoint refuses temperature %v: change --temperature", r.Temperature)}
		}
		return refusal{part: partTemperature}
	})
	consider(!d.noThinking && strings.Contains(said, "false"), namesThinking, part(partThinking))
	consider(!d.stream && !strings.Contains(said, "enable_thinking"), namesStream, part(partWhole))
	consider(!d.noServiceTier && r.Tier != TierFlex, namesTier, part(partServiceTier))
	for _, name := range membersOf(r.Extra) {
		consider(true, regexp.MustCompile(`(?:^|[^\w])`+regexp.QuoteMeta(strings.ToLower(name))+`(?:[^\w]|$)`), func() refusal {
			return refusal{advice: fmt.Sprintf("the endpoint refuses %q of --request-extra: change or remove it", name)}
		})
	}
	return found
}

// refusedFor returns the part of the format that a refusal is about.
func (f format) refusedFor(r Request, said string) string {
	id := schemaID(r.Schema)
	switch {
	case f == formatStrict && strictOnly.MatchString(said):
		return partStrict + id
	case f <= formatLoose && ownSchema.MatchString(said):
		return partSchemaOf + id
	case f <= formatLoose:
		return partSchema // the endpoint refuses json_schema, not this schema
	}
	return partObject
}

// refusedCap reads a refusal that names the output cap: its name is refused, or it is too large.
func (d dialect) refusedCap(r Request, said string) refusal {
	switch {
	case !d.completionCap && wantsOther.MatchString(said) && unknownName.MatchString(said):
		return refusal{part: partMaxTokens}
	case d.completionCap && unknownName.MatchString(said) && strings.Contains(said, partCompletionCap) && !wantsOther.MatchString(said):
		return refusal{part: partCompletionCap}
	}
	// The largest number below the cap that was sent is the most that the model can give. Refusals
	// also quote the cap, the bounds of a range and versions.
	sent, most := r.OutputCap(), 0
	for _, digits := range wholeNumber.FindAllString(said, -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(digits, ",", ""))
		if err == nil && n < sent && n >= leastCap {
			most = max(most, n)
		}
	}
	if strings.Contains(said, strconv.Itoa(most)+" (exclusive") {
		most--
	}
	if most == 0 && tooLarge.MatchString(said) && sent > 4*leastCap && !wholeNumber.MatchString(said) {
		most = sent / 2
	}
	return refusal{most: most}
}

// leastCap is the smallest output maximum that is believed, in tokens.
const leastCap = 64

// repeatsRole reports whether two messages of a request in a row have the same role.
func repeatsRole(r Request) bool {
	for i := 1; i < len(r.Messages); i++ {
		if r.Messages[i].Role == r.Messages[i-1].Role {
			return true
		}
	}
	return false
}

// membersOf returns the names of an object's members.
func membersOf(object []byte) (names []string) {
	var members map[string]jsontext.Value
	if len(object) > 0 && json.Unmarshal(object, &members, lenient) == nil {
		for name := range members {
			names = append(names, name)
		}
	}
	return names
}

// CheckExtra returns what is wrong with an object of extra members of a request, and what to do, or
// "". Empty is none.
func CheckExtra(object string) string {
	if object == "" {
		return ""
	}
	var members map[string]jsontext.Value
	if json.Unmarshal([]byte(object), &members) != nil || members == nil {
		return `is not a JSON object: write it like {"chat_template_kwargs": {"enable_thinking": false}}`
	}
	for _, name := range []string{"model", "messages", "stream", "n"} {
		if _, ok := members[name]; ok {
			return "sets " + strconv.Quote(name) + ", which gistmill sets itself: take it out"
		}
	}
	return ""
}

// mayBeForm reports whether a failure can be about the form of a request: the endpoint refused it,
// failed on it, or has no route for it. Gateways answer any of these statuses to a parameter that
// they do not know.
func (e *Error) mayBeForm() bool {
	switch e.Class {
	case BadRequest:
		return true
	case Transient:
		return e.Status >= 500 || e.Status == 200 || e.Status == 409
	case Halted:
		return e.Status == 400 || e.Status == 404 || e.Status == 405 || e.Status == 422
	}
	return false
}

// isForm reports whether the request can be written in another form.
func (r refusal) isForm() bool { return r.part != "" || r.most > 0 }

// inVain returns the error of a request that was refused in the form that the endpoint asked for
// too. No document is at fault for that.
func (e *Error) inVain(tried []string, said providererror.Error) *Error {
	if e.Class != BadRequest {
		return e
	}
	switch {
	case slices.Contains(tried, partWhole):
		e.Class, e.Message = Halted, "the endpoint wants a stream, and refuses one too: check --model, or set what it wants with --request-extra: "+said.Message
	case slices.Contains(tried, partThinking):
		e.Class, e.Message = Halted, "the endpoint refuses enable_thinking false too: check --model, or set what it wants with --request-extra: "+said.Message
	}
	return e
}
