package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/checks"
)

// detection counts how many corrupted summaries a check flags for the corruption.
type detection struct {
	name         string
	kinds        []checks.Kind
	made, caught int
}

// corruption changes one thing in a summary and returns the summary and the new piece. ok is
// false if there is nothing to change.
type corruption struct {
	name  string
	kinds []checks.Kind
	make  func(r *rand.Rand, p pair, other pair) (summary, piece string, ok bool)
}

func corruptions() []corruption {
	number, date := []checks.Kind{checks.Number, checks.Date}, []checks.Kind{checks.Date, checks.Number}
	name, quote := []checks.Kind{checks.Name}, []checks.Kind{checks.Quote}
	return []corruption{
		{"one digit of a number changed", number, changeDigit},
		{"a number made ten times as large", number, tenfold},
		{"a year changed", number, changeYear},
		{"a name's last word taken from another document", name, swapName},
		{"a sentence with a name of another document", name, foreignName},
		{"a date added (day, month, year)", date, addDate},
		{"ten words of the document quoted, one changed", quote, misquote},
		{"eight words of another document quoted", quote, foreignQuote},
	}
}

// detect corrupts faithful summaries in which the check found nothing before.
func detect(f faithful) []detection {
	r := rand.New(rand.NewPCG(1, 2))
	var out []detection
	for _, set := range []struct {
		name  string
		pairs []pair
	}{{"abstracts", f.abstracts}, {"picked from papers", f.picked}, {"picked from web pages", f.pages}} {
		for _, c := range corruptions() {
			d := detection{name: set.name + ": " + c.name, kinds: c.kinds}
			for i, p := range set.pairs {
				if foreign()[p.id] != "" || flags(p, c.kinds, "") {
					continue
				}
				s, piece, ok := c.make(r, p, set.pairs[(i+11)%len(set.pairs)])
				if !ok {
					continue
				}
				p.summary = s
				d.made++
				if flags(p, c.kinds, piece) {
					d.caught++
				}
			}
			out = append(out, d)
		}
	}
	return out
}

// flags reports whether one of the checks finds piece or a part of it; "" means any finding.
func flags(p pair, kinds []checks.Kind, piece string) bool {
	for _, f := range p.check() {
		if slices.Contains(kinds, f.Check) && (strings.Contains(f.Found, piece) || strings.Contains(piece, strings.TrimSuffix(f.Found, "…"))) {
			return true
		}
	}
	return false
}

func changeDigit(r *rand.Rand, p, _ pair) (string, string, bool) {
	return edit(r, p.summary, regexp.MustCompile(`\b\d{2,}\b|\b\d+[.,]\d+\b`), func(s string) string {
		b := []byte(s)
		for {
			i := r.IntN(len(b))
			if c := byte('1' + r.IntN(9)); b[i] >= '0' && b[i] <= '9' && b[i] != c {
				b[i] = c
				return string(b)
			}
		}
	})
}

func tenfold(r *rand.Rand, p, _ pair) (string, string, bool) {
	return edit(r, p.summary, regexp.MustCompile(`(^|[ (])[1-9]\d*([ ,.)]? |$|%)`), func(s string) string {
		end := strings.LastIndexAny(s, "0123456789") + 1
		return s[:end] + "0" + s[end:]
	})
}

func changeYear(r *rand.Rand, p, _ pair) (string, string, bool) {
	return edit(r, p.summary, regexp.MustCompile(`\b(19[5-9]|20[0-2])\d\b`), func(s string) string {
		return s[:2] + fmt.Sprintf("%02d", (int(s[2]-'0')*10+int(s[3]-'0')+3+r.IntN(20))%100)
	})
}

// A name within a sentence.
var (
	oneName  = regexp.MustCompile(`[a-z,] ([A-Z][a-z]{3,})\b`)
	twoNames = regexp.MustCompile(`[a-z,] ([A-Z][a-z]{2,} [A-Z][a-z]{2,})\b`)
)

// theirs draws a name from another document. p has none of its words, in capitals or small
// letters.
func theirs(r *rand.Rand, p, other pair, re *regexp.Regexp) string {
	all := re.FindAllStringSubmatch(other.text, -1)
	if len(all) == 0 {
		return ""
	}
	name := all[r.IntN(len(all))][1]
	if strings.Contains(strings.ToLower(p.title+" "+p.text), strings.ToLower(name[strings.IndexByte(name, ' ')+1:])) {
		return ""
	}
	return name
}

func swapName(r *rand.Rand, p, other pair) (string, string, bool) {
	name := theirs(r, p, other, oneName)
	if name == "" {
		return "", "", false
	}
	s, _, ok := edit(r, p.summary, twoNames, func(s string) string { return s[:strings.LastIndexByte(s, ' ')+1] + name })
	return s, name, ok
}

func foreignName(r *rand.Rand, p, other pair) (string, string, bool) {
	name := theirs(r, p, other, twoNames)
	return p.summary + " All this was found by " + name + " too.", name, name != ""
}

func addDate(r *rand.Rand, p, _ pair) (string, string, bool) {
	months := strings.Fields("January February March April June July August September October November December")
	date := fmt.Sprintf("%d %s %d", 1+r.IntN(28), months[r.IntN(len(months))], 1990+r.IntN(30))
	return p.summary + " This was decided on " + date + ".", date, true
}

func misquote(r *rand.Rand, p, other pair) (string, string, bool) {
	fields := strings.Fields(p.text)
	others := regexp.MustCompile(`\b[a-z]{5,}\b`).FindAllString(other.text, -1)
	if len(fields) < 60 || len(others) == 0 {
		return "", "", false
	}
	at := r.IntN(len(fields) - 12)
	words := append([]string(nil), fields[at:at+10]...)
	words[1+r.IntN(8)] = others[r.IntN(len(others))]
	piece := strings.Join(words, " ")
	if strings.ContainsAny(piece, "\"“”„«»[…") || strings.Contains(piece, "..") {
		return "", "", false
	}
	return p.summary + " It says “" + piece + "”.", piece[:20], true
}

func foreignQuote(r *rand.Rand, p, other pair) (string, string, bool) {
	fields := strings.Fields(other.text)
	if len(fields) < 60 {
		return "", "", false
	}
	at := r.IntN(len(fields) - 12)
	piece := strings.Join(fields[at:at+8], " ")
	if strings.ContainsAny(piece, "\"“”„«»[…") || strings.Contains(piece, "..") {
		return "", "", false
	}
	return p.summary + " It says “" + piece + "”.", piece[:min(20, len(piece))], true
}

// edit changes one match.
func edit(r *rand.Rand, s string, re *regexp.Regexp, change func(string) string) (string, string, bool) {
	all := re.FindAllStringIndex(s, -1)
	if len(all) == 0 {
		return "", "", false
	}
	at := all[r.IntN(len(all))]
	piece := change(s[at[0]:at[1]])
	return s[:at[0]] + piece + s[at[1]:], strings.Trim(piece, " (),."), piece != s[at[0]:at[1]]
}
