package limiter

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/llm"
)

// State describes one limiter: that of an endpoint, a key and a model.
type State struct {
	Model    string
	Endpoint string // host, with the port if the URL has one
	// RPM and TPM are the requests and tokens per minute in force, whether set, announced or
	// learned. 0 means that no limit is known.
	RPM, TPM float64
	// Window is the learned limit of calls in flight; 0 means none.
	Window int
	// Limited reports whether calls are paced. If not, they are not counted: InFlight and Wait are
	// 0.
	Limited bool
	// InFlight is the number of calls in flight, of all processes.
	InFlight int
	// Wait is how long a call that asks now would wait.
	Wait time.Duration
	// PausedUntil is the end of the pause after a refusal; zero without one.
	PausedUntil time.Time
	// Latency is the mean time of an answered call, without its wait. Tokens is the mean of what a
	// call is charged (prompt and output cap). Both are exponential averages of the process that
	// wrote last, and 0 before its first answer.
	Latency time.Duration
	Tokens  float64
	// Used is when a process last registered its use of the limiter, which it does about every 10 s.
	Used time.Time
}

const (
	// listKey holds the list of limiters. On a Redis cluster it has a slot of its own.
	listKey = "gistmill:limiters"
	// registerEvery is how often a process registers its use of a limiter.
	registerEvery = 10 * time.Second
	// retention is how long an unused limiter stays in the list.
	retention = time.Hour
	// meanWeight is the weight of a new value in the averages.
	meanWeight = 0.1
)

//go:embed register.lua
var registerScript string

//go:embed read.lua
var readScript string

//nolint:gochecknoglobals // constants; their hashes are made once
var (
	registerCall = redis.NewScript(registerScript)
	readCall     = redis.NewScript(stateScript + readScript)
)

// entry is one limiter in the list.
type entry struct {
	Model    string  `json:"model"`
	Endpoint string  `json:"endpoint"`
	Latency  float64 `json:"latency"` // seconds
	Tokens   float64 `json:"tokens"`
	At       int64   `json:"at"` // Unix seconds of Redis' clock, set by register.lua
}

// List returns the limiters that a process has used within the last hour, ordered by model and
// endpoint. It needs neither their keys nor their endpoints, and it writes nothing.
func List(ctx context.Context, client redis.UniversalClient) ([]State, error) {
	entries, err := client.HGetAll(ctx, listKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list the limiters: %w", err)
	}
	all := make([]State, 0, len(entries))
	for name, body := range entries {
		var e entry
		if json.Unmarshal([]byte(body), &e) != nil {
			continue // written by another version
		}
		s, err := readState(ctx, client, name, e)
		if err != nil {
			return nil, fmt.Errorf("read a limiter of %s: %w", e.Model, err)
		}
		if s != nil {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b State) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), strings.Compare(a.Endpoint, b.Endpoint))
	})
	return all, nil
}

// readState returns nil for a limiter that is no longer used.
func readState(ctx context.Context, client redis.UniversalClient, name string, e entry) (*State, error) {
	reply, err := readCall.Run(ctx, client, stateKeys(name), e.Tokens).StringSlice()
	if err != nil {
		return nil, err
	}
	var n [7]float64 // see read.lua
	for i := range n {
		if n[i], err = strconv.ParseFloat(reply[i], 64); err != nil {
			return nil, err
		}
	}
	if n[0]-float64(e.At) > retention.Seconds() {
		return nil, nil
	}
	duration := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	s := &State{
		Model: e.Model, Endpoint: e.Endpoint, RPM: n[1], TPM: n[2], Window: int(n[3]), InFlight: int(n[4]), Wait: duration(n[5]),
		Latency: duration(e.Latency), Tokens: e.Tokens, Used: time.Unix(e.At, 0).UTC(),
	}
	s.Limited = s.RPM > 0 || s.TPM > 0 || s.Window > 0 || s.Wait > 0
	if n[6] > 0 {
		s.PausedUntil = time.Now().Add(duration(n[6]))
	}
	return s, nil
}

// stateKeys returns the Redis keys of a limiter's state. On a Redis cluster both are in one slot.
func stateKeys(name string) []string {
	key := "gistmill:limiter:{" + name + "}"
	return []string{key, key + ":inflight"}
}

// means are this process's averages over the answered calls of one model.
type means struct {
	mu              sync.Mutex
	latency, tokens float64
	registered      time.Time // last time the averages were written to the list
}

// add takes a call into the averages. due reports whether it is time to register them.
func (m *means) add(o llm.Outcome, took time.Duration, outputTokens int) (due bool, latency, tokens float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.Err == nil {
		charged := float64(o.Usage.In + outputTokens)
		if m.latency == 0 {
			m.latency, m.tokens = took.Seconds(), charged
		}
		m.latency += meanWeight * (took.Seconds() - m.latency)
		m.tokens += meanWeight * (charged - m.tokens)
	}
	now := time.Now()
	if due = now.Sub(m.registered) >= registerEvery; due {
		m.registered = now
	}
	return due, m.latency, m.tokens
}

// register writes the limiter of a model into the list. A failure has no effect on this process.
func (l *Shared) register(ctx context.Context, s *modelState, model string, latency, tokens float64) {
	e := entry{Endpoint: l.host(), Model: model, Latency: latency, Tokens: tokens}
	body, err := json.Marshal(e)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		err = registerCall.Run(ctx, l.cfg.Redis, []string{listKey}, s.name, body, retention.Seconds()).Err()
	}
	if err != nil {
		l.cfg.Logger.Debug("limiter not registered in the list, retrying", slog.Any("error", err))
	}
}
