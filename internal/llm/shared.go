package llm

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"
)

// SharedLimits describes the limiter of one endpoint and key.
type SharedLimits struct {
	// Redis holds the state; the embedded one will do for a single process.
	Redis redis.UniversalClient
	// Endpoint and Key say whose limits these are. Of the key only a hash leaves the process.
	Endpoint, Key string
	// RPM and TPM are requests and tokens a minute; 0 is unknown. Of workers that set different ones the smallest holds.
	RPM, TPM int
	// MaxInFlight bounds the calls of this process.
	MaxInFlight int
	// Timeout of a call. One that is in flight for longer, and a little, is given up for dead.
	Timeout time.Duration
	Logger  *slog.Logger // nil discards
}

// SharedLimiter is one limiter for every process on the same Redis, by endpoint, key and model.
//
// Where a limit is set, or announced by the endpoint's x-ratelimit headers, calls are paced at it, in the order of their
// arrival. Where none is known there is no Redis call and no token is counted (but for a look every freeCheck whether
// others have met a limit) until the first 429. From then on the limiter learns: the rate from what was admitted
// between two refusals, after CUBIC (RFC 9438); the calls in flight from those that were refused while fewer were not,
// and from timeouts, by additive increase and multiplicative decrease (Chiu and Jain, 1989). A Retry-After
// pauses everybody, once. The scripts beside this file hold all of it, since it has to be atomic.
type SharedLimiter struct {
	SharedLimits
	places *semaphore.Weighted

	mu     sync.Mutex
	models map[string]*sharedState
}

// sharedState is what this process knows of one model's limiter.
type sharedState struct {
	name    string // what makes up the keys
	keys    []string
	limited atomic.Bool // the state in Redis is asked
	freed   chan struct{}
	means   means

	mu      sync.Mutex
	checked time.Time // when a free process last looked into Redis
	// While no limit is known: calls in flight, the most that were admitted at once, and how many ended since when.
	inFlight, most int
	ended          int
	since          time.Time
}

const (
	// freeCheck is how often a process that knows of no limit looks whether others do.
	freeCheck = time.Second
	// lookAgain is the longest time after which a waiter asks again: rates change.
	lookAgain = 2 * time.Second
	// lifetimeSlack is how much longer than its timeout a call may be in flight.
	lifetimeSlack = 5 * time.Second
	// unreachablePause is between two tries to reach Redis.
	unreachablePause = 500 * time.Millisecond
	// toldWithin is how long Redis may take to hear of a call's end.
	toldWithin = 2 * time.Second
	// slowShare of the timeout is when an answer says that the endpoint has too much to do.
	slowShare = 2
)

//go:embed limiter_state.lua
var stateScript string

//go:embed limiter_acquire.lua
var acquireScript string

//go:embed limiter_done.lua
var doneScript string

//nolint:gochecknoglobals // constants; their hashes are made once
var (
	acquireCall = redis.NewScript(stateScript + acquireScript)
	endCall     = redis.NewScript(stateScript + doneScript)
)

// NewSharedLimiter returns a limiter; it asks nothing yet.
func NewSharedLimiter(l SharedLimits) *SharedLimiter {
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	return &SharedLimiter{SharedLimits: l, places: semaphore.NewWeighted(int64(max(1, l.MaxInFlight))), models: map[string]*sharedState{}}
}

// state of a model.
func (l *SharedLimiter) state(model string) *sharedState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.models[model]
	if !ok {
		key := sha256.Sum256([]byte(l.Key))
		sum := sha256.Sum256([]byte(l.Endpoint + "\x00" + hex.EncodeToString(key[:]) + "\x00" + model))
		name := hex.EncodeToString(sum[:12])
		s = &sharedState{name: name, keys: stateKeys(name), freed: make(chan struct{}, 1), since: time.Now()}
		s.limited.Store(l.RPM > 0 || l.TPM > 0)
		l.models[model] = s
	}
	return s
}

// Acquire implements Limiter. While Redis cannot be reached it waits, within MaxWait.
func (l *SharedLimiter) Acquire(ctx context.Context, call Call) (Permit, error) {
	if err := l.places.Acquire(ctx, 1); err != nil {
		return nil, ctx.Err()
	}
	s := l.state(call.Model)
	p := &sharedPermit{ctx: context.WithoutCancel(ctx), limiter: l, state: s, call: call, counted: -1}
	var err error
	if s.limited.Load() || l.othersAreLimited(ctx, s) {
		err = l.queue(ctx, p)
	} else {
		p.inFlight = s.begin()
	}
	if err != nil {
		l.places.Release(1)
		return nil, err
	}
	p.sent = time.Now()
	return p, nil
}

// othersAreLimited looks into Redis, one caller at a time and not often.
func (l *SharedLimiter) othersAreLimited(ctx context.Context, s *sharedState) bool {
	s.mu.Lock()
	if time.Since(s.checked) < freeCheck {
		s.mu.Unlock()
		return false
	}
	s.checked = time.Now()
	s.mu.Unlock()
	n, err := l.Redis.Exists(ctx, s.keys[0]).Result()
	if err == nil && n > 0 {
		s.limited.Store(true)
	}
	return s.limited.Load()
}

// begin counts a call that starts while no limit is known.
func (s *sharedState) begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	return s.inFlight
}

// end counts its end. It returns what the process saw of the endpoint so far.
func (s *sharedState) end(o Outcome, inFlight int) (most int, perSecond float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if o.Err == nil {
		s.ended++
		s.most = max(s.most, inFlight)
	}
	// A rate of the first moment says nothing.
	if elapsed := time.Since(s.since).Seconds(); elapsed >= 0.2 {
		perSecond = float64(s.ended) / elapsed
	}
	return s.most, perSecond
}

// ticket is a call's place in the queue.
type ticket struct{ generation, request, token string }

// queue waits for the call's turn.
func (l *SharedLimiter) queue(ctx context.Context, p *sharedPermit) error {
	begun := time.Now()
	place := ticket{"0", "-1", "-1"}
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	p.id = hex.EncodeToString(id[:])
	for {
		left := p.call.MaxWait - time.Since(begun)
		reply, err := acquireCall.Run(ctx, l.Redis, p.state.keys, p.id, place.generation, place.request, place.token, p.counted, p.call.OutputTokens,
			left.Seconds(), (l.Timeout + lifetimeSlack).Seconds(), l.RPM, l.TPM).StringSlice()
		var wait time.Duration
		var freed <-chan struct{} // of use only to who waits for a place
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wait = unreachablePause
			l.Logger.Debug("the limiter's Redis does not answer, trying again", slog.Any("error", err))
			if left < wait {
				return &Error{Class: RateLimited, Code: "limiter_unreachable", Message: "the limiter's Redis does not answer", RetryAfter: 5 * time.Second}
			}
		case reply[0] == "go":
			p.waited = time.Since(begun)
			p.inFlight, err = strconv.Atoi(reply[1])
			return err
		case reply[0] == "count":
			p.counted = p.call.InputTokens()
			continue
		case reply[0] == "large":
			return &Error{Class: ContextLength, Code: "exceeds_limit",
				Message: fmt.Sprintf("the request takes %s tokens, and the limit is %s a minute", whole(reply[1]), whole(reply[2]))}
		default:
			if wait, err = seconds(reply[1]); err != nil {
				return fmt.Errorf("limiter: %w", err)
			}
			if reply[0] == "later" || wait > left {
				return &Error{Class: RateLimited, Code: "paced", Message: "the endpoint's rate limit is used up", RetryAfter: max(wait, time.Millisecond)}
			}
			place = ticket{reply[2], reply[3], reply[4]}
			if reply[0] == "room" {
				freed = p.state.freed
			}
		}
		if err := waitFor(ctx, min(wait, lookAgain), freed); err != nil {
			return err
		}
	}
}

// waitFor sleeps until it is time to ask again, or a place has become free.
func waitFor(ctx context.Context, d time.Duration, freed <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-freed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func seconds(text string) (time.Duration, error) {
	s, err := strconv.ParseFloat(text, 64)
	return time.Duration(s * float64(time.Second)), err
}

// whole rounds a number for people.
func whole(text string) string {
	s, _ := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(s, 'f', 0, 64)
}

// sharedPermit is a call in flight.
type sharedPermit struct {
	ctx      context.Context
	limiter  *SharedLimiter
	state    *sharedState
	call     Call
	id       string // empty: it began while no limit was known
	counted  int    // prompt tokens; -1: not counted
	inFlight int    // when it began, itself included
	waited   time.Duration
	sent     time.Time
	once     sync.Once
}

// Waited implements Permit.
func (p *sharedPermit) Waited() time.Duration { return p.waited }

// Done implements Permit.
func (p *sharedPermit) Done(o Outcome) {
	p.once.Do(func() {
		defer p.limiter.places.Release(1)
		took := time.Since(p.sent)
		p.done(o, took)
		if due, latency, tokens := p.state.means.add(o, took, p.call.OutputTokens); due {
			p.limiter.note(p.ctx, p.state, p.call.Model, latency, tokens)
		}
	})
}

func (p *sharedPermit) done(o Outcome, took time.Duration) {
	l, s := p.limiter, p.state
	how, retry, about := p.how(o)
	announced := announcedLimits(o.Header)
	most, perSecond := 0, 0.0
	if p.id == "" {
		most, perSecond = s.end(o, p.inFlight)
		if how != "limited" && how != "slow" && announced == (limitsPerMinute{}) && !s.limited.Load() {
			return
		}
		if !s.limited.Swap(true) {
			l.Logger.Info("a rate limit is met; calls are paced from now on", slog.String("endpoint", l.Endpoint), slog.String("model", p.call.Model),
				slog.Int("rpm", announced.requests), slog.Int("tpm", announced.tokens), slog.String("outcome", how))
		}
	}
	// The end is told also when the caller has given up: a process that stops would otherwise seem to be in flight.
	ctx, cancel := context.WithTimeout(p.ctx, toldWithin)
	defer cancel()
	err := endCall.Run(ctx, l.Redis, s.keys, p.id, how, took.Seconds(), p.inFlight, about, retry.Seconds(), mathrand.Float64(),
		p.counted, o.Usage.In, p.call.OutputTokens, announced.requests, announced.tokens, perSecond, most).Err()
	if err != nil {
		l.Logger.Debug("the limiter was not told of a call's end; it counts as in flight until its time is over", slog.Any("error", err))
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// how says what a call's end means for the limits.
func (p *sharedPermit) how(o Outcome) (how string, retry time.Duration, about string) {
	var failed *Error
	switch {
	case errors.As(o.Err, &failed) && failed.Class == RateLimited:
		return "limited", failed.RetryAfter, refusedFor(failed)
	case failed != nil && failed.Code == "timeout":
		return "slow", 0, ""
	case o.Err == nil && p.limiter.Timeout > 0 && o.Latency > p.limiter.Timeout/slowShare:
		return "slow", 0, ""
	case o.Err == nil:
		return "ok", 0, ""
	}
	return "other", 0, ""
}

// refusedFor reads which limit a 429 speaks of. OpenAI: "… on tokens per min (TPM): Limit …", "… requests per min (RPM)"; Azure:
// "… exceeded token rate limit"; others: "too many concurrent requests".
func refusedFor(e *Error) string {
	said := strings.ToLower(e.Message + " " + e.Code)
	switch {
	case strings.Contains(said, "concurren"), strings.Contains(said, "maximum pending requests"), strings.Contains(said, "in flight"):
		return "concurrency"
	case strings.Contains(said, "tokens per"), strings.Contains(said, "(tpm)"), strings.Contains(said, "token rate limit"):
		return "tokens"
	case strings.Contains(said, "requests per"), strings.Contains(said, "(rpm)"), strings.Contains(said, "call rate limit"):
		return "requests"
	}
	return ""
}
