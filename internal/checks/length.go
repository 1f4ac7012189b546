package checks

import "fmt"

const (
	// Models miss a length asked for by a third as a rule; what is flagged misses it by the factor beyond which a reader
	// is not served as asked: it says nothing, or it is no summary.
	longBy  = 2.0
	shortBy = 3.0
	// slackWords is added to both ends: of ten words asked for, 25 are no fault.
	slackWords = 15
	// A document of so few words needs no summary shorter than itself.
	longerFrom = 30
)

// wordCount counts words as people do: "1,200" and "don't" are one, and so are two characters where no space is set between
// words.
type wordCount struct{ spaced, wide, last int }

func (c *wordCount) add(text string, t *token) {
	switch {
	case t.kind == wide:
		c.wide++
	case c.last > 0 && t.start == c.last+1 && text[c.last] != ' ' && text[c.last] != '\n':
	default:
		c.spaced++
	}
	c.last = t.end
}

func (c *wordCount) words() int { return c.spaced + (c.wide+1)/2 }

func countWords(text string) int {
	scan := scanner{text: text}
	var t token
	var c wordCount
	for scan.next(&t) {
		c.add(text, &t)
	}
	return c.words()
}

// length compares the summary with what was asked for, and with its document of so many words.
func (c *check) length(summary []string, source int) {
	n := 0
	for _, s := range summary {
		n += countWords(s)
	}
	asked := float64(c.asked.Words)
	switch {
	case n > source && n > longerFrom:
		c.add(Length, words(n), "longer than the document, which has %s", words(source))
	case asked == 0:
	case float64(n) > longBy*asked+slackWords, float64(n) < (min(asked, float64(source)/2)-slackWords)/shortBy:
		c.add(Length, words(n), "%d were asked for", c.asked.Words)
	}
}

func words(n int) string {
	if n == 1 {
		return "1 word"
	}
	return fmt.Sprintf("%d words", n)
}
