package completion

import (
	"strings"
	"testing"
)

func TestThoughts(t *testing.T) {
	t.Parallel()
	const object = `{"summary":"Fine."}`
	for _, tt := range []struct {
		name, text, answer string
		json               bool
	}{
		{"none", "Fine.", "Fine.", false},
		{"none, with angle brackets", "a < b and <think", "a < b and <think", false},
		{"think", "<think>\nhm {\n</think>\n\n" + object, object, true},
		{"think, in capitals", "<THINK>hm</THINK>" + object, object, true},
		{"empty think", "<think>\n\n</think>\n\nFine.", "Fine.", false},
		{"without its opening", "Okay, the user wants {\"summary\": ...}.\n</think>\n\n" + object, object, true},
		{"with an example", "It has to look like {\"summary\": \"text\"}. A draft: {\"summary\": \"draft\"}.\n</think>\n" + object, object, true},
		{"that begin with an object", "{\"summary\": \"draft\"} is too short.\n</think>\n" + object, object, true},
		{"of notes, without opening", "Okay, notes. Let me think.\n</think>\n\nThe harbour was rebuilt.", "The harbour was rebuilt.", false},
		{"glued to the answer", "Let me think.</think>The harbour was rebuilt.", "The harbour was rebuilt.", false},
		{"glued on a line", "<think>Let me think.</think> The harbour was rebuilt.", "The harbour was rebuilt.", false},
		{"twice", "<think>a</think>\n<think>b</think>\nFine.", "Fine.", false},
		{"a preamble", "Sure.\n<think>\nhm\n</think>\nFine.", "Fine.", false},
		{"after the answer", "Fine.\n<think>\nhm\n</think>", "Fine.", false},
		{"not ended", "<think>\nOkay, the user wants", "", false},
		{"not ended, JSON", "<think>\nOkay, {\"summary\": \"x\"}", "", true},
		{"thinking", "<thinking>hm</thinking>\n" + object, object, true},
		{"reasoning", "<reasoning>hm</reasoning>\nFine.", "Fine.", false},
		{"thought of EXAONE", "<thought>\nhm\n</thought>\n\nFine.", "Fine.", false},
		{"Mistral", "[THINK]hm[/THINK]" + object, object, true},
		{"Kimi", "◁think▷hm◁/think▷\nFine.", "Fine.", false},
		{"Seed", "<seed:think>hm</seed:think>" + object, object, true},
		{"MiniMax", "<mm:think>hm</mm:think>" + object, object, true},
		{"Cohere", "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>" + object + "<|END_RESPONSE|>", object, true},
		{"Gemma", "<|channel>thought\nhm<channel|>Fine.", "Fine.", false},
		{"MedGemma", "<unused94>thought\nhm<unused95>Fine.", "Fine.", false},
		{"Apertus", "<|inner_prefix|>hm<|inner_suffix|>Fine.", "Fine.", false},
		{"Hunyuan", "<think>\nhm\n</think>\n<answer>\n" + object + "\n</answer>", object, true},
		{"ERNIE", "hm\n</think>\n\n<response>\nFine.\n</response>", "Fine.", false},
		{"Granite", "Here is my thought process: hm Here is my response: Fine.", "Fine.", false},
		{"harmony", "<|channel|>analysis<|message|>We need JSON {\"summary\": \"...\"}.<|end|><|start|>assistant<|channel|>final<|message|>" + object, object, true},
		{"harmony with its end", "<|start|>assistant<|channel|>final <|constrain|>json<|message|>" + object + "<|return|>", object, true},
		{"harmony, commentary", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|><|start|>assistant<|channel|>final<|message|>Fine.<|end|>", "Fine.", false},
		{"harmony without an answer", "<|channel|>analysis<|message|>We need JSON {\"summary\": \"...\"}", "", true},
		{"harmony without its marks", "analysisWe need a summary.assistantfinalFine.", "Fine.", false},
		{"an end of turn", "Fine.<|im_end|>", "Fine.", false},
		// Tags that a text quotes stay.
		{"quoted in JSON", `{"summary":"The text explains <think> and </think>, and {more}."}`, `{"summary":"The text explains <think> and </think>, and {more}."}`, true},
		{"quoted in fenced JSON", "```json\n{\"summary\":\"It explains </think>.\"}\n```", "```json\n{\"summary\":\"It explains </think>.\"}\n```", true},
		{"quoted in JSON after words", `Here: {"summary":"It explains </think> and {x}."}`, `Here: {"summary":"It explains </think> and {x}."}`, true},
		{"thoughts, then quoted in JSON", "hm\n</think>\n" + `{"summary":"It explains </think> tags."}`, `{"summary":"It explains </think> tags."}`, true},
		{"quoted in notes", "The page explains `<think>` and `</think>` of R1.", "The page explains `<think>` and `</think>` of R1.", false},
		{"named in notes", "R1 writes <think> and </think> around it.", "R1 writes <think> and </think> around it.", false},
		{"in quotation marks", "It ends with \"</think>\".", "It ends with \"</think>\".", false},
		{"harmony in JSON", `{"summary":"Channels: <|channel|>analysis<|message|>x"}`, `{"summary":"Channels: <|channel|>analysis<|message|>x"}`, true},
		{"XML in notes", "The file has <analysis>, <reason> and\n</analysis>\nat its end.", "The file has <analysis>, <reason> and\n</analysis>\nat its end.", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer, thoughts := Thoughts(tt.text, tt.json)
			if answer != tt.answer {
				t.Errorf("answer %q, want %q (thoughts %q)", answer, tt.answer, thoughts)
			}
			if again, _ := Thoughts(answer, tt.json); again != answer {
				t.Errorf("the second time %q", again)
			}
		})
	}
}

func FuzzThoughts(f *testing.F) {
	f.Add("<think>a</think>b", true)
	f.Add("<|channel|>final<|message|>x<|end|>", false)
	f.Add("İ</think>\xff{\"a\":\"</think>\"}", true)
	f.Add(strings.Repeat("{</think>", 50), true)
	f.Add("\xff\xff</think>a", false)
	f.Fuzz(func(t *testing.T, text string, structured bool) {
		if answer, _ := Thoughts(text, structured); isJSON(text) && answer != text {
			t.Errorf("%q became %q", text, answer)
		}
	})
}
