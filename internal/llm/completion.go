package llm

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gistmill/gistmill/internal/llm/completion"
)

// lenient accepts repeated names and invalid UTF-8, as encoding/json does.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) //nolint:gochecknoglobals // never changed

// Codes of errors of a 200 that has no usable answer. One more call decides them, see
// [Error.Repeat].
const (
	// codeNoAnswer: the endpoint read the prompt and sent neither an answer nor an error.
	codeNoAnswer = "no_answer"
	// codeTooLarge: the answer is larger than maxAnswerBytes.
	codeTooLarge = "answer_too_large"
	// codeWhiteSpace: the answer is white space up to its cap, as grammars allow it.
	codeWhiteSpace = "white_space"
)

// answer turns a completion into a Response. It is an error if a filter or the model declined, if
// the generation failed halfway, or if the endpoint cut the prompt.
func (c *Client) answer(ctx context.Context, r Request, ex *exchange, cl classifier) (Response, error) {
	a := ex.answer
	resp := Response{
		Model:    a.Model,
		Endpoint: c.Host(),
		Usage:    usageOf(a.Usage),
	}
	failed := func(class Class, code, message string) (Response, error) {
		return Response{}, &Error{Class: class, Status: ex.status, Code: code, Message: message, Usage: resp.Usage, MayBeBilled: resp.Usage == Usage{}}
	}
	text, thoughts := completion.Thoughts(a.Text, r.Schema != nil)
	if a.Thoughts != "" {
		thoughts = a.Thoughts
	}
	end := completion.EndOf(a.Finish)
	if end == completion.Unknown && r.Schema != nil && jsontext.Value(unfence(text)).IsValid(lenient) {
		end = completion.Whole // a word that says nothing, and braces that say that the answer is whole
	}
	switch end {
	case completion.Whole:
		resp.FinishReason = FinishStop
	case completion.Cut:
		resp.FinishReason = FinishLength
	case completion.Filtered:
		return failed(Refused, "content_filter", "the provider's content filter stopped the answer"+said(cl, a.Finish))
	case completion.Full:
		return failed(ContextLength, "context_window_exceeded", "the answer reached the end of the model's context window")
	default:
		return failed(Transient, "generation_failed", "the endpoint failed while it was answering"+said(cl, a.Finish))
	}
	if a.Refusal != "" {
		return failed(Refused, "refusal", "the model declined: "+cl.scrub.clean(a.Refusal))
	}
	if r.Schema != nil {
		text = unfence(text)
		if end == completion.Cut && thoughts == "" && a.Usage.Reasoning == 0 && isPadding(text) {
			c.withoutFormat(ctx, r)
			return failed(Transient, codeWhiteSpace, "the answer is white space up to its output cap: the endpoint's structured output fails for this model")
		}
		if strings.TrimSpace(text) == "" && end == completion.Whole {
			text = objectAtEnd(r.Schema, thoughts)
		}
	}
	resp.Content, resp.Thoughts = text, len(thoughts)
	if cut := c.promptCut(r, &resp.Usage); cut != nil {
		return Response{}, cut
	}
	return resp, nil
}

// said returns the endpoint's finish reason for a message, unless it is the usual word.
func said(cl classifier, reason string) string {
	if reason == "content_filter" || reason == "error" || len(reason) > 100 {
		return ""
	}
	return " (" + cl.scrub.clean(reason) + ")"
}

// unanswered classifies a call that gave no answer. A generation that failed halfway, and a prompt
// that was read and not answered, cost what the endpoint reports.
func (c *Client) unanswered(ex *exchange, cl classifier) *Error {
	out := cl.classify(ex)
	out.Usage = usageOf(ex.answer.Usage)
	out.MayBeBilled = out.MayBeBilled && out.Usage == Usage{}
	if ex.ok() {
		out.Tier = billedTier(ex)
	}
	switch {
	case ex.answer.Begun && out.Class == Transient:
		out.Code = "generation_failed"
		out.MayBeBilled = out.Usage == Usage{}
	case ex.answer.Blocked:
		out.Code = codeNoAnswer
		out.Message = "the endpoint read the prompt and gave no answer: a filter of the provider may block the document"
	}
	return out
}

// usageOf returns the tokens of a completion, whose numbers are plausible.
func usageOf(u completion.Usage) Usage {
	return Usage{In: u.Prompt, Out: u.Completion, CachedIn: u.Cached, CacheWriteIn: u.CacheWrite, Thought: min(u.Reasoning, u.Completion)}
}

// White-space bytes that no answer begins with or ends in.
const (
	leadingPadding  = 16
	trailingPadding = 64
)

// isPadding reports an answer of nothing but white space, or one that ends in more white space than
// it has text. Grammars allow white space between tokens, and some models never leave it
// (https://platform.openai.com/docs/guides/structured-outputs on JSON mode; vllm issue 13683).
func isPadding(text string) bool {
	rest := strings.TrimRight(text, " \t\r\n")
	space := len(text) - len(rest)
	return rest == "" && space >= leadingPadding || space >= trailingPadding && space > len(rest)
}

// withoutFormat makes later requests with this schema write it into the prompt only.
func (c *Client) withoutFormat(ctx context.Context, r Request) {
	part := partFormatOf + schemaID(r.Schema)
	known := c.known(r.Model)
	known.Try(part)
	known.Confirm(ctx, []string{part})
}

// objectAtEnd returns the JSON object at the end of thoughts if it has every field that the schema
// requires, else "". vLLM puts the whole answer of a model that does not think into
// reasoning_content if a reasoning parser is set (vllm issue 17349).
func objectAtEnd(schema []byte, thoughts string) string {
	thoughts = unfence(strings.TrimSpace(thoughts))
	if !strings.HasSuffix(thoughts, "}") {
		return ""
	}
	var want struct {
		Required []string `json:"required"`
	}
	if json.Unmarshal(schema, &want, lenient) != nil {
		return ""
	}
	at := len(thoughts)
	for range 64 { // a bound on the work
		at = strings.LastIndexByte(thoughts[:at], '{')
		if at < 0 {
			return ""
		}
		var fields map[string]jsontext.Value
		if json.Unmarshal([]byte(thoughts[at:]), &fields, lenient) != nil {
			continue
		}
		for _, name := range want.Required {
			if _, ok := fields[name]; !ok {
				return ""
			}
		}
		return thoughts[at:]
	}
	return ""
}
