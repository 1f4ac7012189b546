package llm

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// maxMessage is how much of an endpoint's message is kept, in bytes.
	maxMessage = 300
	// scrubWindow is the shortest run of prompt text that is taken out of a
	// message, in bytes.
	scrubWindow = 20
	hidden      = "[…]"
)

// secret matches what keys look like, also the masked ones in OpenAI's
// "Incorrect API key provided: sk-abc***xyz".
var secret = regexp.MustCompile(`(?i)\b(?:sk|pk|gsk|xai|key)[-_][\w*.…-]{6,}|\bAIza[\w-]{10,}|\bBearer\s+\S+`)

// A scrubber makes an endpoint's message fit for logs and the ledger.
//
// Endpoints quote what they were sent: FastAPI servers put the whole request
// into a validation error, moderation quotes the flagged passage.
type scrubber struct {
	key    string
	prompt []Message
}

func (s scrubber) clean(message string) string {
	message = oneLine(text.Cut(message, 4*maxMessage))
	if len(s.key) >= 4 {
		message = strings.ReplaceAll(message, s.key, hidden)
	}
	message = secret.ReplaceAllString(message, hidden)
	message = s.withoutPrompt(message)
	if len(message) > maxMessage {
		message = text.Cut(message, maxMessage) + "…"
	}
	return message
}

// oneLine makes a quotation comparable with what it quotes: white space of any
// kind, also escaped as in JSON inside of JSON, becomes one space.
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

// withoutPrompt takes out every run of scrubWindow bytes or more that stands in
// the prompt.
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

// quoted is the length of the longest beginning of text, of at least
// scrubWindow bytes, that stands in the prompt.
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
