package extractive

import (
	"embed"
	"strings"
	"sync"
)

// The lists are written for this engine: words too common to tell what a text is about,
// words that refer back when they open a sentence, and names of figures and the like.
//
//go:embed languages/*.txt
var languageFiles embed.FS

// language holds the words of one language that carry no content of their own.
type language struct {
	name                     string
	stop, backward, pointers map[string]bool
}

// languages reads the embedded files once; they are only read afterwards.
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

// detect returns the language whose stop words are most frequent in the text of list,
// and one without words when no language has one word in eight.
func detect(list []candidate) *language {
	const enough = 4000 // words looked at
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
