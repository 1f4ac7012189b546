package llm

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// maxMessage is the number of bytes of an endpoint's message that are kept.
	maxMessage = 300
	// scrubWindow is the shortest run of prompt text, in bytes, that is removed from a message.
	scrubWindow = 20
	hidden      = "[…]"
)

// secret matches the shapes of keys, also masked ones as in OpenAI's "Incorrect API key provided:
// sk-abc***xyz".
var secret = regexp.MustCompile(`(?i)\b(?:sk|pk|gsk|xai|key)[-_][\w*.…-]{6,}|\bAIza[\w-]{10,}|\bBearer\s+\S+`)

// scrubber removes keys and text of documents from an endpoint's message, so that it can go into
// logs and the ledger. Endpoints quote requests: FastAPI servers put the whole request into a
// validation error, moderation quotes the flagged passage.
type scrubber struct {
	secrets []string // keys, and values of headers
	prompt  []Message
}

// clean returns the message as one line of at most maxMessage bytes and an ellipsis.
func (s scrubber) clean(message string) string {
	message = oneLine(text.Cut(message, 4*maxMessage))
	for _, known := range s.secrets {
		if len(known) >= 4 {
			message = strings.ReplaceAll(message, known, hidden)
		}
	}
	message = secret.ReplaceAllString(message, hidden)
	message = s.withoutPrompt(message)
	if len(message) > maxMessage {
		message = text.Cut(message, maxMessage) + "…"
	}
	return message
}

// oneLine makes a quotation comparable with its source: white space of any kind, also escaped as
// in JSON within JSON, becomes one space.
func oneLine(s string) string {
	s = strings.NewReplacer(`\n`, " ", `\r`, " ", `\t`, " ", `\"`, `"`, `\'`, `'`).Replace(s)
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return text.OneLine(s)
}

// withoutPrompt removes every run of at least scrubWindow bytes that is part of the prompt.
func (s scrubber) withoutPrompt(message string) string {
	if len(message) < scrubWindow {
		return message
	}
	prompt := make([]string, len(s.prompt))
	for i, m := range s.prompt {
		prompt[i] = oneLine(m.Content)
	}
	var out strings.Builder
	kept := 0
	for i := 0; i+scrubWindow <= len(message); {
		n := quoted(prompt, message[i:])
		if n == 0 {
			i++
			continue
		}
		out.WriteString(message[kept:i])
		out.WriteString(hidden)
		i += n
		kept = i
	}
	out.WriteString(message[kept:])
	return strings.ToValidUTF8(out.String(), "")
}

// quoted returns the length of the longest prefix of text that is part of the prompt, or 0 if it
// is shorter than scrubWindow bytes.
func quoted(prompt []string, text string) int {
	longest := 0
	for _, p := range prompt {
		n := scrubWindow
		if !strings.Contains(p, text[:n]) {
			continue
		}
		for n < len(text) && strings.Contains(p, text[:n+1]) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}
