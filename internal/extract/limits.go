package extract

import (
	"cmp"
	"os"
	"runtime"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// Limits bound what one document may cost. A zero field means its default.
type Limits struct {
	// Bytes is the size of the stored document. Default 64 MiB.
	Bytes int64 `json:"bytes,omitempty"`
	// Text is the size of its text in bytes. Default 64 MiB.
	Text int64 `json:"text,omitempty"`
	// Inflated is the total inflated size of the parts of an archive that are read, in bytes.
	// InflatedPart is that of one part. Defaults 256 MiB and 64 MiB.
	Inflated     int64 `json:"inflated,omitempty"`
	InflatedPart int64 `json:"inflated_part,omitempty"`
	// Ratio is the largest factor by which an archive may grow when inflated, once it exceeds
	// RatioFloor bytes. Deflate reaches at most 1032:1; text reaches about 10:1. Defaults 200 and
	// 16 MiB.
	Ratio      int64 `json:"ratio,omitempty"`
	RatioFloor int64 `json:"ratio_floor,omitempty"`
	// ZipEntries is the number of files in an archive. Default 20,000.
	ZipEntries int `json:"zip_entries,omitempty"`
	// Depth is the nesting of HTML, XML, JSON, or the parts of a message. Default 500.
	Depth int `json:"depth,omitempty"`
	// Pages is the number of pages of a PDF. Default 5,000.
	Pages int `json:"pages,omitempty"`
	// Time is how long reading one document may take, without waiting for memory. Default 60 s.
	Time time.Duration `json:"time,omitempty"`
	// PDFMemory is the memory of one PDFium instance in bytes. PDFInstances is the maximum number
	// of instances. Defaults 192 MiB and 1.
	PDFMemory    int64 `json:"pdf_memory,omitempty"`
	PDFInstances int   `json:"pdf_instances,omitempty"`
	// Memory is the estimated memory for reading all documents of an [Extractor] at once, in
	// bytes. Documents that would exceed it wait. RawMemory is the same for the bytes of the
	// documents, which [Extractor.Read] holds. Defaults 96 MiB and 72 MiB. The heap then stays
	// within about twice their sum, because the garbage collector lets it double.
	Memory    int64 `json:"memory,omitempty"`
	RawMemory int64 `json:"raw_memory,omitempty"`
	// ChildMemory is how much address space a child process may map in addition to what it has
	// mapped at its start, in bytes. Default 768 MiB: compiling PDFium takes 340 MiB of memory. If
	// the memory limit of this process and its children is less than 8/5 of that, ChildMemory is
	// 5/8 of the limit. The rest is for this process.
	ChildMemory int64 `json:"child_memory,omitempty"`
}

// Children returns how many child processes may read at once, so that they and this process
// stay within their common memory limit. It is at least 1 and at most the number of processors.
func (l Limits) Children() int {
	return children(l.withDefaults().ChildMemory, memoryLimit(os.DirFS("/")), runtime.GOMAXPROCS(0))
}

// childShare is the part of a memory limit that children get.
func childShare(limit int64) int64 { return limit / 8 * 5 }

// children is [Limits.Children] for a memory limit in bytes. A limit of 0 means none.
func children(each, limit int64, processors int) int {
	if limit == 0 {
		return processors
	}
	return int(min(max(childShare(limit)/each, 1), int64(processors)))
}

// childMemory limits the memory of a child by a memory limit in bytes. A limit of 0 means none.
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
