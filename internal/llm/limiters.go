package llm

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// LimiterState is what is known of one limiter: an endpoint, a key and a model.
type LimiterState struct {
	Model    string
	Endpoint string // host, and port if any
	// RPM and TPM are requests and tokens a minute in force: set, announced or learned. 0: no limit is known.
	RPM, TPM float64
	// Window is how many calls at once the endpoint was found to take; 0: as many as there are.
	Window int
	// Limited says that calls are paced, and so counted: without it InFlight and Wait are 0.
	Limited bool
	// InFlight are calls under way, of all processes.
	InFlight int
	// Wait is how long a call that asks now would wait.
	Wait time.Duration
	// PausedUntil is when the endpoint may be asked again; zero: now.
	PausedUntil time.Time
	// Latency is the mean time of an answered call without its wait, Tokens the mean of what it is charged (prompt and output
	// cap); exponential averages of one of the processes, 0 before the first answer.
	Latency time.Duration
	Tokens  float64
	// Used is when a process last said that it uses the limiter, to about noteEvery.
	Used time.Time
}

const (
	// limitersKey is the list of limiters. It has a slot of its own on a cluster.
	limitersKey = "gistmill:limiters"
	// noteEvery is how often a process says that it uses a limiter.
	noteEvery = 10 * time.Second
	// forgetAfter is how long a limiter that nobody uses stays in the list.
	forgetAfter = time.Hour
	// meanWeight is that of a new value in the averages.
	meanWeight = 0.1
)

//go:embed limiters_note.lua
var noteScript string

//go:embed limiter_read.lua
var readScript string

//nolint:gochecknoglobals // constants; their hashes are made once
var (
	noteCall = redis.NewScript(noteScript)
	readCall = redis.NewScript(stateScript + readScript)
)

// limiterNote is an entry of the list.
type limiterNote struct {
	Model    string  `json:"model"`
	Endpoint string  `json:"endpoint"`
	Latency  float64 `json:"latency"` // seconds
	Tokens   float64 `json:"tokens"`
	At       int64   `json:"at"` // Unix seconds of Redis' clock, filled in there
}

// ReadLimiters reads all limiters that a process has used within an hour, ordered by model and endpoint. It needs neither key nor
// endpoint, and writes nothing.
func ReadLimiters(ctx context.Context, client redis.UniversalClient) ([]LimiterState, error) {
	notes, err := client.HGetAll(ctx, limitersKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list the limiters: %w", err)
	}
	all := make([]LimiterState, 0, len(notes))
	for name, body := range notes {
		var note limiterNote
		if json.Unmarshal([]byte(body), &note) != nil {
			continue // of another version
		}
		s, err := readLimiter(ctx, client, name, note)
		if err != nil {
			return nil, fmt.Errorf("read a limiter of %s: %w", note.Model, err)
		}
		if s != nil {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b LimiterState) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), strings.Compare(a.Endpoint, b.Endpoint))
	})
	return all, nil
}

// readLimiter is nil for one that is not used any more.
func readLimiter(ctx context.Context, client redis.UniversalClient, name string, note limiterNote) (*LimiterState, error) {
	reply, err := readCall.Run(ctx, client, stateKeys(name), note.Tokens).StringSlice()
	if err != nil {
		return nil, err
	}
	var n [7]float64 // as the script says
	for i := range n {
		if n[i], err = strconv.ParseFloat(reply[i], 64); err != nil {
			return nil, err
		}
	}
	if n[0]-float64(note.At) > forgetAfter.Seconds() {
		return nil, nil
	}
	duration := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	s := &LimiterState{
		Model: note.Model, Endpoint: note.Endpoint, RPM: n[1], TPM: n[2], Window: int(n[3]), InFlight: int(n[4]), Wait: duration(n[5]),
		Latency: duration(note.Latency), Tokens: note.Tokens, Used: time.Unix(note.At, 0).UTC(),
	}
	s.Limited = s.RPM > 0 || s.TPM > 0 || s.Window > 0 || s.Wait > 0
	if n[6] > 0 {
		s.PausedUntil = time.Now().Add(duration(n[6]))
	}
	return s, nil
}

// stateKeys are the keys of a limiter's state. One slot of a cluster holds both.
func stateKeys(name string) []string {
	key := "gistmill:limiter:{" + name + "}"
	return []string{key, key + ":inflight"}
}

// means are what this process has seen of a model's answered calls.
type means struct {
	mu              sync.Mutex
	latency, tokens float64
	noted           time.Time // when it last said so
}

// add takes a call's end into the averages, and says whether it is time to tell the others.
func (m *means) add(o Outcome, took time.Duration, outputTokens int) (due bool, latency, tokens float64) {
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
	if due = now.Sub(m.noted) >= noteEvery; due {
		m.noted = now
	}
	return due, m.latency, m.tokens
}

// note says that the limiter of a model is in use. Nothing depends on it in this process.
func (l *SharedLimiter) note(ctx context.Context, s *sharedState, model string, latency, tokens float64) {
	n := limiterNote{Model: model, Latency: latency, Tokens: tokens}
	if u, err := url.Parse(l.Endpoint); err == nil {
		n.Endpoint = u.Host
	}
	body, err := json.Marshal(n)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, toldWithin)
		defer cancel()
		err = noteCall.Run(ctx, l.Redis, []string{limitersKey}, s.name, body, forgetAfter.Seconds()).Err()
	}
	if err != nil {
		l.Logger.Debug("the limiter is not in the list of limiters; it is told again soon", slog.Any("error", err))
	}
}
