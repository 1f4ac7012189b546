package source

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// sortedRun is how many names of one folder are held in memory: about 10 MB.
const sortedRun = 100_000

// nameSorter sorts the names of one folder. It writes each sortedRun names to a temporary file
// and merges them at the end, so that a folder of ten million files does not have to fit into
// memory.
type nameSorter struct {
	names []string
	limit int
	spill *os.File
	runs  [][2]int64 // start and end in spill
	size  int64
}

func newNameSorter() *nameSorter { return &nameSorter{limit: sortedRun} }

func (s *nameSorter) add(name string) error {
	s.names = append(s.names, name)
	if len(s.names) < s.limit {
		return nil
	}
	return s.flush()
}

func (s *nameSorter) flush() error {
	if s.spill == nil {
		f, err := os.CreateTemp("", "gistmill-names-*")
		if err != nil {
			return fmt.Errorf("create a temporary file for sorting: %w", err)
		}
		// Unlinked now, so that the file disappears with the process.
		if err := os.Remove(f.Name()); err != nil {
			_ = f.Close()
			return fmt.Errorf("unlink the temporary file for sorting: %w", err)
		}
		s.spill = f
	}
	slices.Sort(s.names)
	start := s.size
	w := bufio.NewWriterSize(s.spill, 64<<10)
	var head [binary.MaxVarintLen64]byte
	for _, n := range s.names {
		k := binary.PutUvarint(head[:], uint64(len(n)))
		_, _ = w.Write(head[:k]) // Flush returns the first error
		_, _ = w.WriteString(n)
		s.size += int64(k + len(n))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write names for sorting: %w", err)
	}
	s.runs = append(s.runs, [2]int64{start, s.size})
	s.names = s.names[:0]
	return nil
}

// sorted yields the names in byte order. It can be used once.
func (s *nameSorter) sorted() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if s.spill == nil {
			slices.Sort(s.names)
			for _, n := range s.names {
				if !yield(n, nil) {
					return
				}
			}
			return
		}
		if len(s.names) > 0 {
			if err := s.flush(); err != nil {
				yield("", err)
				return
			}
		}
		s.names = nil
		var h runHeap
		for _, r := range s.runs {
			run := &nameRun{r: bufio.NewReaderSize(io.NewSectionReader(s.spill, r[0], r[1]-r[0]), 16<<10)}
			if err := run.next(); err != nil {
				yield("", err)
				return
			}
			h = append(h, run)
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].name, nil) {
				return
			}
			switch err := h[0].next(); {
			case err == nil:
				heap.Fix(&h, 0)
			case atEnd(err):
				heap.Pop(&h)
			default:
				yield("", err)
				return
			}
		}
	}
}

func (s *nameSorter) close() {
	if s.spill != nil {
		_ = s.spill.Close()
	}
}

type nameRun struct {
	r    *bufio.Reader
	name string
}

func (r *nameRun) next() error {
	n, err := binary.ReadUvarint(r.r)
	if atEnd(err) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("read sorted names: %w", err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return fmt.Errorf("read sorted names: %w", err)
	}
	r.name = string(b)
	return nil
}

type runHeap []*nameRun

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].name < h[j].name }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*nameRun)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
