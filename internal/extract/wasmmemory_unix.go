//go:build unix

package extract

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// wasmMemory allocates the linear memory of instances outside of the Go heap. So growing it
// copies nothing, it does not drive the garbage collector, and it returns to the system at
// once. The caller holds pdfEngine.mu.
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
	return m.last // without bytes, instantiating the module fails
}

// taken returns the last mapping, once.
func (m *wasmMemory) taken() *mapping {
	t := m.last
	m.last = nil
	return t
}

// mapping is one reserved range. wazero uses its front.
type mapping struct{ bytes []byte }

// Reallocate implements experimental.LinearMemory.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	return m.bytes[:size]
}

// Free does nothing, see pdfEngine.with.
func (m *mapping) Free() {}

func (m *mapping) unmap() error {
	if m == nil || m.bytes == nil {
		return nil
	}
	b := m.bytes
	m.bytes = nil
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("unmap the PDF engine's memory: %w", err)
	}
	return nil
}
