//go:build integration

package acceptance

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// A folder with good files of every format and with every kind of broken file. Good files are
// done, broken ones are dead with a clear reason, and memory stays bounded.
func TestFormats(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	good := []string{"incident-review.md", "library-board.docx", "mail/boiler-room.eml", "museum-loans.json", "opticks.txt", "river-gauge.csv",
		"sourdough.html", "street-trees.pdf", "wattenmeer.txt", "year-of-a-hive.epub"}
	for _, name := range good {
		u.write(name, example(t, name))
	}
	const umlauts = "Über den Dächern von Köln wehte am Morgen ein kräftiger Wind. Die Straßenbahn fuhr trotzdem pünktlich los. " +
		"Am Nachmittag öffneten die Händler ihre Stände, und die Gäste aßen Brötchen."
	u.write("koeln.txt", latin1(umlauts))
	good = append(good, "koeln.txt")
	tickets := example(t, "support-tickets.jsonl")
	u.write("support-tickets.jsonl", append(tickets, "{\"id\": \"broken\", \"text\": \n"...))
	lines := strings.Count(string(tickets), "\n")

	u.write("locked.pdf", encryptedPDF())
	docx := example(t, "library-board.docx")
	u.write("cut.docx", docx[:len(docx)/2])
	u.write("bomb.docx", bomb(t))
	u.write("empty.txt", nil)
	u.writeLarge("large.txt", 100<<20)
	outside := u.path("outside.txt")
	if err := os.WriteFile(outside, []byte(note(1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, u.path("docs/link.txt")); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 200_000)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	u.write("program.bin", append([]byte("\x7fELF\x02\x01\x01\x00"), noise...))
	reasons := map[string][]string{ // the reason contains one of the texts
		"locked.pdf":  {"encrypted", "password"},
		"cut.docx":    {"truncated", "broken", "incomplete", "damaged", "not a valid zip", "cut off"},
		"bomb.docx":   {"bomb", "inflate", "compress", "expand"},
		"empty.txt":   {"empty"},
		"large.txt":   {"larger than", "too large", "64 MiB"},
		"link.txt":    {"symbolic link", "symlink", "outside", "leaves"},
		"program.bin": {"binary", "unsupported", "not text", "no text"},
		"support-tickets.jsonl#L" + strconv.Itoa(lines+1): {"JSON"},
	}

	r := u.run("run", "docs").WantCode(3).Says("extractive")
	u.wantTotals("finished", programtest.Totals{Total: int64(len(good) + lines + len(reasons)), Done: int64(len(good) + lines), Dead: int64(len(reasons))})
	summaries := u.summaries()
	for _, uri := range good {
		if s, ok := summaries[uri]; !ok || len(strings.Fields(s.Summary)) < 15 {
			t.Errorf("%s has no real summary: %q", uri, s.Summary)
		}
		if _, err := os.Stat(u.path("summaries/" + uri + ".md")); err != nil {
			t.Errorf("no Markdown file: %v", err)
		}
	}
	if s := summaries["koeln.txt"].Summary; !strings.ContainsAny(s, "äöüß") {
		t.Errorf("latin-1 was not decoded: %q", s)
	}
	if len(summaries) != len(good)+lines {
		t.Errorf("%d summaries, want %d", len(summaries), len(good)+lines)
	}
	dead := u.dead()
	for uri, texts := range reasons {
		letter, ok := dead[uri]
		if !ok {
			t.Errorf("%s is not in the dead list", uri)
			continue
		}
		if letter.Class != "input" {
			t.Errorf("%s is dead as %s, want input", uri, letter.Class)
		}
		found := false
		for _, text := range texts {
			found = found || strings.Contains(strings.ToLower(letter.Message), strings.ToLower(text))
		}
		if !found {
			t.Errorf("%s: the reason %q names none of %q", uri, letter.Message, texts)
		}
		delete(dead, uri)
	}
	for uri, letter := range dead {
		t.Errorf("%s is dead and should not be: %s", uri, letter.Message)
	}
	if r.PeakWithChildren > 512<<20 {
		t.Errorf("peak memory %d MiB, want below 512", r.PeakWithChildren>>20)
	}
	t.Logf("peak memory %d MiB, %s", r.PeakWithChildren>>20, r.Took)
	// Dead letters are not tried again, and are reported again.
	u.run("run", "docs").WantCode(3)
	u.wantTotals("finished", programtest.Totals{Total: int64(len(good) + lines + len(reasons)), Skipped: int64(len(good) + lines), Dead: int64(len(reasons))})
	if again := u.dead(); len(again) != len(reasons) {
		t.Errorf("%d dead after the second run, want %d", len(again), len(reasons))
	}
}
