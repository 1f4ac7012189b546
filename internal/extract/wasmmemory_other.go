//go:build !unix

package extract

import "github.com/tetratelabs/wazero/experimental"

// wasmMemory allocates the memory of instances on the Go heap.
type wasmMemory struct{ limit uint64 }

// Allocate implements experimental.MemoryAllocator.
func (m *wasmMemory) Allocate(_, _ uint64) experimental.LinearMemory { return &mapping{limit: m.limit} }

func (m *wasmMemory) taken() *mapping { return nil }

type mapping struct {
	limit uint64
	bytes []byte
}

// Reallocate implements experimental.LinearMemory.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	m.bytes = append(m.bytes, make([]byte, int(size)-len(m.bytes))...)
	return m.bytes
}

// Free implements experimental.LinearMemory.
func (m *mapping) Free() {}

func (m *mapping) unmap() error { return nil }
