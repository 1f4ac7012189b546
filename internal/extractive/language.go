package extractive

import (
	"embed"
	"strings"
	"sync"
)

// The lists were written for this engine: words that are too common to show the subject of a
// text, words that refer back at the beginning of a sentence, and names of figures and tables.
//
//go:embed languages/*.txt
var languageFiles embed.FS

// language holds the words of one language that have no content of their own.
type language struct {
	name                     string
	stop, backward, pointers map[string]bool
}

// languages parses the embedded files once. The result is not changed afterwards.
var languages = sync.OnceValue(func() []*language { //nolint:gochecknoglobals // read once, never changed
	files, err := languageFiles.ReadDir("languages")
	if err != nil {
		panic("extractive: embedded languages: " + err.Error())
	}
	var out []*language
	for _, f := range files {
		data, err := languageFiles.ReadFile("languages/" + f.Name())
		if err != nil {
			panic("extractive: embedded languages: " + err.Error())
		}
		lists := make([]map[string]bool, 0, 3)
		for l := range strings.Lines(string(data)) {
			if strings.HasPrefix(l, "#") {
				lists = append(lists, map[string]bool{})
				continue
			}
			for w := range strings.FieldsSeq(l) {
				lists[len(lists)-1][w] = true
			}
		}
		out = append(out, &language{strings.TrimSuffix(f.Name(), ".txt"), lists[0], lists[1], lists[2]})
	}
	return out
})

// detect returns the language whose stop words are most frequent in list. If no language has at
// least one word in eight, it returns a language without words.
func detect(list []candidate) *language {
	const enough = 4000 // words to read
	known := languages()
	hits := make([]int, len(known))
	total := 0
	for _, c := range list {
		for w := range tokens(c.text) {
			total++
			for i, l := range known {
				if l.stop[w] {
					hits[i]++
				}
			}
		}
		if total > enough {
			break
		}
	}
	best := 0
	for i := range hits {
		if hits[i] > hits[best] {
			best = i
		}
	}
	if hits[best]*8 < total || total == 0 {
		return &language{}
	}
	return known[best]
}
