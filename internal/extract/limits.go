package extract

import (
	"cmp"
	"os"
	"runtime"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// Limits bound what one document may cost. A zero field takes its default.
type Limits struct {
	// Bytes is the size of the document as it is stored. Default 64 MiB.
	Bytes int64 `json:"bytes,omitempty"`
	// Text is the size of its text in bytes. Default 64 MiB.
	Text int64 `json:"text,omitempty"`
	// Inflated is how many bytes the parts of an archive that are read may have in all;
	// InflatedPart is the same for one of them. Defaults 256 MiB and 64 MiB.
	Inflated     int64 `json:"inflated,omitempty"`
	InflatedPart int64 `json:"inflated_part,omitempty"`
	// Ratio is how many times an archive may grow when inflated, once it exceeds RatioFloor
	// bytes. Deflate reaches 1032:1 at the most; text reaches about 10:1. Defaults 200 and 16 MiB.
	Ratio      int64 `json:"ratio,omitempty"`
	RatioFloor int64 `json:"ratio_floor,omitempty"`
	// ZipEntries is the number of files in an archive. Default 20,000.
	ZipEntries int `json:"zip_entries,omitempty"`
	// Depth is how deep HTML, XML, JSON or the parts of a message may nest. Default 500.
	Depth int `json:"depth,omitempty"`
	// Pages of a PDF. Default 5,000.
	Pages int `json:"pages,omitempty"`
	// Time for one document, waiting for memory not counted. Default 60 s.
	Time time.Duration `json:"time,omitempty"`
	// PDFMemory is the memory of one PDFium instance in bytes; PDFInstances is how many there
	// are at the most. Defaults 192 MiB and 1.
	PDFMemory    int64 `json:"pdf_memory,omitempty"`
	PDFInstances int   `json:"pdf_instances,omitempty"`
	// Memory is what reading all documents of an Extractor at once may be estimated to need,
	// in bytes; those beyond it wait. RawMemory is the same for the documents' own bytes, which
	// Extractor.Read holds. Defaults 96 MiB and 72 MiB; the heap then stays within some twice
	// their sum, as the garbage collector lets it double.
	Memory    int64 `json:"memory,omitempty"`
	RawMemory int64 `json:"raw_memory,omitempty"`
	// ChildMemory is how much address space inChild's process may take beyond what it
	// has when it starts, in bytes. Default 768 MiB: compiling PDFium takes 340 MiB of memory. Where
	// the process and its children may have less than twice that together, it is five eighths of what
	// they may have: the rest is for the process itself.
	ChildMemory int64 `json:"child_memory,omitempty"`
}

// Children is how many child processes may read at once, so that they and this process stay within the memory that they may have
// together: one at least, and at most as many as there are processors.
func (l Limits) Children() int {
	return children(l.withDefaults().ChildMemory, memoryLimit(os.DirFS("/")), runtime.GOMAXPROCS(0))
}

// childShare is the part of a memory limit that is for children.
func childShare(limit int64) int64 { return limit / 8 * 5 }

// children counts within a limit in bytes, 0 when there is none.
func children(each, limit int64, processors int) int {
	if limit == 0 {
		return processors
	}
	return int(min(max(childShare(limit)/each, 1), int64(processors)))
}

// childMemory bounds what a child may take by a limit in bytes, 0 when there is none.
func childMemory(wanted, limit int64) int64 {
	if limit == 0 {
		return wanted
	}
	return min(wanted, childShare(limit))
}

func (l Limits) withDefaults() Limits {
	l.Bytes = cmp.Or(l.Bytes, source.DefaultMaxBytes)
	l.Text = cmp.Or(l.Text, 64<<20)
	l.Inflated = cmp.Or(l.Inflated, 256<<20)
	l.InflatedPart = cmp.Or(l.InflatedPart, 64<<20)
	l.Ratio = cmp.Or(l.Ratio, 200)
	l.RatioFloor = cmp.Or(l.RatioFloor, 16<<20)
	l.ZipEntries = cmp.Or(l.ZipEntries, 20000)
	l.Depth = cmp.Or(l.Depth, 500)
	l.Pages = cmp.Or(l.Pages, 5000)
	l.Time = cmp.Or(l.Time, readTime)
	l.PDFMemory = cmp.Or(l.PDFMemory, 192<<20)
	l.PDFInstances = cmp.Or(l.PDFInstances, 1)
	l.Memory = cmp.Or(l.Memory, 96<<20)
	l.RawMemory = cmp.Or(l.RawMemory, 72<<20)
	l.ChildMemory = cmp.Or(l.ChildMemory, 768<<20)
	return l
}
