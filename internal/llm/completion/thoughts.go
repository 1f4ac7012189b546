package completion

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// marks are the pairs of marks around a model's thoughts. The opening one is often part of the
// prompt, so that only the closing one comes.
//
// Sources: the reasoning parsers of vllm-project/vllm (vllm/reasoning: deepseek_r1, qwen3, glm45,
// kimi_k2, seed_oss, mistral, cohere_command, gemma4, apertus, pangu, minimax_m3, ernie45,
// hunyuan_a13b, granite) and of sgl-project/sglang (python/sglang/srt/parser/reasoning_parser.py:
// Kimi ◁think▷, Kimi K3), the chat templates of EXAONE Deep (<thought>) and MedGemma (<unused94>).
//
//nolint:gochecknoglobals // never changed
var marks = []mark{
	{"<think>", "</think>", true}, {"<thinking>", "</thinking>", true}, {"<reasoning>", "</reasoning>", true},
	{"<seed:think>", "</seed:think>", true}, {"<mm:think>", "</mm:think>", true}, {"<|think|>", "<|/think|>", true},
	{"[think]", "[/think]", true}, {"◁think▷", "◁/think▷", true}, {"<|start_thinking|>", "<|end_thinking|>", true},
	{"<|channel>", "<channel|>", true}, {"<unused94>", "<unused95>", true}, {"[unused16]", "[unused17]", true},
	{"<|inner_prefix|>", "<|inner_suffix|>", true}, {"<|open|>think<|sep|>", "<|close|>think<|sep|>", true},
	{"<|begin_of_thought|>", "<|end_of_thought|>", true},
	{"<thought>", "</thought>", false}, {"<thoughts>", "</thoughts>", false}, {"<reason>", "</reason>", false},
	{"<analysis>", "</analysis>", false}, {"<reflection>", "</reflection>", false}, {"<scratchpad>", "</scratchpad>", false},
	{"here is my thought process:", "here is my response:", false}, {"here's my thought process:", "here's my response:", false},
}

// mark is a pair of marks in lower case. alone says that the closing one ends thoughts also where
// the opening one is missing: it is no word of any text.
type mark struct {
	opening, closing string
	alone            bool
}

// wrappers are marks around an answer that follow thoughts, and ends of turns. They are removed
// from the two ends of an answer.
//
//nolint:gochecknoglobals // never changed
var wrappers = []string{
	"<answer>", "</answer>", "<response>", "</response>", "<output>", "</output>", "<final_answer>", "</final_answer>", "<|start_response|>", "<|end_response|>",
	"<|begin_of_solution|>", "<|end_of_solution|>", "<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>", "<|begin_of_box|>", "<|end_of_box|>",
	"<|im_end|>", "<|im_start|>assistant", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|return|>", "<end_of_turn>", "<|end_of_text|>", "<|eom_id|>", "[EOS]", "<|end_of_sentence|>", "<｜end▁of▁sentence｜>", "<eos>",
}

// Thoughts separates the thoughts that a server left in a text from the answer. A text whose
// thoughts do not end is all thoughts. Marks within the strings of a JSON answer, and marks that a
// text quotes, stay. structured says that the answer is JSON.
func Thoughts(text string, structured bool) (answer, thoughts string) {
	if answer, thoughts, ok := harmony(text); ok {
		return answer, thoughts
	}
	if !strings.ContainsAny(text, "<[◁:") {
		return text, ""
	}
	trimmed := strings.TrimSpace(text)
	if isJSON(trimmed) {
		return text, ""
	}
	trimmed = strings.ToValidUTF8(trimmed, "\ufffd")
	low := lower(trimmed)
	if at := lastClosing(trimmed, low, structured); at > 0 {
		if answer = unwrap(trimmed[at:]); answer == "" {
			answer = before(trimmed, low)
		}
		return answer, strings.TrimSpace(trimmed[:at])
	}
	for _, m := range marks {
		if strings.HasPrefix(low, m.opening) && !strings.Contains(low, m.closing) {
			return "", trimmed
		}
	}
	if rest := unwrap(trimmed); rest != trimmed {
		return rest, ""
	}
	return text, ""
}

// lower maps ASCII letters only, so that places in the result are those of the text, which is valid
// UTF-8.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// isJSON reports that a text is one JSON value.
func isJSON(s string) bool {
	return s != "" && (s[0] == '{' || s[0] == '[') && jsontext.Value(s).IsValid(lenient)
}

// before returns the text before thoughts that end a text.
func before(text, low string) string {
	best := 0
	for _, m := range marks {
		if at := strings.LastIndex(low, m.opening); at > 0 && strings.HasSuffix(low, m.closing) {
			best = max(best, at)
		}
	}
	return unwrap(text[:best])
}

// lastClosing returns the place after the last closing mark, or 0. A mark at whose side a text goes
// on as around a quoted word is none, unless the text begins with its opening mark. Where the
// answer is JSON, a mark is one only if an object follows, or if no object precedes it.
func lastClosing(text, low string, structured bool) int {
	best := 0
	for _, m := range marks {
		opened := strings.HasPrefix(low, m.opening)
		if !opened && !m.alone {
			continue
		}
		for end := len(low); ; {
			at := strings.LastIndex(low[:end], m.closing)
			if at < 0 {
				break
			}
			end = at
			after := at + len(m.closing)
			if after <= best {
				break
			}
			if structured {
				if strings.Contains(text[after:], "{") && !inString(text, at) || !strings.Contains(text[:at], "{") {
					best = after
					break
				}
				if !inString(text, at) && opened && strings.TrimSpace(text[after:]) == "" {
					best = after
					break
				}
				continue
			}
			if !quoted(text, at, after) {
				best = after
				break
			}
			if opened && strings.Index(low, m.closing) == at {
				best = after
				break
			}
		}
	}
	return best
}

// inString reports that a place is within a string of the JSON object that begins before it and
// ends after it.
func inString(text string, at int) bool {
	from := 0
	for range 256 { // a bound on the work
		open := strings.IndexByte(text[from:at], '{')
		if open < 0 {
			return false
		}
		open += from
		d := jsontext.NewDecoder(strings.NewReader(text[open:]), lenient)
		if v, err := d.ReadValue(); err == nil {
			if open+len(v) > at {
				return true
			}
			from = open + len(v)
			continue
		}
		from = open + 1
	}
	return false
}

// quoted reports that a text names a mark as a word: within a line, in quotation marks or between
// spaces.
func quoted(text string, at, after int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	next, _ := utf8.DecodeRuneInString(text[after:])
	mark := func(r rune) bool { return strings.ContainsRune("\"'`“”‘’«»„()*_,;:", r) }
	switch {
	case at == 0 || after == len(text) || before == '\n' || next == '\n' || next == '\r':
		return at > 0 && mark(before) && mark(next)
	case mark(before) && (mark(next) || unicode.IsPunct(next)):
		return true
	}
	return (before == ' ' || mark(before)) && (next == ' ' || mark(next) || unicode.IsPunct(next) && next != '{' && next != '[' && next != '<')
}

// unwrap removes marks at the ends of an answer.
func unwrap(s string) string {
	s = strings.TrimSpace(s)
	for again := true; again; {
		again = false
		for _, w := range wrappers {
			low := lower(s)
			w = lower(w)
			if strings.HasPrefix(low, w) && strings.HasPrefix(w, "<") {
				s, again = strings.TrimSpace(s[len(w):]), true
			} else if strings.HasSuffix(low, w) {
				s, again = strings.TrimSpace(s[:len(s)-len(w)]), true
			}
		}
	}
	return s
}

// harmony reads the channels of gpt-oss (https://cookbook.openai.com/articles/openai-harmony): the
// message in the channel final is the answer. Servers that drop special tokens leave
// "analysis…assistantfinal…" (vllm issue 22515).
func harmony(text string) (answer, thoughts string, ok bool) {
	const channel, message = "<|channel|>", "<|message|>"
	if isJSON(strings.TrimSpace(text)) {
		return "", "", false
	}
	at := strings.Index(text, channel)
	if at < 0 {
		if rest, isBare := strings.CutPrefix(strings.TrimSpace(text), "analysis"); isBare {
			if before, final, found := strings.Cut(rest, "assistantfinal"); found {
				return strings.TrimSpace(final), strings.TrimSpace(before), true
			}
		}
		return "", "", false
	}
	final := false
	for rest := text; ; {
		at := strings.Index(rest, channel)
		if at < 0 {
			break
		}
		rest = rest[at+len(channel):]
		name, body, found := strings.Cut(rest, message)
		if !found {
			break
		}
		end := len(body)
		for _, mark := range []string{"<|end|>", "<|return|>", "<|start|>", "<|call|>", channel} {
			if i := strings.Index(body, mark); i >= 0 {
				end = min(end, i)
			}
		}
		if strings.HasPrefix(strings.TrimSpace(strings.ToLower(name)), "final") {
			answer, final = strings.TrimSpace(body[:end]), true
		} else {
			thoughts += strings.TrimSpace(body[:end]) + "\n"
		}
		rest = body
	}
	if !final && thoughts == "" {
		return "", "", false // the text only names a channel
	}
	return answer, strings.TrimSpace(thoughts), true
}
