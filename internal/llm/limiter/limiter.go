// Package limiter paces the calls of all processes to one endpoint. It is the [llm.Limiter]
// that gistmill uses.
//
// It owns the limiter's state in Redis, the scripts that change it, and the list of limiters that
// other processes read. It makes no calls itself, and it classifies no answers (internal/llm).
//
// # Method
//
// Two token buckets, one of requests and one of tokens, are served by ticket: a call takes the
// next place in both and starts when both have served its place. A limit comes from one of three
// sources:
//
//   - set: [Config] names it;
//   - announced: the headers of the endpoint's answers name it;
//   - learned: the endpoint refuses calls with a 429, or answers slowly.
//
// Known limits are used up to 99 %. Learned rates follow CUBIC (RFC 9438) around an estimate:
// what was admitted between two refusals. Learned concurrency follows additive increase and
// multiplicative decrease (D.-M. Chiu and R. Jain, "Analysis of the increase and decrease
// algorithms for congestion avoidance in computer networks", 1989). A Retry-After pauses all
// processes at once. While no limit is known, calls do not wait and count no tokens. The process
// then uses Redis only to look for a limit that another process met (once per second), and to
// register the limiter (every 10 s).
package limiter

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"github.com/gistmill/gistmill/internal/llm"
)

// Config describes the limiter of one endpoint and key.
type Config struct {
	// Redis holds the state. A process that runs alone can use the embedded server.
	Redis redis.UniversalClient
	// Endpoint and Key identify the limiter, together with the model of each call. Only a hash of
	// the key leaves the process.
	Endpoint, Key string
	// RPM and TPM are requests and tokens per minute; 0 means unknown. If processes set different
	// limits, the smallest one applies.
	RPM, TPM int
	// MaxInFlight bounds the calls of this process. Values below 1 mean 1.
	MaxInFlight int
	// Timeout of a call that has none of its own ([llm.Call]). A call that is in flight for its
	// timeout and 5 s more counts as lost.
	Timeout time.Duration
	// Logger gets the limiter's messages; nil discards them.
	Logger *slog.Logger
}

// Shared is the limiter of one endpoint and key. It keeps one state for each model, shared by all
// processes on the same Redis. It is safe for concurrent use.
type Shared struct {
	cfg   Config
	slots *semaphore.Weighted // MaxInFlight

	mu     sync.Mutex
	models map[string]*modelState
}

// modelState is what this process knows about the limiter of one model.
type modelState struct {
	name  string   // part of the Redis keys
	keys  []string // see stateKeys
	ended chan struct{}
	means means
	paced atomic.Bool // a limit is known: each call asks Redis

	windows windows // of announced limits

	mu      sync.Mutex
	checked time.Time // last look for a limit that another process met
	// While no limit is known:
	inFlight    int       // calls in flight
	maxInFlight int       // the most calls in flight when an answered call began
	answered    int       // answered calls since the time below
	since       time.Time // when counting began
}

const (
	// checkEvery is how often a process that knows no limit checks whether another one met a
	// limit.
	checkEvery = time.Second
	// maxPoll is the longest time between two requests of a waiting call: rates change.
	maxPoll = 2 * time.Second
	// lostGrace is added to the timeout. A call that is in flight for longer counts as lost.
	lostGrace = 5 * time.Second
	// unreachableDelay is the delay between two tries to reach Redis.
	unreachableDelay = 500 * time.Millisecond
)

//go:embed state.lua
var stateScript string

//go:embed acquire.lua
var acquireScript string

//nolint:gochecknoglobals // a constant; its hash is made once
var acquireCall = redis.NewScript(stateScript + acquireScript)

// New returns a limiter. It sends nothing to Redis.
func New(cfg Config) *Shared {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Shared{cfg: cfg, slots: semaphore.NewWeighted(int64(max(1, cfg.MaxInFlight))), models: map[string]*modelState{}}
}

// host names the endpoint to people: its URL may hold a password.
func (l *Shared) host() string {
	u, err := url.Parse(l.cfg.Endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

// state returns the state of a model.
func (l *Shared) state(model string) *modelState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.models[model]
	if !ok {
		key := sha256.Sum256([]byte(l.cfg.Key))
		sum := sha256.Sum256([]byte(l.cfg.Endpoint + "\x00" + hex.EncodeToString(key[:]) + "\x00" + model))
		name := hex.EncodeToString(sum[:12])
		s = &modelState{name: name, keys: stateKeys(name), ended: make(chan struct{}, 1), since: time.Now()}
		s.paced.Store(l.cfg.RPM > 0 || l.cfg.TPM > 0)
		l.models[model] = s
	}
	return s
}

// Acquire implements [llm.Limiter]. Besides class RateLimited it returns an [llm.Error] of class
// ContextLength for a call that takes more tokens than the limit of a minute. While Redis cannot
// be reached it retries within CallWait, and then returns RateLimited with code
// limiter_unreachable.
func (l *Shared) Acquire(ctx context.Context, call llm.Call) (llm.Permit, error) {
	if err := l.slots.Acquire(ctx, 1); err != nil {
		return nil, ctx.Err()
	}
	s := l.state(call.Model)
	p := &permit{ctx: context.WithoutCancel(ctx), limiter: l, state: s, call: call, counted: -1}
	var err error
	if s.paced.Load() || l.limitMetElsewhere(ctx, s) {
		err = l.wait(ctx, p)
	} else {
		p.inFlight = s.begin()
	}
	if err != nil {
		l.slots.Release(1)
		return nil, err
	}
	p.sent = time.Now()
	return p, nil
}

// limitMetElsewhere reports whether another process met a limit. At most one caller per
// checkEvery asks Redis.
func (l *Shared) limitMetElsewhere(ctx context.Context, s *modelState) bool {
	s.mu.Lock()
	if time.Since(s.checked) < checkEvery {
		s.mu.Unlock()
		return false
	}
	s.checked = time.Now()
	s.mu.Unlock()
	n, err := l.cfg.Redis.Exists(ctx, s.keys[0]).Result()
	if err == nil && n > 0 {
		s.paced.Store(true)
	}
	return s.paced.Load()
}

// begin counts a call that starts while no limit is known. It returns the calls in flight.
func (s *modelState) begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	return s.inFlight
}

// end counts the end of such a call. inFlight is what begin returned. The results are the most
// calls in flight that the endpoint answered, and the answered calls per second (0: not yet
// known).
func (s *modelState) end(o llm.Outcome, inFlight int) (maxInFlight int, perSecond float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if o.Err == nil {
		s.answered++
		s.maxInFlight = max(s.maxInFlight, inFlight)
	}
	// A rate over less than this is noise.
	if elapsed := time.Since(s.since).Seconds(); elapsed >= 0.2 {
		perSecond = float64(s.answered) / elapsed
	}
	return s.maxInFlight, perSecond
}

// ticket is a call's place in the queue; see acquire.lua.
type ticket struct{ generation, request, token string }

// wait returns when the call may start.
func (l *Shared) wait(ctx context.Context, p *permit) error {
	begun := time.Now()
	place := ticket{"0", "-1", "-1"}
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	p.id = hex.EncodeToString(id[:])
	for {
		left := p.call.CallWait - time.Since(begun)
		reply, err := acquireCall.Run(ctx, l.cfg.Redis, p.state.keys, p.id, place.generation, place.request, place.token,
			p.counted, p.call.OutputTokens, left.Seconds(), (l.timeout(p.call) + lostGrace).Seconds(), l.cfg.RPM, l.cfg.TPM).StringSlice()
		var delay time.Duration
		var wake <-chan struct{} // set if the end of another call lets this one start
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			delay = unreachableDelay
			l.cfg.Logger.Debug("limiter's Redis unreachable, retrying", slog.Any("error", err))
			p.waits(llm.Wait{Kind: llm.WaitRedis})
			if left < delay {
				return &llm.Error{Class: llm.RateLimited, Code: "limiter_unreachable",
					Message: "the rate limiter's Redis does not answer", RetryAfter: 5 * time.Second}
			}
		case reply[0] == "go":
			p.waited = time.Since(begun)
			p.inFlight, err = strconv.Atoi(reply[1])
			return err
		case reply[0] == "count":
			p.counted = p.call.InputTokens()
			continue
		case reply[0] == "large":
			return &llm.Error{Class: llm.ContextLength, Code: "exceeds_limit",
				Message: fmt.Sprintf("the request takes %s tokens, more than the limit of %s per minute", whole(reply[1]), whole(reply[2]))}
		default:
			if delay, err = seconds(reply[1]); err != nil {
				return fmt.Errorf("limiter: %w", err)
			}
			if reply[0] == "later" || delay > left {
				return &llm.Error{Class: llm.RateLimited, Code: "paced",
					Message: "the endpoint's rate limit is used up", RetryAfter: max(delay, time.Millisecond)}
			}
			p.waits(llm.Wait{Kind: llm.WaitRateLimit, Until: time.Now().Add(delay)})
			place = ticket{reply[2], reply[3], reply[4]}
			if reply[0] == "room" {
				wake = p.state.ended
			}
		}
		if err := sleep(ctx, min(delay, maxPoll), wake); err != nil {
			return err
		}
	}
}

// timeout returns how long a call may take.
func (l *Shared) timeout(c llm.Call) time.Duration { return cmp.Or(c.Timeout, l.cfg.Timeout) }

// sleep waits for d, or until wake has a value.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func seconds(text string) (time.Duration, error) {
	s, err := strconv.ParseFloat(text, 64)
	return time.Duration(s * float64(time.Second)), err
}

// whole rounds a number for a message.
func whole(text string) string {
	s, _ := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(s, 'f', 0, 64)
}
