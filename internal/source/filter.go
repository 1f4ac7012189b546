package source

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gistmill/gistmill/internal/marker"
)

// filter selects the documents of a listing by name and time.
type filter struct {
	include, exclude []string
	since, until     time.Time
	hidden           bool
	// only, if not nil, has the URIs of the files that the user named. They are never hidden, and no
	// other file belongs to the listing.
	only map[string]struct{}
	// left, if not nil, counts what a listing leaves out.
	left *LeftOut
}

// LeftOut counts the files and lines that a listing met and that its filters left out. Folders
// that a filter leaves out as a whole count as one.
type LeftOut struct {
	Hidden      int64 // a name begins with a dot
	NotIncluded int64 // no [Options].Include matches
	Excluded    int64 // an [Options].Exclude matches
	Older       int64 // changed before [Options].Since
	Newer       int64 // changed at or after [Options].Until
}

// Sum returns their number without the hidden ones.
func (l LeftOut) Sum() int64 { return l.NotIncluded + l.Excluded + l.Older + l.Newer }

// admits reports whether the time and Exclude admit a file, and counts one that they do not.
func (f *filter) admits(uri string, modified time.Time) bool {
	switch {
	case !f.matchesTime(modified):
		if f.left != nil && !f.since.IsZero() && modified.Before(f.since) {
			f.left.Older++
		} else if f.left != nil {
			f.left.Newer++
		}
		return false
	case f.excluded(uri):
		if f.left != nil {
			f.left.Excluded++
		}
		return false
	}
	return true
}

// includes is included, and counts what it leaves out.
func (f *filter) includes(uri string) bool {
	if f.included(uri) {
		return true
	}
	if f.left != nil {
		f.left.NotIncluded++
	}
	return false
}

// shows is visible, and counts what is hidden.
func (f *filter) shows(uri string) bool {
	if f.visible(uri) {
		return true
	}
	if f.left != nil && !marker.IsPrivate(path.Base(uri)) {
		f.left.Hidden++
	}
	return false
}

func newFilter(o Options) (filter, error) {
	for _, g := range append(append([]string{}, o.Include...), o.Exclude...) {
		if !doublestar.ValidatePattern(g) {
			return filter{}, fmt.Errorf("%q is not a valid glob (--include, --exclude)", g)
		}
	}
	return filter{include: o.Include, exclude: o.Exclude, since: o.Since, until: o.Until, hidden: o.Hidden}, nil
}

// named reports whether the user named this file.
func (f *filter) named(uri string) bool {
	_, ok := f.only[uri]
	return ok
}

// visible reports whether no element of a path hides it. The path may be that of a folder.
func (f *filter) visible(uri string) bool {
	file := fileOf(uri)
	if f.named(file) {
		return true
	}
	for element := range strings.SplitSeq(file, "/") {
		if marker.IsPrivate(element) || !f.hidden && strings.HasPrefix(element, ".") {
			return false
		}
	}
	return true
}

func (f *filter) matches(uri string, modified time.Time) bool {
	if f.only != nil && !f.named(fileOf(uri)) && !f.named(uri) {
		return false
	}
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
			if f.left != nil {
				f.left.Excluded++
			}
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

// holdsLines reports whether a file holds one document per line, by its name. It may be
// compressed.
func holdsLines(name string) bool {
	if isPacked(name) {
		name = name[:strings.LastIndexByte(name, '.')]
	}
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
