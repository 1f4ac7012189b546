//go:build unix

package extract

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// wasmMemory gives instances their linear memory outside of the Go heap: growing it then
// copies nothing, its size does not drive the garbage collector, and it returns to the system
// at once. It is used under pdfEngine.mu.
type wasmMemory struct {
	limit uint64
	last  *mapping
}

// Allocate implements experimental.MemoryAllocator.
func (m *wasmMemory) Allocate(_, _ uint64) experimental.LinearMemory {
	m.last = &mapping{}
	b, err := unix.Mmap(-1, 0, int(m.limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		m.last.bytes = b
	}
	return m.last // without bytes the module cannot be instantiated, which is an error there
}

// taken hands over the mapping that was made last.
func (m *wasmMemory) taken() *mapping {
	t := m.last
	m.last = nil
	return t
}

// mapping is one reserved range, of which wazero uses the front.
type mapping struct{ bytes []byte }

// Reallocate implements experimental.LinearMemory.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	return m.bytes[:size]
}

// Free does nothing: see pdfEngine.with.
func (m *mapping) Free() {}

func (m *mapping) unmap() error {
	if m == nil || m.bytes == nil {
		return nil
	}
	b := m.bytes
	m.bytes = nil
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("give back the PDF engine's memory: %w", err)
	}
	return nil
}
