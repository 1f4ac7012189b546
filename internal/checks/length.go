package checks

import "fmt"

const (
	// Models often miss a requested length by a third. These factors mark summaries that are
	// no longer useful: too short to say anything, or too long for a summary.
	longBy  = 2.0
	shortBy = 3.0
	// slackWords is added at both ends: 25 words are accepted where 10 were requested.
	slackWords = 15
	// A document of at most this many words needs no shorter summary.
	longerFrom = 30
)

// wordCount counts words as people do. "1,200" and "don't" are one word each, and so are two
// characters of a script without spaces between words.
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

// length compares the length of the summary with what was asked for and with the document. source
// is the document's number of words.
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
		c.add(Length, words(n), "asked for %d", c.asked.Words)
	}
}

func words(n int) string {
	if n == 1 {
		return "1 word"
	}
	return fmt.Sprintf("%d words", n)
}
