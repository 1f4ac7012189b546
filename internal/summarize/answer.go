package summarize

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// ask sends r and returns the answer if accept finds no problem in it. An answer that was
// cut is requested again with a larger cap. A refused answer is sent back once, with its
// problem; repair names the prompt for that. A second refusal is an [OutputError].
func (w *documentWork) ask(ctx context.Context, r llm.Request, repair string, accept func(content string) *problem) (llm.Response, error) {
	resp, sent, err := w.uncut(ctx, r)
	if err != nil {
		return llm.Response{}, err
	}
	p := accept(bare(resp.Content))
	if p == nil {
		return resp, nil
	}
	explained, err := w.prompts.explain(p)
	if err != nil {
		return llm.Response{}, err
	}
	request, err := w.prompts.render(repair, map[string]any{"Problem": explained, "Language": w.repairLanguage(repair)})
	if err != nil {
		return llm.Response{}, err
	}
	again := sent[len(sent)-1]
	again.Messages = append([]llm.Message(nil), again.Messages...)
	// Some endpoints refuse a message without content. The part of an answer far beyond
	// the cap does not help the model.
	if bad := strings.TrimSpace(resp.Content); bad != "" {
		again.Messages = append(again.Messages, llm.Message{Role: llm.RoleAssistant, Content: text.Cut(bad, 4*r.MaxOutputTokens)})
	}
	again.Messages = append(again.Messages, llm.Message{Role: llm.RoleUser, Content: request})
	resp, repaired, err := w.uncut(ctx, again)
	if err != nil {
		return llm.Response{}, err
	}
	if p = accept(bare(resp.Content)); p != nil {
		return llm.Response{}, &OutputError{Class: BadOutput, Message: p.forLedger + ", also when asked again", Requests: names(append(sent, repaired...))}
	}
	return resp, nil
}

// repairLanguage is the language that a repair names. An instruction may ask for another one
// than the document's.
func (w *documentWork) repairLanguage(repair string) string {
	if repair == "repair" && w.user.tmpl != nil && w.profile.Language == "" {
		return ""
	}
	return w.language
}

// uncut returns an answer that was not cut at its cap, and the requests that it took.
func (w *documentWork) uncut(ctx context.Context, r llm.Request) (llm.Response, []llm.Request, error) {
	sent := []llm.Request{r}
	resp, isCut, err := w.complete(ctx, r)
	if err != nil || !isCut {
		return resp, sent, err
	}
	room := w.limits.window - w.tokens(r)
	r.MaxOutputTokens = max(min(max(4*r.MaxOutputTokens, 2048), room), r.MaxOutputTokens+r.MaxOutputTokens/4+1)
	sent = append(sent, r)
	resp, isCut, err = w.complete(ctx, r)
	if err == nil && isCut {
		err = &OutputError{Class: OutputTooLong, Requests: names(sent),
			Message: "the answer was cut at its limit, also at a larger one: raise max-output-tokens or ask for fewer words"}
	}
	return resp, sent, err
}

// complete makes one call and adds its usage. isCut reports that the answer ended at its cap.
func (w *documentWork) complete(ctx context.Context, r llm.Request) (resp llm.Response, isCut bool, err error) {
	resp, err = w.calls.Complete(ctx, r)
	usage := resp.Usage
	var failed *llm.Error
	if errors.As(err, &failed) {
		usage = usage.Add(failed.Usage)
		if failed.Class == llm.TooLong && failed.Status == 0 { // not an answer that is far beyond any cap
			isCut, err = true, nil
		}
	}
	w.mu.Lock()
	w.usage = w.usage.Add(usage)
	w.mu.Unlock()
	return resp, isCut || err == nil && resp.FinishReason == llm.FinishLength, err
}

func (w *documentWork) answeredBy(resp llm.Response) string {
	if resp.Model != "" {
		return resp.Model
	}
	return w.profile.Model
}

func names(sent []llm.Request) []string {
	out := make([]string, len(sent))
	for i, r := range sent {
		out[i] = r.Name()
	}
	return out
}

var (
	// Reasoning that an endpoint leaves in the answer. vLLM and Ollama do so if they have
	// no parser for the model.
	thinking = regexp.MustCompile(`(?s)^\s*<(think|thinking|reasoning)>.*?</(?:think|thinking|reasoning)>`)
	fenced   = regexp.MustCompile("(?s)^```[\\w-]*[ \t]*\n(.*?)\n?```$")
)

// bare removes reasoning and a code fence around an answer.
func bare(content string) string {
	content = strings.TrimSpace(thinking.ReplaceAllString(content, ""))
	if m := fenced.FindStringSubmatch(content); m != nil {
		content = strings.TrimSpace(m[1])
	}
	return content
}

// object returns the JSON object in an answer if it matches the schema. Text around the
// object is ignored.
func (s *answerSchema) object(content string) (ordered, *problem) {
	if content == "" {
		return ordered{}, &problem{forModel: "it is empty", forLedger: "the answer is empty"}
	}
	at := strings.IndexByte(content, '{')
	if at < 0 {
		return ordered{}, noObject()
	}
	v, err := parseOrdered(content[at:])
	if err != nil {
		return ordered{}, noObject()
	}
	return v, s.validate(v)
}

func noObject() *problem {
	return &problem{forModel: "it is not a valid JSON object", forLedger: "the answer is not a valid JSON object"}
}

// summary cleans the strings of a valid answer. It returns the text for people and, for a
// schema of the user, the whole object.
func (s *answerSchema) summary(object ordered, c cleaner) (string, json.RawMessage, *problem) {
	changed := false
	v := object.mapStrings(func(text string) string {
		cleaned := c.clean(text)
		changed = changed || cleaned != text
		return cleaned
	})
	if changed {
		if p := s.validate(v); p != nil {
			p.afterCleaning = true
			return "", nil, p
		}
	}
	text := v.summary()
	if text == "" {
		return "", nil, &problem{forModel: "its text is empty", forLedger: "the summary is empty"}
	}
	if !s.custom {
		return text, nil, nil
	}
	return text, v.json(), nil
}
