package summarize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/completion"
	"github.com/gistmill/gistmill/internal/text"
)

// reply is an answer to judge.
type reply struct {
	content  string // without thoughts and a code fence
	cap      int    // on the answer, in tokens
	thoughts bool   // the endpoint sent thoughts beside it
	last     bool   // no further call follows
}

// ask sends r and returns the answer if accept finds no problem in it. An answer that was
// cut is requested again with a larger cap. A refused answer is sent back once, with its
// problem; repair names the prompt for that. A second refusal is an [OutputError].
func (w *documentWork) ask(ctx context.Context, r llm.Request, repair string, accept func(reply) *problem) (llm.Response, error) {
	resp, sent, err := w.uncut(ctx, r)
	if err != nil {
		return llm.Response{}, err
	}
	p := accept(replyTo(sent, resp, false))
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
	// the cap does not help the model, and neither do its thoughts.
	bad, _ := completion.Thoughts(resp.Content, r.Schema != nil)
	if bad = strings.TrimSpace(bad); bad != "" {
		again.Messages = append(again.Messages, llm.Message{Role: llm.RoleAssistant, Content: text.Cut(bad, 4*r.MaxOutputTokens)})
	}
	again.Messages = append(again.Messages, llm.Message{Role: llm.RoleUser, Content: request})
	resp, repaired, err := w.uncut(ctx, again)
	if err != nil {
		return llm.Response{}, err
	}
	if p = accept(replyTo(repaired, resp, true)); p != nil {
		return llm.Response{}, &OutputError{Class: cmp.Or(p.class, BadOutput), Message: p.forLedger + ", also when asked again", Requests: names(append(sent, repaired...))}
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

// replyTo returns the answer to the last of the requests.
func replyTo(sent []llm.Request, resp llm.Response, last bool) reply {
	r := sent[len(sent)-1]
	content, thoughts := bare(resp.Content, r.Schema != nil)
	return reply{content: content, cap: r.MaxOutputTokens, thoughts: thoughts != "" || resp.Thoughts > 0, last: last}
}

// mostTries is the number of times that an answer is requested with a cap: the first, a larger one,
// and one more if the model's thought used up the second.
const mostTries = 3

// uncut returns an answer that was not cut at its cap, and the requests that it took.
func (w *documentWork) uncut(ctx context.Context, r llm.Request) (llm.Response, []llm.Request, error) {
	sent := []llm.Request{r}
	for {
		resp, isCut, err := w.complete(ctx, r)
		if err != nil || !isCut {
			return resp, sent, err
		}
		// An answer from the ledger has no Thought. Its tokens went somewhere.
		thought := resp.Thought > 0 || resp.Usage.Out > 0 && isEmpty(resp.Content)
		room := w.limits.window - w.tokens(r)
		switch {
		case thought && room < r.MaxOutputTokens+resp.Thought && !resp.AtMost && len(sent) > 1:
			// A shorter text leaves more room.
			return resp, sent, &llm.Error{Class: llm.ContextLength, Code: "no_room_for_thought",
				Message: "the model's thought does not fit into the context window beside the text: " + thoughtFor(resp)}
		case resp.AtMost, len(sent) == mostTries, len(sent) > 1 && !thought:
			return resp, sent, tooLong(resp, thought, sent)
		}
		r.MaxOutputTokens = max(min(max(4*r.MaxOutputTokens, 2048), room), r.MaxOutputTokens+r.MaxOutputTokens/4+1)
		sent = append(sent, r)
	}
}

// isEmpty reports an answer that has nothing but thoughts.
func isEmpty(content string) bool {
	text, _ := bare(content, false)
	return strings.TrimSpace(text) == ""
}

// tooLong is the error of an answer that was cut at every cap.
func tooLong(resp llm.Response, thought bool, sent []llm.Request) error {
	message := "the answer was cut at its limit, also at a larger one: raise max-output-tokens or ask for fewer words"
	switch {
	case thought && resp.AtMost:
		message = thoughtFor(resp) + ", the most output of this model, and had none left for the answer: lower reasoning-effort, or choose a model that thinks less"
	case thought:
		message = thoughtFor(resp) + " and had none left for the answer, also at a larger limit: lower reasoning-effort, or raise max-output-tokens"
	case len(sent) == 1:
		message = "the answer was cut at the output limit of this model: ask for fewer words, or choose a model that can give more"
	}
	return &OutputError{Class: OutputTooLong, Requests: names(sent), Message: message}
}

// thoughtFor says for how many tokens the model thought.
func thoughtFor(resp llm.Response) string {
	if tokens := max(resp.Thought, resp.Usage.Thought); tokens > 0 {
		return fmt.Sprintf("the model thought for %d tokens", tokens)
	}
	return fmt.Sprintf("the model thought for %d tokens", resp.Usage.Out)
}

// complete makes one call and adds its usage. isCut reports that the answer ended at its cap.
func (w *documentWork) complete(ctx context.Context, r llm.Request) (resp llm.Response, isCut bool, err error) {
	r.Room = w.limits.total - estimate(r)
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

var fenced = regexp.MustCompile("(?s)^```[\\w-]*[ \t]*\n(.*?)\n?```$")

// bare removes a model's thoughts and a code fence around an answer. The client does so too;
// answers in the ledger may be older.
func bare(content string, structured bool) (answer, thoughts string) {
	answer, thoughts = completion.Thoughts(content, structured)
	answer = strings.TrimSpace(answer)
	if m := fenced.FindStringSubmatch(answer); m != nil {
		answer = strings.TrimSpace(m[1])
	}
	return answer, thoughts
}
