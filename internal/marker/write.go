package marker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	fileMode = 0o666 // before the umask
	// lockInterval is the time between two tries to take the lock.
	lockInterval = 20 * time.Millisecond
	// syncInterval is the time between two writes to the disk while lines are appended. The lines of
	// pages that a power cut leaves are missing for at most this time.
	syncInterval = time.Second
	// A marker with this many more lines than files is written again.
	compactLines = 1000
)

// TemporaryName returns a new name for a temporary file, which [IsPrivate] knows.
func TemporaryName() string { return ".gistmill-" + rand.Text()[:12] + ".tmp" }

// Marker is the marker of a folder for its writers. It is safe for concurrent use.
type Marker struct {
	root *os.Root

	mu     sync.Mutex
	index  index
	file   *os.File  // open and locked between Lock and Unlock
	synced time.Time // when what was appended was last written to the disk
}

// Open returns the marker of a folder. It touches no file; [Marker.Lock] creates the marker.
func Open(root *os.Root) *Marker { return &Marker{root: root, index: newIndex()} }

// Lock takes the folder for this process, waits for others until ctx ends, and reads what they
// wrote. Call [Marker.Unlock] afterwards.
func (m *Marker) Lock(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lock(ctx)
}

// Unlock releases the folder.
func (m *Marker) Unlock() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unlock()
}

func (m *Marker) lock(ctx context.Context) error {
	for {
		f, err := m.root.OpenFile(Name, os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode)
		if err != nil {
			return fmt.Errorf("open %s: %w", Name, err)
		}
		for {
			locked, err := tryLock(f)
			if err != nil {
				return errors.Join(fmt.Errorf("lock %s: %w", Name, err), f.Close())
			}
			if locked {
				break
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("wait for another process that writes into this folder: %w", context.Cause(ctx)), f.Close())
			case <-time.After(lockInterval):
			}
		}
		// A process that had the lock may have put a new file in its place.
		ok, err := sameFile(m.root, f)
		if err != nil {
			return errors.Join(fmt.Errorf("lock %s: %w", Name, err), f.Close())
		}
		if ok {
			m.file = f
			if err := m.index.refresh(f); err != nil {
				return errors.Join(err, m.unlock())
			}
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
}

func (m *Marker) unlock() error {
	f := m.file
	m.file = nil
	return f.Close() // which releases the lock
}

// List lists a file whose content does not matter, unless it is listed.
func (m *Marker) List(ctx context.Context, name string) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.unlock()) }()
	if m.index.files[key(name)].listed {
		return nil
	}
	return m.append(Line{File: name})
}

// Add appends lines, in the order given. Add the line of a file before you write the file.
func (m *Marker) Add(ctx context.Context, lines ...Line) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		if err := m.lock(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.unlock()) }()
	}
	return m.append(lines...)
}

func (m *Marker) append(lines ...Line) error {
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if info.Size() > m.index.read {
		b.WriteByte('\n') // ends a line that another process could not finish
	}
	if !m.index.begun {
		lines = append([]Line{{About: about}}, lines...)
	}
	e := encoder(&b)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	if _, err := m.file.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	if time.Since(m.synced) >= syncInterval {
		if err := m.file.Sync(); err != nil {
			return fmt.Errorf("write %s: %w", Name, err)
		}
		m.synced = time.Now()
	}
	m.index.read = info.Size() + int64(b.Len())
	m.index.lines += len(lines)
	for _, l := range lines {
		m.index.apply(l)
	}
	return nil
}

// Begun reports whether the marker has its first line. A marker that was emptied or damaged does
// not, and may lack files that gistmill wrote.
func (m *Marker) Begun() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index.begun
}

// Listed reports whether the marker lists a file.
func (m *Marker) Listed(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index.files[key(name)].listed
}

// Wrote reports whether gistmill gave a listed file the content with this digest.
func (m *Marker) Wrote(name string, digest uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.index.files[key(name)]
	return f.listed && (!f.hasDigest || f.digest == digest || slices.Contains(m.index.older[key(name)], digest))
}

// Last reports whether the last line of a file has this digest, and whether this process wrote the
// file, so that no other has changed its line since.
func (m *Marker) Last(name string, digest uint64) (last, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.index.files[key(name)]
	last = f.listed && f.hasDigest && f.digest == digest
	return last, last && f.fresh
}

// HasPages reports whether the marker lists a page.
func (m *Marker) HasPages() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.index.files {
		if f.hasDigest {
			return true
		}
	}
	return false
}

// SetFresh records that this process has written a listed file.
func (m *Marker) SetFresh(name string) { m.mark(name, func(f *file) { f.fresh = true }) }

// SetCurrent records that a file belongs to the content that is being written.
func (m *Marker) SetCurrent(name string) { m.mark(name, func(f *file) { f.current = true }) }

func (m *Marker) mark(name string, set func(*file)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.index.files[key(name)]
	set(&f)
	m.index.files[key(name)] = f
}

// Sources returns the sources of the folder with their profiles. The one registered last comes
// last.
func (m *Marker) Sources() []Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.index.pairs)
}

// NotCurrent calls each with every listed page that SetCurrent has not named, and records what it
// removed. Files whose content does not matter are left out. The folder must be locked, and each
// may call the other methods.
func (m *Marker) NotCurrent(ctx context.Context, each func(name string) (removed bool, err error)) error {
	const most = 1000 // removals in memory
	m.mu.Lock()
	whole := io.NewSectionReader(m.file, 0, m.index.read)
	m.mu.Unlock()
	var removed []Line
	err := eachLine(whole, func(_ []byte, l Line) error {
		if l.File == "" || !m.stale(l.File) {
			return nil
		}
		gone, err := each(l.File)
		if gone {
			removed = append(removed, Line{Removed: l.File})
		} else {
			m.SetCurrent(l.File) // it may have another line
		}
		if len(removed) == most {
			err = errors.Join(err, m.Add(ctx, removed...))
			removed = removed[:0]
		}
		return err
	})
	if len(removed) > 0 {
		err = errors.Join(err, m.Add(ctx, removed...))
	}
	return err
}

func (m *Marker) stale(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.index.files[key(name)]
	return f.listed && f.hasDigest && !f.current
}

// Finish forgets what [Marker.SetCurrent] recorded, and writes the marker again when most of its
// lines are old ones. The folder must be locked. keep reports which pairs the folder still holds.
func (m *Marker) Finish(keep func(Pair) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, f := range m.index.files {
		if f.current {
			f.current = false
			m.index.files[k] = f
		}
	}
	pairs := slices.DeleteFunc(slices.Clone(m.index.pairs), func(p Pair) bool { return !keep(p) })
	dropped := len(m.index.pairs) - len(pairs)
	small := len(m.index.files) < 10*compactLines // written again at once
	if m.index.lines <= 2*len(m.index.files)+compactLines && (dropped == 0 || !small && dropped < 100) {
		if err := m.file.Sync(); err != nil {
			return fmt.Errorf("write %s: %w", Name, err)
		}
		return nil
	}
	return m.compact(pairs)
}

// compact writes a marker with one line for each file and puts it in the place of the old one.
func (m *Marker) compact(pairs []Pair) (err error) {
	name := TemporaryName()
	f, err := m.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", Name, err), f.Close(), m.root.Remove(name))
		}
	}()
	if _, err := tryLock(f); err != nil { // before others can see it
		return err
	}
	b := bufio.NewWriterSize(f, 256<<10)
	e := encoder(b)
	lines := 0
	add := func(l Line) error {
		lines++
		return e.Encode(l)
	}
	if err := add(Line{About: about}); err != nil {
		return err
	}
	for _, p := range pairs {
		if err := add(p.Line()); err != nil {
			return err
		}
	}
	written := make(map[uint64]bool, len(m.index.files))
	if err := eachLine(io.NewSectionReader(m.file, 0, m.index.read), func(_ []byte, l Line) error {
		k := key(l.File)
		have := m.index.files[k]
		if l.File == "" || !have.listed || written[k] {
			return nil
		}
		written[k] = true
		if !have.hasDigest {
			return add(Line{File: l.File})
		}
		return add(FileLine(l.File, have.digest))
	}); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := m.root.Rename(name, Name); err != nil {
		return err
	}
	old := m.file
	m.file = f
	m.index.info, m.index.read, m.index.lines, m.index.pairs, m.index.older = info, info.Size(), lines, pairs, map[uint64][]uint64{}
	return old.Close()
}
