package summarize

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strings"
	"testing"
)

// Summaries are named by the version of the prompts. A changed prompt under the same
// version would leave old summaries in place as if nothing had changed. v1 never changes.
// v2 may change until 0.1.0 is released; after that, put a new text into a new version.
func TestPromptsAreThoseOfTheirVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		PromptV1: "6848fed520a4fde242d9c41a869b0eae837b3198e218e6e0ef19e07995598245",
		PromptV2: "75808d2fa76f5e5accb3975d78f8311937120963e819adea5ce68ad79e8d9716",
	} {
		h := sha256.New()
		dir := "prompts/" + version
		list, err := fs.ReadDir(promptFiles, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			b, err := promptFiles.ReadFile(dir + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			writeParts(h, f.Name(), string(b))
		}
		p, err := loadPrompts(version)
		if err != nil {
			t.Fatal(err)
		}
		task, err := p.tasks("", false)
		if err != nil {
			t.Fatal(err)
		}
		writeParts(h, task.summary, task.notes, builtinSchema)
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("the prompts of %s changed: they hash to %s", version, got)
		}
	}
}

func TestDelimiterIsNeverInTheText(t *testing.T) {
	t.Parallel()
	// A text that holds the id of another text, and one that is given its own first id
	// by hand: the id is then another one, and the same every time.
	b := block("some text")
	if b.id() != block("some text").id() || strings.Contains(string(b), b.id()) {
		t.Error("the delimiter is not that of the text")
	}
	if block("a").id() == block("b").id() {
		t.Error("two texts have the same delimiter")
	}
	if s := b.String(); !strings.HasPrefix(s, "<document id=\""+b.id()+"\">\nsome text\n</document") {
		t.Errorf("block prints %q", s)
	}
}
