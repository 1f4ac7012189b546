package summarize

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/llm"
)

const (
	german = "Die Bücherei zieht im Frühjahr um, weil der Mietvertrag für den Keller endet, und der Vorstand hat noch nicht entschieden, wohin die Bücher kommen. " +
		"Einige von ihnen wurden durch Wasser beschädigt, und deshalb wollen die Helfer einen trockenen Ort für alle Kisten.\n\n"
	english = "The library will move in the spring because the lease of the cellar ends, and the board has not yet decided where the books are to go. " +
		"Some of them were damaged by water, which is why the volunteers want a dry place for all of the boxes."
)

// The end of every request names the language: of a summary, notes, merged notes, and repairs.
func TestRequestsNameTheLanguage(t *testing.T) {
	t.Parallel()
	instructed := profile()
	instructed.Prompt = "Name the risks in:\n{{.Text}}"
	for _, c := range []struct {
		name            string
		p               Profile
		version, tag    string
		text            string
		system, summary string // parts of the system message, and of the end of the last request
		notes, repair   string
	}{
		{
			name: "that of the document", p: profile(), version: PromptV2, text: german,
			system: "in the language that the document is written in", summary: " Write it in German. ", notes: " Write them in German. ", repair: "Answer again in German with",
		},
		{
			name: "not certain", p: profile(), version: PromptV2, text: german + english + " ",
			system: "in the language that the document is written in", summary: "at the beginning. Ignore", notes: "at the beginning. Ignore", repair: "Answer again with",
		},
		{
			name: "chosen", p: profile(), version: PromptV2, tag: "pt-BR", text: german,
			system: "Write the summary in Portuguese (pt-BR), in about", summary: " Write it in Portuguese (pt-BR). ", notes: " Write them in Portuguese (pt-BR). ",
			repair: "Answer again in Portuguese (pt-BR) with",
		},
		{
			name: "with an instruction", p: instructed, version: PromptV2, text: german,
			system: "Unless the instruction says otherwise, answer in the language", summary: "Unless the instruction says otherwise, answer in German.", notes: " Write them in German. ", repair: "Answer again with",
		},
		{
			name: "chosen, with an instruction", p: instructed, version: PromptV2, tag: "fr", text: german,
			system: "Answer in French. Unless the instruction says otherwise, give a summary of about", summary: "Answer in French.", notes: " Write them in French. ", repair: "Answer again in French with",
		},
		{
			name: "v1", p: profile(), version: PromptV1, text: german,
			system: "language", summary: taskSummaryV1, notes: taskNotesV1, repair: "Answer again",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.p.WithPromptVersion(c.version)
			p.Language = c.tag
			ends := func(r llm.Request, part string) bool {
				last := r.Messages[len(r.Messages)-1].Content
				return strings.Contains(last[max(0, len(last)-150):], part)
			}
			m := &scripted{answer: func(int, llm.Request) (llm.Response, error) {
				return llm.Response{Content: "no object", FinishReason: llm.FinishStop}, nil
			}}
			_, _ = engine(t, p, m, 8192).Summarize(t.Context(), Document{Text: c.text})
			if len(m.calls) != 2 || !strings.Contains(m.calls[0].Messages[0].Content, c.system) || !ends(m.calls[0], c.summary) {
				t.Fatalf("%d calls, the first %+v", len(m.calls), m.calls[0].Messages)
			}
			if last := m.calls[1].Messages; !strings.Contains(last[len(last)-1].Content, c.repair) {
				t.Errorf("repair: %s", last[len(last)-1].Content)
			}
			m = &scripted{}
			_, _ = engine(t, p, m, 2048).Summarize(t.Context(), Document{Text: strings.Repeat(c.text, 120)})
			notes, merges := 0, 0
			for _, r := range m.calls {
				switch {
				case len(r.Schema) > 0:
					if !ends(r, c.summary) {
						t.Errorf("final request: %s", r.Messages[1].Content)
					}
				case !ends(r, c.notes):
					t.Errorf("request for notes: %s", r.Messages[1].Content)
				case strings.HasPrefix(r.Messages[0].Content, "You merge"):
					merges++
				default:
					notes++
				}
				if c.tag != "" && !strings.Contains(r.Messages[0].Content, " in "+map[string]string{"fr": "French", "pt-BR": "Portuguese (pt-BR)"}[c.tag]) {
					t.Errorf("system message: %s", r.Messages[0].Content)
				}
			}
			if notes < 3 || merges < 1 {
				t.Errorf("%d requests for notes, %d for merges", notes, merges)
			}
		})
	}
}

// The system messages are those of the profile, so that a provider can cache their beginning.
func TestSystemMessagesDoNotDependOnTheDocument(t *testing.T) {
	t.Parallel()
	m := &scripted{}
	e := engine(t, profile().WithPromptVersion(PromptV2), m, 8192)
	for _, text := range []string{german, english} {
		if _, err := e.Summarize(t.Context(), Document{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if m.calls[0].Messages[0] != m.calls[1].Messages[0] {
		t.Error("the system messages differ")
	}
}

// The check on language follows the setting.
func TestLanguageIsChecked(t *testing.T) {
	t.Parallel()
	instructed := profile()
	instructed.Prompt = "Name the risks in:\n{{.Text}}"
	for _, c := range []struct {
		name, tag, answer string
		p                 Profile
		want              string
	}{
		{"same", "", german, profile(), ""},
		{"other than the document", "", english, profile(), "en: the document is in de"},
		{"as chosen", "en", english, profile(), ""},
		{"as chosen, of a region", "en-GB", english, profile(), ""},
		{"not as chosen", "fr", english, profile(), "en: asked for fr"},
		{"the document's, and not as chosen", "en", german, profile(), "de: asked for en"},
		{"an instruction may ask for any", "", english, instructed, ""},
		{"an instruction and a language", "de", english, instructed, "en: asked for de"},
		{"of another script than an unknown one", "chr", english, profile(), "en: asked for chr"},
		{"of the script of an unknown one", "ceb", english, profile(), ""},
		{"too short to tell", "fr", "Umzug im Frühjahr.", profile(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.p.WithPromptVersion(PromptV2)
			p.Language = c.tag
			answer, err := json.Marshal(map[string]string{"summary": strings.TrimSpace(c.answer)})
			if err != nil {
				t.Fatal(err)
			}
			s, err := engine(t, p, answering(answer), 8192).Summarize(t.Context(), Document{Text: strings.Repeat(german, 8)})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range s.Findings {
				if f.Check == checks.Language {
					got = f.Found + ": " + f.Message
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
