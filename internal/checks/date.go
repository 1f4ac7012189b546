package checks

import (
	"unicode/utf8"
)

// date is a day, a month or a weekday in a text. Fields that the text does not name are zero.
type date struct {
	start, end       int
	year, month, day int
	swapped          bool // day and month may be the other way round, as in 05/03
	weekday          int  // 1 is Monday
	found            bool
	dayMonth, inYear bool // of a claim: the document has its day and month, or its year, separately
}

// datesMost bounds the dates of a summary that are checked.
const datesMost = 100

// dateReader finds the dates of a text one by one.
type dateReader struct {
	scan   scanner
	before [2]token // the tokens before, the nearest first
	floor  int      // where the last date ended
}

func newDateReader(text string) *dateReader { return &dateReader{scan: scanner{text: text}} }

// next reads the next date into d, or the next number that may be a year, with only year set.
func (r *dateReader) next(d *date) bool {
	var t token
	for r.scan.next(&t) {
		ok := false
		switch t.kind {
		case digits:
			ok = r.figures(t, d)
		case word:
			ok = r.named(t, d)
		}
		r.before[1], r.before[0] = r.before[0], t
		if ok {
			if d.end > r.scan.at {
				r.scan.at = d.end
			}
			r.floor = d.end
			return true
		}
	}
	return false
}

// value returns the value of a token of up to four digits, or -1.
func (r *dateReader) value(t token) int {
	if t.kind != digits || t.runes > 4 {
		return -1
	}
	v := 0
	for i := t.start; i < t.end; {
		x, size := digitAt(r.scan.text, i)
		v = v*10 + x
		i += size
	}
	return v
}

// figures reads 2024-03-05, 5.3.2024, 3/5/24 and 2024年3月5日, else a possible year.
func (r *dateReader) figures(t token, d *date) bool {
	text := r.scan.text
	v := r.value(t)
	if v < 0 {
		return false
	}
	sep, size := utf8.DecodeRuneInString(text[t.end:])
	if sep == '年' || sep == '년' || sep == '月' || sep == '월' {
		return r.eastern(t, v, d)
	}
	*d = date{start: t.start, end: t.end, year: v}
	year := t.runes == 4 && v >= 1000 && v < 2200
	if sep != '-' && sep != '.' && sep != '/' {
		return year
	}
	scan := r.scan
	var u, w token
	if !scan.next(&u) || u.kind != digits || u.start != t.end+size || u.runes > 2 {
		return year
	}
	sep2, size := utf8.DecodeRuneInString(text[u.end:])
	if sep2 != sep || !scan.next(&w) || w.kind != digits || w.start != u.end+size || letterBefore(text, t.start) {
		return year
	}
	a, b, c := v, r.value(u), r.value(w)
	switch {
	case year && w.runes <= 2 && b >= 1 && b <= 12 && c >= 1 && c <= 31:
		*d = date{start: t.start, end: w.end, year: a, month: b, day: c}
	case t.runes <= 2 && (w.runes == 4 || w.runes == 2) && a >= 1 && a <= 31 && b >= 1 && b <= 31 && (b <= 12 || a <= 12 && sep != '.'):
		*d = date{start: t.start, end: w.end, year: c, month: b, day: a, swapped: a <= 12 && b <= 12 && sep != '.'}
		if b > 12 {
			d.month, d.day = a, b
		}
	default:
		return year
	}
	return true
}

// eastern reads dates in which a character after each number names the part.
func (r *dateReader) eastern(t token, v int, d *date) bool {
	*d = date{start: t.start, end: t.end}
	scan := r.scan
	scan.at = t.end
	for {
		name, size := utf8.DecodeRuneInString(r.scan.text[d.end:])
		switch {
		case (name == '年' || name == '년') && v >= 1000 && v < 2200:
			d.year = v
		case (name == '月' || name == '월') && v >= 1 && v <= 12:
			d.month = v
		case (name == '日' || name == '号' || name == '일') && v >= 1 && v <= 31 && d.month > 0:
			d.day = v
		default:
			return d.year > 0 || d.month > 0
		}
		end := d.end + size
		d.end = end
		scan.at = end
		var u token
		if !scan.next(&u) || u.kind != digits || u.start > end+1 {
			return true
		}
		v = r.value(u)
		after, _ := utf8.DecodeRuneInString(r.scan.text[u.end:])
		if after != '月' && after != '월' && after != '日' && after != '号' && after != '일' {
			return true
		}
		d.end = u.end
	}
}

// named reads the name of a month with its day and year, or a weekday.
func (r *dateReader) named(t token, d *date) bool {
	m := lexicon().of(t.hash)
	if m.weekday > 0 && (t.runes > 4 || t.capital) {
		*d = date{start: t.start, end: t.end, weekday: int(m.weekday)}
		return true
	}
	if m.month == 0 {
		return false
	}
	*d = date{start: t.start, end: t.end, month: int(m.month)}
	r.dayBefore(t, d)
	r.behind(t, d)
	return !m.unsure || d.day > 0 || d.year > 0
}

// dayBefore looks for the day in "5 March", "5. März", "5th of March", "5 de marzo".
func (r *dateReader) dayBefore(t token, d *date) {
	b := r.before[0]
	if b.kind == word && lexicon().of(b.hash).join && b.start >= r.floor {
		b = r.before[1]
	}
	if b.kind != digits || b.start < r.floor || b.runes > 2 || t.start-b.end > 8 {
		if b.kind == word || b.kind == digits {
			d.ordinal(r, t)
		}
		return
	}
	if v := r.value(b); v >= 1 && v <= 31 {
		d.day, d.start = v, b.start
	}
}

// ordinal looks for the day in "5th March" and "1er mars", where letters follow the digits.
func (d *date) ordinal(r *dateReader, t token) {
	a, b := r.before[0], r.before[1]
	if a.kind == word && a.runes <= 2 && b.kind == digits && b.end == a.start && b.start >= r.floor && t.start-a.end <= 4 {
		if v := r.value(b); v >= 1 && v <= 31 {
			d.day, d.start = v, b.start
		}
	}
}

// behind looks for what follows a month: "March 5th, 2024", "March 2024", "marzo de 2024".
func (r *dateReader) behind(t token, d *date) {
	scan := r.scan
	last := t.end
	var u token
	for range 4 {
		if !scan.next(&u) || u.start-last > 3 {
			return
		}
		v := r.value(u)
		switch {
		case u.kind == word && lexicon().of(u.hash).join:
		case v >= 1000 && v < 2200 && u.runes == 4:
			d.year, d.end = v, u.end
			return
		case v >= 1 && v <= 31 && u.runes <= 2 && d.day == 0:
			d.day, d.end = v, u.end
		default:
			return
		}
		last = u.end
	}
}

// datesOf lists the dates of a summary. A year alone counts as a number, and an ambiguous name
// of a month alone is no date.
func datesOf(text string) []date {
	var out []date
	r := newDateReader(text)
	var d date
	for len(out) < datesMost && r.next(&d) {
		if d.month == 0 && d.weekday == 0 {
			continue
		}
		out = append(out, d)
	}
	return out
}

// findDates marks the dates that text has in any form.
func findDates(text string, claims []date) {
	if len(claims) == 0 {
		return
	}
	r := newDateReader(text)
	var s date
	for r.next(&s) {
		open := false
		for i := range claims {
			c := &claims[i]
			if !c.found {
				c.compare(s)
				open = open || !c.found
			}
		}
		if !open {
			return
		}
	}
}

// compare compares d with a date of the document. d is found if one date of the document has all
// its parts, or if the document has its day and month, or its month, and separately its year.
func (d *date) compare(s date) {
	if d.weekday > 0 {
		d.found = s.weekday == d.weekday
		return
	}
	month := s.month == d.month && (d.day == 0 || s.day == d.day) ||
		(s.swapped || d.swapped && s.month > 0) && s.day == d.month && (d.day == 0 || s.month == d.day)
	year := d.year == 0 || sameYear(s.year, d.year)
	switch {
	case month && year:
		d.found = true
	case month && s.year == 0:
		d.dayMonth = true
	case s.month == 0 && year:
		d.inYear = true
	}
	d.found = d.found || d.dayMonth && d.inYear
}

// sameYear compares years. One may have two digits.
func sameYear(a, b int) bool {
	return a == b || a > 0 && b > 0 && (a < 100 || b < 100) && a%100 == b%100
}
