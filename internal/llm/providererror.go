package llm

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// providerError is the error that an endpoint reports in a response body.
type providerError struct {
	Code    string // "context_length_exceeded", "429", "RESOURCE_EXHAUSTED"
	Type    string
	Param   string
	Message string
	found   bool // the body is an error in a known form
}

// parseProviderError reads an error body in one of these forms:
//
//	{"error": {"code", "type", "param", "message",
//	           "innererror": {"code"}}}             OpenAI, Azure, llama.cpp, Ollama, vLLM from 0.10
//	{"error": "text"}                               Ollama's own API, proxies
//	{"object": "error", "code", "type", "param",
//	 "message"}                                     vLLM before 0.10
//	[{"error": {"code", "status", "message"}}]      Gemini
//	{"detail": "text" or [{"loc", "msg"}]}          FastAPI
//	{"message": "text"}                             gateways
//
// The input that FastAPI quotes next to msg is ignored: it is the request.
func parseProviderError(body []byte) providerError {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return providerError{}
		}
		body = list[0]
	}
	var outer struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
		errorFields
	}
	if json.Unmarshal(body, &outer) != nil {
		return providerError{}
	}
	if raw := bytes.TrimSpace(outer.Error); len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return providerError{Message: text, found: true}
		}
		var inner errorFields
		if json.Unmarshal(raw, &inner) == nil {
			return inner.providerError()
		}
		return providerError{found: true}
	}
	if text := detailText(outer.Detail); text != "" {
		return providerError{Message: text, found: true}
	}
	if object, _ := outer.Object.(string); object == "error" || scalar(outer.Message) != "" {
		return outer.errorFields.providerError()
	}
	return providerError{}
}

// errorFields have loose types: codes are strings or numbers, messages are strings or lists.
type errorFields struct {
	Object     any `json:"object"`
	Code       any `json:"code"`
	Type       any `json:"type"`
	Status     any `json:"status"`
	Param      any `json:"param"`
	Message    any `json:"message"`
	InnerError struct {
		Code any `json:"code"`
	} `json:"innererror"`
}

func (f errorFields) providerError() providerError {
	p := providerError{
		Code:    scalar(f.Code),
		Type:    scalar(f.Type),
		Param:   scalar(f.Param),
		Message: scalar(f.Message),
		found:   true,
	}
	if p.Type == "" {
		p.Type = scalar(f.Status)
	}
	if inner := scalar(f.InnerError.Code); inner != "" && (p.Code == "" || isNumber(p.Code)) {
		p.Code = inner
	}
	return p
}

// detailText joins FastAPI's details.
func detailText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(raw, &list) != nil {
		return ""
	}
	var parts []string
	for _, item := range list {
		var loc []string
		for _, l := range item.Loc {
			loc = append(loc, scalar(l))
		}
		parts = append(parts, strings.Join(loc, ".")+": "+item.Msg)
	}
	return strings.Join(parts, "; ")
}

// scalar returns a string, number or list as text.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var parts []string
		for _, item := range v {
			if text := scalar(item); text != "" {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, ", ")
	}
	return ""
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
