package export

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// elementMost is how many bytes an element of a path may have, .md and a suffix left out: file systems allow 255,
	// encrypting ones fewer (eCryptfs 143).
	elementMost = 120
	// pathMost is how many bytes the folders of a path may have together: programs that open the whole path are
	// held to 1,024 on macOS.
	pathMost = 700
)

// namer gives each document a path of its own under an output folder, from the document's URI. Two paths differ in more
// than case and Unicode normalization, and none is a folder of another, so that the output can be copied to any
// file system. It remembers about 36 bytes a path. Names depend on the order of calls only where two would collide: the first
// keeps the plain one.
type namer struct {
	files   map[uint64]struct{}
	folders map[uint64]struct{}
}

// newNamer keeps the reserved paths free.
func newNamer(reserved ...string) *namer {
	n := &namer{files: map[uint64]struct{}{}, folders: map[uint64]struct{}{}}
	for _, name := range reserved {
		n.files[key(name)] = struct{}{}
	}
	return n
}

// name is the path of a document's Markdown file, with slashes.
func (n *namer) name(r Record) string {
	elements := elements(r.URI)
	last := len(elements) - 1
	folder := n.folder(elements[:last])
	file := elements[last]
	whole := func(suffix string) string { return folder + fit(file, suffix) + ".md" }
	suffix := ""
	if len(folder) > pathMost {
		folder, suffix = "", "-"+digest(r, 16) // all of it, since the folders are left out
	}
	// A path that is still taken by its whole digest is that of the same summary, met again.
	for length := 8; length <= digestLength && n.taken(whole(suffix)); length *= 2 {
		suffix = "-" + digest(r, length)
	}
	n.files[key(whole(suffix))] = struct{}{}
	return whole(suffix)
}

// folder joins the elements, gives those another name that are a file already, and remembers each.
func (n *namer) folder(elements []string) string {
	path, plain := "", ""
	for _, e := range elements {
		plain += e + "/"
		next := path + fit(e, "")
		if _, isFile := n.files[key(next)]; isFile {
			next = path + fit(e, "-"+sum(plain)[:8])
		}
		n.folders[key(next)] = struct{}{}
		path = next + "/"
	}
	return path
}

func (n *namer) taken(path string) bool {
	_, file := n.files[key(path)]
	_, folder := n.folders[key(path)]
	return file || folder
}

// key is what of a path must not occur twice, short. That two paths share one by chance (2^-64) gives a suffix for nothing.
func key(path string) uint64 { return maphash.String(seed, strings.ToLower(norm.NFC.String(path))) }

// digestLength is that of a SHA-256 in hex digits.
const digestLength = 2 * sha256.Size

// digest is that many hex digits of a name for a summary of a document.
func digest(r Record, length int) string {
	return sum(r.Source + "\x00" + r.URI + "\x00" + r.Profile)[:length]
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// elements cuts a URI into names that any file system takes. A line of a file stands in a folder named like the file.
func elements(uri string) []string {
	file, id, isLine := cutLine(uri)
	all := strings.Split(file, "/")
	if isLine {
		all = append(all, strings.Split(id, "/")...)
	}
	for i, e := range all {
		all[i] = safe(e)
	}
	return all
}

// cutLine takes "data.jsonl#id" apart.
func cutLine(uri string) (file, id string, ok bool) {
	for from := 0; ; {
		at := strings.IndexByte(uri[from:], '#')
		if at < 0 {
			return uri, "", false
		}
		from += at
		if lower := strings.ToLower(uri[:from]); strings.HasSuffix(lower, ".jsonl") || strings.HasSuffix(lower, ".ndjson") {
			return uri[:from], uri[from+1:], true
		}
		from++
	}
}

// safe makes a name of an element of a URI: valid UTF-8 without control characters and without what Windows
// refuses (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
func safe(element string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"\|?*`, r) || r == utf8.RuneError || !printed(r) {
			return '_'
		}
		return r
	}, element)
	if trimmed := strings.TrimRight(name, ". "); trimmed != name {
		name = trimmed + strings.Repeat("_", min(len(name)-len(trimmed), elementMost))
	}
	if name == "" {
		return "_"
	}
	stem, _, _ := strings.Cut(name, ".")
	if reserved(strings.TrimRight(stem, " ")) {
		return "_" + name
	}
	return name
}

// printed lets through what has a shape or a place between letters; not marks that reorder what follows.
func printed(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsPrint(r) || r == nonJoiner || r == joiner
}

// reserved says whether Windows takes the name for a device.
func reserved(stem string) bool {
	switch stem = strings.ToUpper(stem); stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

// fit puts the suffix to a name. A name that is too long is cut and ends with what tells it from others cut alike.
func fit(name, suffix string) string {
	if len(name) <= elementMost {
		return name + suffix
	}
	if suffix == "" {
		suffix = "-" + sum(name)[:8]
	}
	return strings.TrimRight(text.Cut(name, elementMost), ". ") + suffix
}
