package source

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// filter selects the documents of a listing by name and time.
type filter struct {
	include, exclude []string
	since, until     time.Time
	hidden           bool
	// single is the URI of a source that is one file. The user named it, so it is never hidden.
	single string
}

func newFilter(o Options) (filter, error) {
	for _, g := range append(append([]string{}, o.Include...), o.Exclude...) {
		if !doublestar.ValidatePattern(g) {
			return filter{}, fmt.Errorf("%q is not a valid glob (--include, --exclude)", g)
		}
	}
	return filter{include: o.Include, exclude: o.Exclude, since: o.Since, until: o.Until, hidden: o.Hidden}, nil
}

// visible reports whether no element of a path hides it. The path may be that of a folder.
func (f *filter) visible(uri string) bool {
	if f.single != "" && fileOf(uri) == f.single {
		return true
	}
	for element := range strings.SplitSeq(fileOf(uri), "/") {
		if element == ledgerFolder || !f.hidden && strings.HasPrefix(element, ".") {
			return false
		}
	}
	return true
}

// ledgerFolder is where the program keeps its own files.
const ledgerFolder = ".gistmill"

func (f *filter) matches(uri string, modified time.Time) bool {
	return f.matchesTime(modified) && f.visible(uri) && f.included(uri) && !f.excluded(uri)
}

// matchesTime admits an unknown time.
func (f *filter) matchesTime(t time.Time) bool {
	if t.IsZero() {
		return true
	}
	return (f.since.IsZero() || !t.Before(f.since)) && (f.until.IsZero() || t.Before(f.until))
}

func (f *filter) included(uri string) bool { return len(f.include) == 0 || anyGlob(f.include, uri) }
func (f *filter) excluded(uri string) bool { return anyGlob(f.exclude, uri) }

// prunes reports whether all documents below a folder are excluded, so that it need not be
// read.
func (f *filter) prunes(folder string) bool {
	for _, g := range f.exclude {
		if strings.HasSuffix(g, "/**") && doublestar.MatchUnvalidated(g, folder) {
			return true
		}
	}
	return false
}

func anyGlob(globs []string, uri string) bool {
	file := fileOf(uri)
	for _, g := range globs {
		if doublestar.MatchUnvalidated(g, uri) || file != uri && doublestar.MatchUnvalidated(g, file) {
			return true
		}
		if !strings.Contains(g, "/") && doublestar.MatchUnvalidated(g, path.Base(file)) {
			return true
		}
	}
	return false
}

// holdsLines reports whether a file holds one document per line, by its name.
func holdsLines(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jsonl", ".ndjson":
		return true
	}
	return false
}

// fileOf returns the file part of a line's URI, and other URIs unchanged. It goes by the name
// alone; the locator is exact.
func fileOf(uri string) string {
	for i := 0; ; {
		j := strings.IndexByte(uri[i:], '#')
		if j < 0 {
			return uri
		}
		if i += j; holdsLines(uri[:i]) {
			return uri[:i]
		}
		i++
	}
}
