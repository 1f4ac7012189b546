package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/screen"
)

// pictureColumns and pictureRows are the size of the terminal that the picture shows.
const (
	pictureColumns = 80
	pictureRows    = 30
)

// A shot is a part of the picture: what was typed or, where the screen changes on its own, a note,
// and the screen below it.
type shot struct{ typed, note, screen string }

// TestPictureOfFirstSession types the first session that the README's picture shows, and compares
// its words with the picture. With -update it draws the picture again.
func TestPictureOfFirstSession(t *testing.T) {
	t.Parallel()
	path := filepath.Join(repository, "docs", "images", "terminal.svg")
	drawn := drawPicture(firstSession(t))
	if *update {
		if err := os.WriteFile(path, []byte(drawn), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, want := wordsOfPicture(drawn), wordsOfPicture(readFile(t, path)); got != want {
		t.Errorf("docs/images/terminal.svg shows\n%s\nthe program\n%s\nrun: make docs", want, got)
	}
}

// firstSession runs the session. The endpoint that it names does not exist: the test's endpoint is
// the proxy, so that the picture has no port.
func firstSession(t *testing.T) []shot {
	t.Helper()
	const documents, before = 240, 170
	d := newDesk(t, 0, slow(t, "uniform:300ms-900ms"))
	for i := range documents {
		d.write(fmt.Sprintf("tickets/%03d.txt", i), fmt.Sprintf("Ticket %d. The printer on floor %d does not print. ", i, i%7)+
			strings.Repeat("The technician replaced the fuser, and the same error came back after two days. ", 20))
	}
	d.env = append(d.env, "HTTP_PROXY="+strings.TrimSuffix(d.url, "/v1"))
	run := []string{"run", "tickets", "--model", "gpt-4", "--base-url", "http://llm.example/v1"}

	first := d.start(pictureColumns, pictureRows, run...)
	first.Until("[y/N]")
	first.Type("y\n")
	first.UntilMet("most is done", func() bool {
		return d.endpoint.Stats().Calls > before && strings.Contains(first.Text(), "ETA")
	})
	working := first.Text()
	first.Type(screen.CtrlC)
	first.Until("Ctrl-C again gives them up")
	stopping := first.Text()
	wantCode(t, first, exitInterrupted)

	// Documents that cannot be summarized come now: before, the order of the work would decide
	// whether the first run meets them.
	for i := range 3 {
		d.write(fmt.Sprintf("tickets/empty-%d.txt", i), "")
	}
	d.write("tickets/filtered.txt", "There was a fight in the office. "+fakellm.Defaults().FilterMarker)
	shown := func(args ...string) string {
		s := d.start(pictureColumns, pictureRows, args...)
		s.Wait()
		return strings.ReplaceAll(s.Text(), d.dir, "/home/you")
	}
	typed := "gistmill " + strings.Join(run, " ")
	return []shot{
		{typed: typed, screen: working},
		{note: "Ctrl-C", screen: answered(stopping)},
		{note: "a moment later", screen: answered(first.Text())},
		{typed: typed, screen: shown(run...)},
		{typed: "gistmill status", screen: shown("status")},
		{typed: "gistmill dead list --summary", screen: shown("dead", "list", "--summary")},
	}
}

// answered returns what a screen shows below the answer.
func answered(screen string) string {
	_, after, _ := strings.Cut(screen, "[y/N] y\n")
	return after
}

// drawPicture returns an SVG of the shots. Its text can be selected, and it needs no other file.
func drawPicture(shots []shot) string {
	const column, row, left, top = 7.5, 18, 20, 48
	var lines strings.Builder
	y := top
	draw := func(columns int, marked string) {
		fmt.Fprintf(&lines, "<text x=\"%d\" y=\"%d\" textLength=\"%g\">%s</text>\n", left, y, float64(columns)*column, marked)
		y += row
	}
	for _, s := range shots {
		switch {
		case s.typed != "":
			if y > top {
				y += row / 2
			}
			draw(len("$ "+s.typed), `<tspan class="p">$</tspan> <tspan class="c">`+html.EscapeString(s.typed)+"</tspan>")
		default:
			draw(len("# "+s.note), `<tspan class="n"># `+html.EscapeString(s.note)+"</tspan>")
		}
		for line := range strings.Lines(s.screen) {
			line = strings.TrimSuffix(line, "\n")
			marked := html.EscapeString(line)
			if rest, ok := strings.CutPrefix(marked, "gistmill:"); ok {
				marked = `<tspan class="g">gistmill:</tspan>` + rest
			}
			draw(utf8.RuneCountInString(line), marked)
		}
	}
	const title = "A first session: a paid run asks first, shows its progress, is interrupted and continued; then status and dead letters"
	width, height := int(2*left+pictureColumns*column), y
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%[3]s">
<title>%[3]s</title>
<style>text{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dde5;white-space:pre}.p{fill:#7ee787}.c{fill:#fff;font-weight:600}.g{fill:#9aa5b1}.n{fill:#79c0ff}</style>
<rect x=".5" y=".5" width="%[4]d" height="%[5]d" rx="9" fill="#161b22" stroke="#4b5563"/>
<circle cx="22" cy="20" r="6" fill="#ff6b60"/><circle cx="42" cy="20" r="6" fill="#f5bf4f"/><circle cx="62" cy="20" r="6" fill="#5fc454"/>
<g xml:space="preserve" lengthAdjust="spacingAndGlyphs">
%[6]s</g>
</svg>
`, width, height, title, width-1, height-1, lines.String())
}

var (
	markup = regexp.MustCompile(`<[^>]*>`)
	// What differs each time: the bar, names of runs, numbers with their units, and where lines break.
	varying = regexp.MustCompile(`[\d,./]+ \[=*>? *\].*|\b\d{8}-[a-z2-7]{6}\b|--group \w+|\d[\d.,]*[dhmsuµ]*|[\s-]+`)
)

// wordsOfPicture returns the text of an SVG without what differs each time.
func wordsOfPicture(svg string) string {
	_, body, _ := strings.Cut(svg, "</style>")
	return varying.ReplaceAllString(html.UnescapeString(markup.ReplaceAllString(body, "")), "")
}
