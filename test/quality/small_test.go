package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gistmill/gistmill/internal/extractive"
	"github.com/gistmill/gistmill/test/quality/rouge"
)

// On these texts the engine is closer to the human summary than the first sentences and plain
// LexRank, by the mean of the three scores at the same length.
func TestEngineBeatsTheBaselines(t *testing.T) {
	t.Parallel()
	const words = 80
	total := map[string]float64{}
	for _, name := range []string{"night-bus.md", "bridge-closed.txt", "moor.txt", "mail-thread.txt"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := parseSample(name, string(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range methods() {
			s, err := m.summarize(t.Context(), p.Title, p.Text, words)
			if err != nil {
				t.Fatal(err)
			}
			r := rouge.Of(s, p.Summary)
			total[m.name] += r.One + r.Two + r.L
			t.Logf("%s %s %.3f\n%s", name, m.name, r.One+r.Two+r.L, s)
		}
	}
	for _, baseline := range []string{"Lead", "plain LexRank"} {
		if total[extractive.Version] < 1.1*total[baseline] {
			t.Errorf("%s scores %.2f, %s %.2f", extractive.Version, total[extractive.Version], baseline, total[baseline])
		}
	}
}
