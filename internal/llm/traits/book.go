package traits

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// A Store keeps traits for all processes and the next run. Implementations are safe for concurrent
// use by any number of processes.
type Store interface {
	// LoadTraits returns all traits by the hash of their key.
	LoadTraits(ctx context.Context) (map[string]Traits, error)
	// AddTraits merges a lesson into what is stored under a key and returns the result. Lessons that
	// processes add at the same time are all kept.
	AddTraits(ctx context.Context, key Key, lesson Traits) (Traits, error)
}

// A Book holds the traits of all models that a process asks, and shares them with other processes
// through a [Store]. Its methods are safe for concurrent use.
type Book struct {
	store Store // nil: nothing is shared
	log   *slog.Logger

	mu     sync.Mutex
	models map[string]*Model // by the hash of the key
	stored map[string]Traits // as last read, of models that were not asked for yet
}

// NewBook returns an empty book. store may be nil: then the book is that of this process alone. log
// may be nil. Call [Book.Sync] to read what is stored, and every few seconds after that.
func NewBook(store Store, log *slog.Logger) *Book {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Book{store: store, log: log, models: map[string]*Model{}, stored: map[string]Traits{}}
}

// Of returns a model at a base URL. The same two give the same Model. On a nil Book it returns nil,
// whose methods know nothing.
func (b *Book) Of(base *url.URL, model string) *Model {
	if b == nil {
		return nil
	}
	key := KeyOf(base, model)
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.models[key.Hash]
	if m == nil {
		m = &Model{book: b, key: key, stored: b.stored[key.Hash], tried: map[string]bool{}}
		b.models[key.Hash] = m
	}
	return m
}

// Sync writes the lessons that are not stored yet, and reads what other processes learned. Lessons
// that cannot be written are kept for the next time.
func (b *Book) Sync(ctx context.Context) error {
	if b == nil || b.store == nil {
		return nil
	}
	b.mu.Lock()
	models := make([]*Model, 0, len(b.models))
	for _, m := range b.models {
		models = append(models, m)
	}
	b.mu.Unlock()
	for _, m := range models {
		if err := m.write(ctx); err != nil {
			return err
		}
	}
	all, err := b.store.LoadTraits(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stored = all
	for hash, m := range b.models {
		m.read(all[hash])
	}
	return nil
}

// Model is a model at an endpoint. All methods may be called on nil.
type Model struct {
	book *Book
	key  Key
	gate gate

	mu     sync.Mutex
	stored Traits // as last read or written
	unsent Traits // lessons that are not stored yet
	// tried are parts that calls of this process leave out, until an answer shows that it helped.
	tried   map[string]bool
	writing sync.Mutex
}

// Known returns what is known now, without parts that are only tried.
func (m *Model) Known() Traits {
	if m == nil {
		return Traits{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored.Merge(m.unsent)
}

// Without reports whether requests leave out a part: the endpoint refused it, or a call tries
// without it.
func (m *Model) Without(part string) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return m.tried[part] || m.stored.Without(part, now) || m.unsent.Without(part, now)
}

// Try leaves out a part from now on, in this process. [Model.Confirm] keeps it, [Model.Withdraw]
// takes it back.
func (m *Model) Try(part string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried[part] = true
}

// Withdraw takes back parts that were tried in vain.
func (m *Model) Withdraw(parts []string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, part := range parts {
		delete(m.tried, part)
	}
}

// Confirm keeps parts without which a request was answered, for all processes.
func (m *Model) Confirm(ctx context.Context, parts []string) {
	if m == nil || len(parts) == 0 {
		return
	}
	lesson := Traits{Refused: map[string]int64{}}
	now := time.Now().Unix()
	m.mu.Lock()
	for _, part := range parts {
		if m.tried[part] {
			lesson.Refused[part] = now
			delete(m.tried, part)
		}
	}
	m.mu.Unlock()
	if len(lesson.Refused) > 0 {
		m.Learn(ctx, lesson)
	}
}

// Learn adds a lesson and stores it at once. If that fails, the next [Book.Sync] stores it.
func (m *Model) Learn(ctx context.Context, lesson Traits) {
	if m == nil || lesson.IsZero() {
		return
	}
	m.note(lesson)
	if err := m.write(ctx); err != nil {
		m.book.log.Debug("lesson about an endpoint not stored yet", "endpoint", m.key.Host, "model", m.key.Model, "error", err)
	}
}

// note adds a lesson, which the next [Book.Sync] stores.
func (m *Model) note(lesson Traits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsent = m.unsent.Merge(lesson)
}

// Answered notes an answer, and how many tokens its thought took. An answer without thought teaches
// only about a model that thinks at times. The first answer is stored at once.
func (m *Model) Answered(ctx context.Context, thought int) {
	if m == nil {
		return
	}
	known := m.Known()
	lesson := Traits{}
	if known.Answered == 0 {
		lesson.Answered = time.Now().Unix()
	}
	if thought > 0 || known.Thought.Thinks() {
		lesson.Thought = seen(thought)
	}
	if lesson.Answered > 0 || thought > 0 && !known.Thought.Thinks() {
		m.Learn(ctx, lesson)
		return
	}
	m.note(lesson)
}

// CutByThought notes an answer that was cut, and the tokens of its thought, and stores that at
// once.
func (m *Model) CutByThought(ctx context.Context, tokens int) {
	if m == nil {
		return
	}
	m.Learn(ctx, Traits{Thought: cutAt(tokens)})
}

// storeTimeout bounds how long a call waits for its lesson to be stored.
const storeTimeout = 3 * time.Second

// write stores the lessons that are not stored yet.
func (m *Model) write(ctx context.Context) error {
	if m.book.store == nil {
		return nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	lesson := m.unsent
	m.mu.Unlock()
	if lesson.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	m.mu.Lock()
	m.unsent = Traits{}
	m.stored = m.stored.Merge(lesson) // until the store has answered
	m.mu.Unlock()
	stored, err := m.book.store.AddTraits(ctx, m.key, lesson)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.unsent = lesson.Merge(m.unsent)
		return err
	}
	m.stored = stored
	return nil
}

// read takes over what is stored.
func (m *Model) read(stored Traits) {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.book.store != nil {
		m.stored = stored
	}
}
