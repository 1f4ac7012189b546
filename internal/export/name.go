package export

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// maxElement is the maximum length of an element of a path in bytes, without .md and a suffix.
	// File systems allow 255, encrypting ones fewer (eCryptfs 143).
	maxElement = 120
	// maxFolders is the maximum length of all folders of a path in bytes. macOS limits the paths
	// that programs open to 1,024.
	maxFolders = 700
)

// namer derives from each document's URI a unique path under an output folder. Two paths differ in
// more than case and Unicode normalization, and no path is a folder of another, so the output can
// be copied to any file system. It takes about 36 bytes of memory a path. Names depend on the order
// of calls only where two collide: the first keeps the plain name.
type namer struct {
	files   map[uint64]struct{}
	folders map[uint64]struct{}
}

// newNamer returns a namer that never uses the reserved paths.
func newNamer(reserved ...string) *namer {
	n := &namer{files: map[uint64]struct{}{}, folders: map[uint64]struct{}{}}
	for _, name := range reserved {
		n.files[pathKey(name)] = struct{}{}
	}
	return n
}

// name returns the slash-separated path of a document's page.
func (n *namer) name(r Record) string {
	elements := elements(r.URI)
	last := len(elements) - 1
	folder := n.folder(elements[:last])
	file := elements[last]
	whole := func(suffix string) string { return folder + fit(file, suffix) + ".md" }
	suffix := ""
	if len(folder) > maxFolders {
		folder, suffix = "", "-"+digest(r, 16) // long, because no folder tells two such paths apart
	}
	// A path that is still taken with its whole digest belongs to the same summary.
	for length := 8; length <= digestLength && n.taken(whole(suffix)); length *= 2 {
		suffix = "-" + digest(r, length)
	}
	n.files[pathKey(whole(suffix))] = struct{}{}
	return whole(suffix)
}

// folder joins and remembers the elements. An element that is already a file gets another name.
func (n *namer) folder(elements []string) string {
	path, plain := "", ""
	for _, e := range elements {
		plain += e + "/"
		next := path + fit(e, "")
		if _, isFile := n.files[pathKey(next)]; isFile {
			next = path + fit(e, "-"+sum(plain)[:8])
		}
		n.folders[pathKey(next)] = struct{}{}
		path = next + "/"
	}
	return path
}

func (n *namer) taken(path string) bool {
	_, file := n.files[pathKey(path)]
	_, folder := n.folders[pathKey(path)]
	return file || folder
}

// pathKey is a short form of what must be unique in a path. Two paths that share one by chance
// (2^-64) only give one of them an unnecessary suffix.
func pathKey(path string) uint64 { return maphash.String(seed, strings.ToLower(norm.NFC.String(path))) }

// digestLength is the length of a SHA-256 in hex digits.
const digestLength = 2 * sha256.Size

// digest returns the first length hex digits of a hash that identifies a document's summary.
func digest(r Record, length int) string {
	return sum(r.Source + "\x00" + r.URI + "\x00" + r.Profile)[:length]
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// elements splits a URI into names that every file system accepts. A line of a file is in a folder
// with the name of the file.
func elements(uri string) []string {
	file, id, isLine := cutLine(uri)
	all := strings.Split(file, "/")
	if isLine {
		all = append(all, strings.Split(id, "/")...)
	}
	for i, e := range all {
		all[i] = safeName(e)
	}
	return all
}

// linesFile matches the names of files whose lines are documents: those that internal/source reads
// as such.
var linesFile = regexp.MustCompile(`(?i)\.(?:jsonl|ndjson)(?:\.(?:gz|zst))?$`)

// cutLine splits "data.jsonl#id" into file and id.
func cutLine(uri string) (file, id string, ok bool) {
	for from := 0; ; {
		at := strings.IndexByte(uri[from:], '#')
		if at < 0 {
			return uri, "", false
		}
		from += at
		if linesFile.MatchString(uri[:from]) {
			return uri[:from], uri[from+1:], true
		}
		from++
	}
}

// safeName turns an element of a URI into a file name: valid UTF-8 without control characters and
// without [what Windows refuses].
//
// [what Windows refuses]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
func safeName(element string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"\|?*`, r) || r == utf8.RuneError || !isShown(r) {
			return '_'
		}
		return r
	}, element)
	if trimmed := strings.TrimRight(name, ". "); trimmed != name {
		name = trimmed + strings.Repeat("_", min(len(name)-len(trimmed), maxElement))
	}
	if name == "" {
		return "_"
	}
	stem, _, _ := strings.Cut(name, ".")
	if isDevice(strings.TrimRight(stem, " ")) {
		return "_" + name
	}
	return name
}

// isShown reports whether r has a shape or joins letters. Marks that reorder the text do neither.
func isShown(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsPrint(r) || r == nonJoiner || r == joiner
}

// isDevice reports whether Windows takes the name for a device.
func isDevice(stem string) bool {
	switch stem = strings.ToUpper(stem); stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

// fit appends the suffix to a name. It cuts a name that is too long and appends a hash, so that
// names with the same beginning stay different.
func fit(name, suffix string) string {
	if len(name) <= maxElement {
		return name + suffix
	}
	if suffix == "" {
		suffix = "-" + sum(name)[:8]
	}
	return strings.TrimRight(text.Cut(name, maxElement), ". ") + suffix
}
