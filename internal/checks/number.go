package checks

import (
	"math"
	"strings"
	"unicode/utf8"
)

// decimal is m·10^e without trailing zeros in m. Other digit strings (a version, an address, a
// number of more than 18 digits) are codes: m is a hash and e is codeExponent.
type decimal struct {
	m uint64
	e int
}

const codeExponent = math.MaxInt32

func (d decimal) float() float64 { return float64(d.m) * math.Pow10(d.e) }

func (d decimal) shift(e int) decimal {
	if d.e != codeExponent && d.m != 0 {
		d.e += e
	}
	return d
}

// significant is the number of significant digits.
func (d decimal) significant() int {
	n := 0
	for m := d.m; m > 0; m /= 10 {
		n++
	}
	return n
}

// number is a number in digits. It can have two readings, as "1,203" may be 1203 or 1.203. A
// single letter after it ("5 m") or a percent sign adds another one.
type number struct {
	start, end int // including its unit
	whole      int // digits before any separator
	readings   [4]decimal
	n          int
	scaled     bool // "1.2 million"
	percent    bool
	decade     bool // "1990s"
}

func (x *number) add(d decimal) {
	if x.n < len(x.readings) {
		x.readings[x.n] = d
		x.n++
	}
}

// groupsMost bounds the groups of one number. A longer one is cut into several numbers.
const groupsMost = 8

// digitGroups are runs of digits with one separator between two.
type digitGroups struct {
	n          int
	start, end [groupsMost]int
	len        [groupsMost]int
	sep        [groupsMost]rune // before the group
}

// parseNumber reads the number whose first digit is text[i]. Reading continues at its end.
func parseNumber(text string, i int) number {
	var g digitGroups
	g.read(text, i)
	x := number{start: i, end: g.end[g.n-1], whole: g.len[0]}
	g.values(text, &x)
	x.unit(text)
	return x
}

func (g *digitGroups) read(text string, i int) {
	for g.n < groupsMost {
		start, n := i, 0
		for {
			_, size := digitAt(text, i)
			if size == 0 {
				break
			}
			i += size
			n++
		}
		g.start[g.n], g.end[g.n], g.len[g.n] = start, i, n
		g.n++
		sep, size := utf8.DecodeRuneInString(text[i:])
		if _, n := digitAt(text, i+size); size == 0 || n == 0 || g.n == groupsMost {
			return
		}
		switch sep {
		case ',', '.', '٫', '٬':
		case '\'', '’', '_', ' ', '\u00a0', '\u202f', '\u2009':
			// Only between groups of thousands. Elsewhere it separates two numbers.
			if g.len[0] > 3 || digitRun(text, i+size) != 3 || g.n > 1 && g.sep[g.n-1] != sep {
				return
			}
		default:
			return
		}
		g.sep[g.n] = sep
		i += size
	}
}

// digitRun counts the digits at text[i:], up to 4.
func digitRun(text string, i int) int {
	n := 0
	for n < 4 {
		_, size := digitAt(text, i)
		if size == 0 {
			break
		}
		i += size
		n++
	}
	return n
}

// values adds the readings of the groups to x. It may end x after the first group.
func (g *digitGroups) values(text string, x *number) {
	last := g.n - 1
	if last == 0 {
		x.add(g.join(text, 0, 0))
		return
	}
	same, thousands := true, g.len[0] <= 3
	for k := 1; k <= last; k++ {
		same = same && g.sep[k] == g.sep[1]
		if k < last || last == 1 {
			thousands = thousands && g.len[k] == 3
		}
	}
	sep := g.sep[last]
	point := sep == ',' || sep == '.' || sep == '٫'
	switch {
	case last == 1 && thousands && point:
		x.add(g.join(text, 1, 0))
		x.add(g.join(text, 1, g.len[1]))
	case last == 1 && thousands:
		x.add(g.join(text, 1, 0))
	case last == 1 && point:
		x.add(g.join(text, 1, g.len[1]))
	case same && thousands && g.len[last] == 3:
		x.add(g.join(text, last, 0))
	case !same && point && thousands && g.uniform(last-1):
		x.add(g.join(text, last, g.len[last]))
	case same && sep == ',' && g.lakh():
		x.add(g.join(text, last, 0))
	case same && sep == '.': // a version, an address, a section
		h := uint64(hashStart)
		for k := range g.n {
			h = mix(g.hash(h, text, k), '.')
		}
		x.add(decimal{h, codeExponent})
	default: // "1,2,3": several numbers
		x.end = g.end[0]
		x.add(g.join(text, 0, 0))
	}
}

// uniform reports whether the separators up to group k are the same.
func (g *digitGroups) uniform(k int) bool {
	for i := 2; i <= k; i++ {
		if g.sep[i] != g.sep[1] {
			return false
		}
	}
	return true
}

// lakh reports whether the groups are those of Indian numbers: 12,34,567.
func (g *digitGroups) lakh() bool {
	for k := 1; k < g.n-1; k++ {
		if g.len[k] != 2 {
			return false
		}
	}
	return g.len[0] <= 2 && g.len[g.n-1] == 3
}

// join reads groups 0 to last as one number with the given number of decimals.
func (g *digitGroups) join(text string, last, decimals int) decimal {
	var d decimal
	n := 0
	for k := 0; k <= last; k++ {
		for i := g.start[k]; i < g.end[k]; {
			v, size := digitAt(text, i)
			i += size
			if n > 0 || v > 0 {
				n++
			}
			if n > 18 {
				h := uint64(hashStart)
				for k := 0; k <= last; k++ {
					h = g.hash(h, text, k)
				}
				return decimal{h, codeExponent}
			}
			d.m = d.m*10 + uint64(v)
		}
	}
	d.e = -decimals
	return d.normal()
}

func (d decimal) normal() decimal {
	if d.m == 0 {
		return decimal{}
	}
	for d.m%10 == 0 {
		d.m /= 10
		d.e++
	}
	return d
}

func (g *digitGroups) hash(h uint64, text string, k int) uint64 {
	for i := g.start[k]; i < g.end[k]; {
		v, size := digitAt(text, i)
		h = mix(h, rune('0'+v))
		i += size
	}
	return h
}

// unit reads what follows the digits: a percent sign, a word or letter that scales, or the s of a
// decade.
func (x *number) unit(text string) {
	rest := text[x.end:]
	space := 0
	if r, n := utf8.DecodeRuneInString(rest); r == ' ' || r == '\u00a0' || r == '\u202f' || r == '\u2009' {
		space = n
	}
	after := rest[space:]
	r, size := utf8.DecodeRuneInString(after)
	if size == 0 {
		return
	}
	if r == '%' || r == '٪' || r == '％' {
		x.setPercent(x.end + space + size)
		return
	}
	if e, ok := eastern(r); ok && space == 0 {
		x.scale(e)
		x.end += size
		return
	}
	if class(r) != letterClass {
		return
	}
	end := 0
	for end < len(after) && end < 24 {
		r, n := utf8.DecodeRuneInString(after[end:])
		if class(r) != letterClass {
			break
		}
		end += n
	}
	unit := after[:end]
	if r == 's' && end == 1 && space == 0 && x.n == 1 && x.readings[0].e == 1 && x.whole >= 2 {
		x.decade = true
		return
	}
	if r < utf8.RuneSelf && end == 1 {
		if e, ok := letterUnits(unit[0]); ok {
			for k := range min(x.n, 2) {
				x.add(x.readings[k].shift(e))
			}
		}
		return
	}
	switch m := lexicon().of(hashOf(unit)); {
	case m.percent:
		x.setPercent(x.end + space + end)
	case m.scale > 0:
		x.scale(m.scale)
		x.end += space + end
	}
}

func (x *number) setPercent(end int) { x.percent, x.end = true, end }

func (x *number) scale(e int) {
	x.scaled = true
	for k := range x.n {
		x.readings[k] = x.readings[k].shift(e)
	}
}

// letterUnits returns the power of ten of a letter after a number. The letter may also be a unit
// such as metres.
func letterUnits(c byte) (int, bool) {
	switch c {
	case 'k', 'K':
		return 3, true
	case 'm', 'M':
		return 6, true
	case 'b', 'B':
		return 9, true
	}
	return 0, false
}

func eastern(r rune) (int, bool) {
	switch r {
	case '千', '천':
		return 3, true
	case '万', '萬', '만':
		return 4, true
	case '億', '亿', '억':
		return 8, true
	case '兆', '조':
		return 12, true
	}
	return 0, false
}

// claim is a number of the summary that the document must have.
type claim struct {
	number
	hedged bool // "about 1,200"
	found  bool
}

const (
	// How far a number may be rounded without a word that says so: 1,203,400 is 1.2 million and
	// 84.96 is 85, but 1,013 is not 1,000.
	roundedBy = 0.01
	// The same for a number before "million" and the like, and for one after "about".
	scaledBy = 0.05
	hedgedBy = 0.2
	// Smaller numbers in words are not checked: a summary often counts what the document
	// lists.
	spelledLeast = 11
	// The largest number of claims that are checked.
	claimsMost = 100
	// itemIndent bounds the text before the number of a list item, in bytes.
	itemIndent = 24
)

// agrees reports whether the claim equals a number of the document, exactly or rounded.
func (c *claim) agrees(v *number) bool {
	for i := range c.n {
		for k := range v.n {
			s, t := c.readings[i], v.readings[k]
			if c.equal(s, t) {
				return true
			}
			// 0.853 in a table is 85.3 %, and the other way round.
			if c.percent != v.percent {
				if c.percent {
					s = s.shift(-2)
				} else {
					t = t.shift(-2)
				}
				if (s.e < 0 && t.e < 0) && c.equal(s, t) {
					return true
				}
			}
		}
	}
	return false
}

func (c *claim) equal(s, t decimal) bool {
	if s == t {
		return true
	}
	if s.e == codeExponent || t.e == codeExponent || s.m == 0 || t.m == 0 {
		return false
	}
	if c.decade {
		return s.e == 1 && t.e == 0 && t.m/10 == s.m
	}
	if s.e <= t.e || c.year() && !c.hedged || t.significant() <= s.significant() {
		return false
	}
	a, b := s.float(), t.float()
	unit := math.Pow10(s.e)
	off := math.Abs(a - b)
	switch {
	case c.hedged:
		return off < unit && off <= hedgedBy*b
	case off > unit/2*(1+1e-9):
		return false
	case s.e <= 0 && t.e < 0: // decimals cut off
		return true
	case c.scaled:
		return off <= scaledBy*b
	}
	return off <= roundedBy*b
}

func (c *claim) year() bool {
	return c.whole == 4 && c.n == 1 && !c.scaled && !c.percent && c.readings[0].float() < 2200 && c.readings[0].float() >= 1000
}

// numbersOf lists the numbers of a summary outside its dates: figures, and words from eleven on.
func numbersOf(text string, dates []date) []claim {
	var out []claim
	scan := scanner{text: text}
	var t, before token
	for len(out) < claimsMost && scan.next(&t) {
		switch {
		case within(t.start, dates):
		case t.kind == digits:
			x := parseNumber(text, t.start)
			scan.at = x.end
			if marksItem(text, x) || citation(text, x) {
				break
			}
			c := claim{number: x, hedged: hedged(text, before)}
			c.century(text)
			out = append(out, c)
		case t.kind == word:
			if v, end := spelled(text, t); v >= spelledLeast {
				scan.at = end
				c := claim{number: number{start: t.start, end: end}, hedged: hedged(text, before)}
				c.add(decimal{m: uint64(v)}.normal())
				out = append(out, c)
			}
		}
		before = t
	}
	return out
}

func within(at int, dates []date) bool {
	for i := range dates {
		if at >= dates[i].start && at < dates[i].end {
			return true
		}
	}
	return false
}

// marksItem reports whether x numbers a list item: "2. …" or "2) …" at the beginning of a line.
func marksItem(text string, x number) bool {
	if x.whole > 2 || x.end >= len(text) || text[x.end] != '.' && text[x.end] != ')' {
		return false
	}
	near := text[max(0, x.start-itemIndent):x.start]
	line := near[strings.LastIndexByte(near, '\n')+1:]
	if len(line) == itemIndent {
		return false
	}
	return strings.Trim(line, " \t#*-(>") == "" && (x.end+1 == len(text) || text[x.end+1] == ' ' || text[x.end+1] == '*')
}

// citation reports whether x is the number of a note: "[12]".
func citation(text string, x number) bool {
	return x.start > 0 && text[x.start-1] == '[' && x.end < len(text) && text[x.end] == ']'
}

// century adds the other reading of the end of "1914–18".
func (c *claim) century(text string) {
	if c.whole != 2 || c.n != 1 {
		return
	}
	head := text[:c.start]
	for _, dash := range []string{"–", "-", "/", "—"} {
		if year, ok := strings.CutSuffix(head, dash); ok && len(year) >= 4 && strings.Trim(year[len(year)-4:], "0123456789") == "" {
			c.add(decimal{m: uint64(year[len(year)-4]-'0')*1000 + uint64(year[len(year)-3]-'0')*100 + uint64(c.readings[0].float())}.normal())
			return
		}
	}
	if strings.HasSuffix(head, "'") || strings.HasSuffix(head, "’") { // the ’90s
		c.add(decimal{m: 1900 + uint64(c.readings[0].float())}.normal())
	}
}

func hedged(text string, before token) bool {
	return before.kind == word && before.end > 0 && lexicon().of(before.hash).hedge && before.end <= len(text)
}

// spelled reads the number that begins with the word t, and returns its value and end, or 0.
func spelled(text string, t token) (value, end int) {
	v := lexicon().of(t.hash).number
	if v == 0 {
		return 0, 0
	}
	end = t.end
	scan := scanner{text: text, at: end}
	var next token
	for range 4 {
		if !scan.next(&next) || next.kind != word || next.start-end > 1 {
			return v, end
		}
		m := lexicon().of(next.hash)
		switch {
		case m.number > 0 && m.number < 10 && v >= 20 && v%10 == 0, m.number > 0 && m.number < 100 && v >= 100 && v%100 == 0:
			v += m.number
		case m.number == 100 && v < 100:
			v *= 100
		case m.scale == 3 && v < 1000:
			v *= 1000
		default:
			return v, end
		}
		end = next.end
	}
	return v, end
}

// findNumbers marks the claims that text has, in figures or in words.
func findNumbers(text string, claims []claim) {
	open := pending(claims)
	scan := scanner{text: text}
	var t token
	for len(open) > 0 && scan.next(&t) {
		switch t.kind {
		case digits:
			x := parseNumber(text, t.start)
			scan.at = x.end
			open = withoutFound(open, &x)
			if x.end > t.end { // "10.30" and "2 300" may also be two numbers
				scan.at = t.end
				x = plainNumber(text, t)
				open = withoutFound(open, &x)
			}
		case word:
			if v, end := spelled(text, t); end > 0 {
				scan.at = end
				x := number{n: 1, readings: [4]decimal{decimal{m: uint64(v)}.normal()}}
				open = withoutFound(open, &x)
			}
		}
	}
}

// withoutFound marks the claims that agree with x and returns the others.
func withoutFound(open []*claim, x *number) []*claim {
	kept := open[:0]
	for _, c := range open {
		if c.found = c.agrees(x); !c.found {
			kept = append(kept, c)
		}
	}
	return kept
}

// plainNumber is the number of a run of digits alone.
func plainNumber(text string, t token) number {
	g := digitGroups{n: 1}
	g.start[0], g.end[0], g.len[0] = t.start, t.end, t.runes
	x := number{start: t.start, end: t.end, whole: t.runes}
	x.add(g.join(text, 0, 0))
	return x
}

func pending(claims []claim) []*claim {
	var open []*claim
	for i := range claims {
		if !claims[i].found {
			open = append(open, &claims[i])
		}
	}
	return open
}
