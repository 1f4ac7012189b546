package traits_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm/traits"
)

// memory is a store that several books share.
type memory struct {
	mu     sync.Mutex
	all    map[string]traits.Traits
	broken bool
}

func (m *memory) LoadTraits(context.Context) (map[string]traits.Traits, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]traits.Traits{}
	for hash, t := range m.all {
		encoded, _ := json.Marshal(t)
		var copied traits.Traits
		if err := json.Unmarshal(encoded, &copied); err != nil {
			return nil, err
		}
		out[hash] = copied
	}
	return out, nil
}

func (m *memory) AddTraits(_ context.Context, key traits.Key, lesson traits.Traits) (traits.Traits, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return traits.Traits{}, errors.New("broken")
	}
	if m.all == nil {
		m.all = map[string]traits.Traits{}
	}
	m.all[key.Hash] = m.all[key.Hash].Merge(lesson)
	return m.all[key.Hash], nil
}

func base(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What one worker learns, another one and the next process know.
func TestLessonsAreShared(t *testing.T) {
	t.Parallel()
	store := &memory{}
	one, two := traits.NewBook(store, nil), traits.NewBook(store, nil)
	at := base(t, "https://user:secret@api.example.com/v1")
	a, b := one.Of(at, "m"), two.Of(base(t, "https://api.example.com/v1"), "m")
	a.Try("temperature")
	if !a.Without("temperature") || b.Without("temperature") {
		t.Error("a part that is only tried holds in its process alone")
	}
	a.Confirm(t.Context(), []string{"temperature"})
	b.Try("system")
	b.Confirm(t.Context(), []string{"system"})
	b.Answered(t.Context(), 700)
	for range 2 {
		for _, book := range []*traits.Book{one, two} {
			if err := book.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := traits.NewBook(store, nil)
	if err := next.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*traits.Model{"the same worker": a, "another worker": b, "the next process": next.Of(at, "m")} {
		known := m.Known()
		if !m.Without("temperature") || !m.Without("system") || known.Answered == 0 || known.Thought.Headroom() < 700 {
			t.Errorf("%s knows %+v", name, known)
		}
	}
	if m := next.Of(at, "other"); !m.Known().IsZero() {
		t.Error("another model has traits of its own")
	}
	for key := range store.all {
		if len(key) != 64 {
			t.Errorf("key %q is no hash", key)
		}
	}
}

// A part that was left out in vain is sent again.
func TestWithdrawnPartIsForgotten(t *testing.T) {
	t.Parallel()
	m := traits.NewBook(&memory{}, nil).Of(base(t, "http://h/v1"), "m")
	m.Try("temperature")
	m.Withdraw([]string{"temperature"})
	m.Confirm(t.Context(), []string{"temperature"})
	if m.Without("temperature") {
		t.Error("still left out")
	}
}

// Lessons that cannot be stored are kept, and stored later.
func TestLessonsSurviveAnOutageOfTheStore(t *testing.T) {
	t.Parallel()
	store := &memory{broken: true}
	book := traits.NewBook(store, nil)
	m := book.Of(base(t, "http://h/v1"), "m")
	m.Learn(t.Context(), traits.Traits{MostOutput: 1024})
	if err := book.Sync(t.Context()); err == nil || m.Known().MostOutput != 1024 {
		t.Error(err, m.Known())
	}
	store.broken = false
	if err := book.Sync(t.Context()); err != nil || store.all[traits.KeyOf(base(t, "http://h/v1"), "m").Hash].MostOutput != 1024 {
		t.Error(err, store.all)
	}
}

// A refusal does not hold permanently: servers are updated.
func TestRefusalsLapse(t *testing.T) {
	t.Parallel()
	now := time.Now()
	known := traits.Traits{Refused: map[string]int64{"temperature": now.Add(-traits.Kept).Unix()}}
	if known.Without("temperature", now) || !known.Without("temperature", now.Add(-time.Hour)) {
		t.Error("refusals are kept for", traits.Kept)
	}
}

// The headroom covers nearly all answers, and is not far above them.
func TestHeadroom(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	lognormal := func(median float64) int { return int(median * math.Exp(0.5*random.NormFloat64())) }
	m := traits.NewBook(nil, nil).Of(base(t, "http://h/v1"), "m")
	run := func(n int, median float64) (cut int) {
		for range n {
			tokens := lognormal(median)
			if room := m.Known().Thought.Headroom(); tokens > room {
				cut++
				m.CutByThought(t.Context(), room)
			}
			m.Answered(t.Context(), tokens)
		}
		return cut
	}
	first := run(500, 1100)
	room := m.Known().Thought.Headroom()
	four := run(500, 4400)
	later := m.Known().Thought.Headroom()
	run(2000, 1100)
	back := m.Known().Thought.Headroom()
	t.Logf("cut: %d of 500; after a change by 4: %d of 500; headroom %d, %d, and %d after the change back", first, four, room, later, back)
	if first > 12 || four > 20 {
		t.Error("too many answers are cut")
	}
	if room < 2500 || room > 6000 || later < 10000 || later > 24000 || back > 6000 {
		t.Error("the headroom does not follow")
	}
}

// A model that never thinks has no headroom, and nothing is stored for its answers but the first.
func TestNoThoughtNoHeadroom(t *testing.T) {
	t.Parallel()
	m := traits.NewBook(&memory{}, nil).Of(base(t, "http://h/v1"), "m")
	for range 10 {
		m.Answered(t.Context(), 0)
	}
	if known := m.Known(); known.Thought.Headroom() != 0 || !known.Thought.IsZero() || known.Answered == 0 {
		t.Errorf("%+v", known)
	}
}

// While a model was never answered, one call at a time is made.
func TestFirstCallGoesAlone(t *testing.T) {
	t.Parallel()
	book := traits.NewBook(nil, nil)
	m := book.Of(base(t, "http://h/v1"), "m")
	first, err := m.Alone(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Alone(given); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if other, err := book.Of(base(t, "http://h/v1"), "other").Alone(t.Context()); err != nil {
		t.Error("another model waits", err)
	} else {
		other(true)
	}
	second := make(chan func(bool))
	go func() {
		done, _ := m.Alone(t.Context())
		second <- done
	}()
	select {
	case <-second:
		t.Fatal("two calls at a time")
	default:
	}
	first(false)
	(<-second)(true)
	for range 3 {
		if _, err := m.Alone(given); err != nil {
			t.Error("a call still waits", err)
		}
	}
	var none *traits.Model
	if done, err := none.Alone(given); err != nil {
		t.Error(err)
	} else {
		done(true)
	}
}

// A rate limit opens the gate for calls that wait at it.
func TestGateOpensForWaitingCalls(t *testing.T) {
	t.Parallel()
	m := traits.NewBook(nil, nil).Of(base(t, "http://h/v1"), "m")
	m.OpenGate() // before any call there is none
	first, err := m.Alone(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if _, err := m.Alone(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	m.OpenGate()
	m.OpenGate()
	waiting.Wait()
	first(false)
}
