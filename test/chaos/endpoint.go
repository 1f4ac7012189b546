package main

import (
	"net/http"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// endpoint is the fake model. It knows its callers by their keys: each process has a key of its
// own, SLOT-NUMBER. Calls are counted by process and by slot.
type endpoint struct {
	fake *fakellm.Server

	mu      sync.Mutex
	callers map[string]*caller
}

// caller counts the calls of one process or slot.
type caller struct {
	now, peak int // calls in flight
	begun     int
}

func newEndpoint(latency string) (*endpoint, error) {
	config := fakellm.Defaults()
	l, err := fakellm.ParseLatency(latency)
	if err != nil {
		return nil, err
	}
	config.Latency = l
	fake, err := fakellm.New(config)
	return &endpoint{fake: fake, callers: map[string]*caller{}}, err
}

// ServeHTTP implements [http.Handler].
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := e.begin(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	defer e.end(c...)
	e.fake.ServeHTTP(w, r)
}

func (e *endpoint) caller(key string) *caller {
	c := e.callers[key]
	if c == nil {
		c = &caller{}
		e.callers[key] = c
	}
	return c
}

func (e *endpoint) begin(key string) []*caller {
	e.mu.Lock()
	defer e.mu.Unlock()
	both := []*caller{e.caller(key), e.caller(key[:max(0, strings.LastIndexByte(key, '-'))])}
	for _, c := range both {
		c.now++
		c.begun++
		c.peak = max(c.peak, c.now)
	}
	return both
}

func (e *endpoint) end(callers ...*caller) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range callers {
		c.now--
	}
}

// watch starts to count the calls of a process or slot that are in flight at any moment until
// stop is called. stop returns the count.
func (e *endpoint) watch(who string) (stop func() int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.caller(who)
	now, begun := c.now, c.begun
	return func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return now + c.begun - begun
	}
}

// inFlight returns the number of calls that a process has in flight now.
func (e *endpoint) inFlight(key string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.caller(key).now
}

// peak returns the maximum number of calls that a process had in flight at once.
func (e *endpoint) peak(key string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.caller(key).peak
}
