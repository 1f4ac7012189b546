package providererror

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// maxDepth bounds errors within errors. Gateways in front of gateways nest three or four.
	maxDepth = 8
	// maxRaw is the number of bytes of a body in an unknown form that are its message.
	maxRaw = 300
	// maxParsed is the number of bytes of a body that are read.
	maxParsed = 1 << 20
)

// Error is what an endpoint reports in a body.
type Error struct {
	Code    string // "context_length_exceeded", "429"; the most specific one
	Type    string // "invalid_request_error", "RESOURCE_EXHAUSTED"
	Param   string
	Message string // all sentences that the body has, from the outside in
	// Found is set if the body is an error: JSON with a message or a code of one, an event of an
	// error, or a text beside a status that is one. Without it Message is the beginning of the
	// body.
	Found bool
	HTML  bool // the body is a page: a proxy or gateway replied

	Codes  []string    // all codes, types and reasons, Code and Type included
	Quotas []Violation // of Google's QuotaFailure
	// Header holds headers that the body quotes: OpenRouter has X-RateLimit-Reset in
	// error.metadata.headers. RetryInfo's delay is there as Retry-After.
	Header http.Header
}

// Violation is a quota that is used up
// (https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto).
type Violation struct{ ID, Value string }

// Parse reads a body. status is that of the response; the body of a 2xx is an error only if it says
// so.
//
// JSON is read in any shape: the keys of messages, codes and errors are looked up without regard to
// case and underscores, in objects, lists and JSON within strings. So are the fields of OpenAI and
// its followers ({"error": {"message", "type", "param", "code"}}), Ollama ({"error": "text"}),
// vLLM ({"object": "error", "message"}), Google ([{"error": {"status", "details"}}]), FastAPI
// ({"detail": [{"loc", "msg"}]}), Cloudflare ({"errors": [{"code", "message"}]}), OpenRouter
// (error.metadata.raw), MiniMax ({"base_resp": {"status_code", "status_msg"}}), Apigee
// ({"fault": {"faultstring"}}), OAuth (error_description), RFC 9457 (title, detail), AWS
// ({"__type", "Message"}) and their likes. Other fields are ignored: FastAPI quotes the request
// next to msg.
func Parse(status int, body []byte) Error {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	body = body[:min(len(body), maxParsed)]
	failed := status >= 300
	switch {
	case len(body) == 0:
		return Error{}
	case isEventStream(body):
		return parseEvents(body)
	case body[0] == '<':
		return parseMarkup(body, failed)
	}
	var value any
	if d := decoder(body); d.Decode(&value) == nil {
		var r reader
		if object, ok := value.(map[string]any); ok && !failed {
			r.success(object)
		} else {
			r.read(value, 0)
		}
		if e := r.error(); e.Found || !failed {
			return e
		}
		return Error{Message: text.Cut(string(body), maxRaw)}
	}
	if !failed && !soundsLikeError(body) {
		return Error{}
	}
	return Error{Message: text.Cut(string(body), maxRaw), Found: true}
}

func decoder(body []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return d
}

// reader collects what a JSON error says.
type reader struct {
	code, kind, param string
	codes, messages   []string
	providers         []string
	quotas            []Violation
	header            http.Header
	found             bool
}

// keys are the names of an error object's fields, in lower case and without underscores and
// hyphens.
type keys struct{ messages, codes, types, nested []string }

func errorKeys() keys {
	return keys{
		messages: []string{
			"message", "msg", "errormessage", "errormsg", "errmsg", "statusmsg", "statusmessage", "retmsg", "errordescription", "description",
			"faultstring", "title", "reason", "detail", "details", "cause", "hint",
		},
		codes: []string{"code", "errorcode", "errcode", "statuscode", "retcode", "errno"},
		types: []string{"type", "errortype", "status", "reason", "limitsource", "error", "errorname", "__type"},
		nested: []string{
			"error", "errors", "detail", "details", "innererror", "fault", "faults", "exception", "baseresp", "metadata", "raw", "err", "errs",
			"cause", "response", "body", "data", "result", "message", "msg", "violations", "fieldviolations", "messages",
		},
	}
}

// success reads the object of a 2xx, which is an error only if it has one.
func (r *reader) success(object map[string]any) {
	fields := normalized(object)
	if list, ok := fields["choices"].([]any); ok && len(list) > 0 {
		return
	}
	_, completion := fields["choices"]
	for _, key := range []string{"error", "errors", "fault", "detail", "baseresp"} {
		switch v := fields[key].(type) {
		case nil:
		case bool, json.Number:
		case string:
			if v != "" {
				r.read(object, 0)
				return
			}
		case []any:
			if len(v) > 0 {
				r.read(object, 0)
				return
			}
		case map[string]any:
			if code, ok := normalized(v)["statuscode"]; key == "baseresp" && ok && scalar(code) == "0" {
				continue
			}
			if len(v) > 0 {
				r.read(object, 0)
				return
			}
		}
	}
	usage, hasUsage := fields["usage"]
	if !completion && (!hasUsage || usage == nil) && scalar(fields["object"]) != "chat.completion" &&
		(first(fields, "message", "msg", "errormessage", "errormsg", "errmsg", "errordescription") != "" || scalar(fields["object"]) == "error") {
		r.read(object, 0)
	}
}

// read collects from a value and what is in it.
func (r *reader) read(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		r.text(v, depth)
	case []any:
		for _, item := range v {
			r.read(item, depth+1)
		}
	case map[string]any:
		r.object(v, depth)
	}
}

// text collects a message, which may be JSON of its own, or end with it ("litellm.BadRequestError:
// OpenAIException - {…}").
func (r *reader) text(s string, depth int) {
	s = strings.TrimSpace(s)
	if s == "" || s == "None" || s == "null" {
		return
	}
	for i := strings.IndexAny(s, "{["); i >= 0 && i+1 < len(s); {
		var value any
		if decoder([]byte(s[i:])).Decode(&value) == nil {
			inner := reader{}
			inner.read(value, depth+1)
			if inner.found {
				r.add(strings.TrimRight(strings.TrimSpace(s[:i]), " -:"))
				r.merge(inner)
				return
			}
		}
		next := strings.IndexAny(s[i+1:], "{")
		if next < 0 {
			break
		}
		i += 1 + next
	}
	r.add(s)
}

// add adds a message, unless an earlier one contains it.
func (r *reader) add(s string) {
	s = strings.TrimSpace(s)
	if s == "" {
		return
	}
	r.found = true
	for _, m := range r.messages {
		if strings.Contains(m, s) {
			return
		}
	}
	r.messages = append(r.messages, s)
}

// merge takes over what was found deeper. A code in words that is deeper is more specific than a
// number.
func (r *reader) merge(inner reader) {
	for _, m := range inner.messages {
		r.add(m)
	}
	r.codes = append(r.codes, inner.codes...)
	if inner.code != "" && (r.code == "" || isNumber(r.code) && !isNumber(inner.code)) {
		r.code = inner.code
	}
	if r.kind == "" {
		r.kind = inner.kind
	}
	if r.param == "" {
		r.param = inner.param
	}
	r.providers = append(r.providers, inner.providers...)
	r.quotas = append(r.quotas, inner.quotas...)
	for name, values := range inner.header {
		for _, v := range values {
			r.setHeader(name, v)
		}
	}
	r.found = r.found || inner.found
}

func (r *reader) setHeader(name, value string) {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
}

func (r *reader) object(object map[string]any, depth int) {
	fields := normalized(object)
	if at := scalar(fields["@type"]); at != "" {
		r.detail(at, fields)
		return
	}
	if loc, ok := fields["loc"].([]any); ok { // of FastAPI
		r.add(joined(loc, ".") + ": " + scalar(fields["msg"]))
		if r.param == "" {
			r.param = joined(loc, ".")
		}
		r.codes = appendCode(r.codes, scalar(fields["type"]))
		return
	}
	names := errorKeys()
	own := reader{param: first(fields, "param", "parameter", "field")}
	if path, ok := fields["path"].([]any); ok && own.param == "" { // of Zod
		own.param = joined(path, ".")
	}
	if own.param == "None" {
		own.param = ""
	}
	for _, key := range names.codes {
		if code := scalar(fields[key]); code != "" && code != "None" && (own.code == "" || isNumber(own.code) && !isNumber(code)) {
			own.code = code
		}
		own.codes = appendCode(own.codes, scalar(fields[key]))
	}
	for _, key := range names.types {
		s, ok := fields[key].(string)
		if !ok || strings.ContainsAny(s, " \n") || s == "about:blank" || s == "error" {
			continue // a sentence, or what every error has ({"type": "error", "error": {…}}, Anthropic)
		}
		own.codes = appendCode(own.codes, s)
		if own.kind == "" {
			own.kind = s
		}
	}
	if status := scalar(fields["status"]); own.code == "" && isNumber(status) {
		own.code, own.codes = status, appendCode(own.codes, status)
	}
	for _, key := range names.messages {
		if s, ok := fields[key].(string); ok && !slices.Contains(own.codes, s) {
			own.text(s, depth)
		}
	}
	if s, ok := fields["error"].(string); ok {
		own.text(s, depth)
	}
	for _, key := range names.nested {
		v := fields[key]
		if s, ok := v.(string); ok {
			if key == "raw" || key == "body" || key == "response" {
				own.text(s, depth)
			}
			continue
		}
		if list, ok := v.([]any); ok && (key == "message" || key == "messages" || key == "detail" || key == "details" || key == "msg" || key == "errors") && allText(list) {
			own.add(joined(list, ", "))
			continue
		}
		if v != nil {
			inner := reader{}
			inner.read(v, depth+1)
			own.merge(inner)
		}
	}
	if name := scalar(fields["providername"]); name != "" {
		own.providers = append(own.providers, name)
	}
	if headers, ok := fields["headers"].(map[string]any); ok {
		for name, value := range headers {
			own.setHeader(name, scalar(value))
		}
	}
	if raw := scalar(fields["retryafter"]); raw != "" {
		own.setHeader("Retry-After", raw)
	}
	if ms := scalar(fields["retryafterms"]); ms != "" {
		own.setHeader("Retry-After-Ms", ms)
	}
	if after := scalar(fields["retryafterseconds"]); after != "" {
		own.setHeader("Retry-After", after)
	}
	if scalar(fields["object"]) == "error" || len(own.codes) > 0 && depth > 0 {
		own.found = true
	}
	r.merge(own)
}

// detail reads one of Google's error details.
func (r *reader) detail(kind string, fields map[string]any) {
	inner := reader{}
	switch {
	case strings.HasSuffix(kind, "QuotaFailure"):
		for _, v := range list(fields["violations"]) {
			f := normalized(v)
			r.quotas = append(r.quotas, Violation{ID: first(f, "quotaid", "quotametric", "subject"), Value: first(f, "quotavalue")})
			inner.add(first(f, "description"))
		}
	case strings.HasSuffix(kind, "RetryInfo"):
		r.setHeader("Retry-After", strings.TrimSuffix(first(fields, "retrydelay"), "s"))
		return
	case strings.HasSuffix(kind, "ErrorInfo"):
		inner.codes = appendCode(inner.codes, first(fields, "reason"))
	case strings.HasSuffix(kind, "BadRequest"):
		for _, v := range list(fields["fieldviolations"]) {
			f := normalized(v)
			inner.add(first(f, "description"))
			if inner.param == "" {
				inner.param = first(f, "field")
			}
		}
	case strings.HasSuffix(kind, "LocalizedMessage"), strings.HasSuffix(kind, "DebugInfo"):
		inner.add(first(fields, "message", "detail"))
	}
	r.merge(inner)
}

// error returns what was collected.
func (r *reader) error() Error {
	message := strings.Join(r.messages, ": ")
	if len(r.providers) > 0 && len(r.messages) > 0 {
		message = r.messages[0] + " (" + strings.Join(slices.Compact(r.providers), ", ") + ")"
		if len(r.messages) > 1 {
			message += ": " + strings.Join(r.messages[1:], ": ")
		}
	}
	kind := r.kind
	if kind == "" && r.code == "" && len(r.codes) > 0 {
		kind = r.codes[0]
	}
	return Error{Code: r.code, Type: kind, Param: r.param, Message: message, Found: r.found, Codes: r.codes, Quotas: r.quotas, Header: r.header}
}

func appendCode(codes []string, code string) []string {
	if code == "" || code == "None" || code == "null" || len(code) > 100 || slices.Contains(codes, code) {
		return codes
	}
	return append(codes, code)
}

// normalized returns an object's fields by their names in lower case, without underscores and
// hyphens.
func normalized(object map[string]any) map[string]any {
	fields := make(map[string]any, len(object))
	for name, v := range object {
		key := strings.ToLower(name)
		if !strings.HasPrefix(key, "__") {
			key = strings.NewReplacer("_", "", "-", "").Replace(key)
		}
		if _, ok := fields[key]; !ok || name == key {
			fields[key] = v
		}
	}
	return fields
}

// first returns the first of the fields that is a text or a number.
func first(fields map[string]any, keys ...string) string {
	for _, key := range keys {
		if s := scalar(fields[key]); s != "" {
			return s
		}
	}
	return ""
}

func list(v any) []map[string]any {
	var all []map[string]any
	items, _ := v.([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

func allText(list []any) bool {
	for _, item := range list {
		if _, ok := item.(string); !ok {
			return false
		}
	}
	return len(list) > 0
}

func joined(list []any, separator string) string {
	var parts []string
	for _, item := range list {
		if s := scalar(item); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, separator)
}

// scalar returns a string or a number as text.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
