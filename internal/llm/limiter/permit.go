package limiter

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/llm"
)

// reportTimeout bounds a command that reports something to Redis.
const reportTimeout = 2 * time.Second

// An answer that takes longer than 1/slowDivisor of the timeout counts as slow: the endpoint has
// too much to do.
const slowDivisor = 2

//go:embed done.lua
var doneScript string

//nolint:gochecknoglobals // a constant; its hash is made once
var endCall = redis.NewScript(stateScript + doneScript)

// permit is a call in flight. It implements [llm.Permit].
type permit struct {
	ctx      context.Context // that of Acquire without its cancellation, since Done takes none
	limiter  *Shared
	state    *modelState
	call     llm.Call
	id       string // empty: the call began while no limit was known
	counted  int    // prompt tokens; -1: not counted
	inFlight int    // calls in flight when this one began, itself included
	waited   time.Duration
	sent     time.Time
	once     sync.Once
}

// Waited implements [llm.Permit].
func (p *permit) Waited() time.Duration { return p.waited }

// Done implements [llm.Permit]. It waits for Redis for up to 2 s. If Redis does not answer, the
// call counts as in flight until it is lost.
func (p *permit) Done(o llm.Outcome) {
	p.once.Do(func() {
		defer p.limiter.slots.Release(1)
		took := time.Since(p.sent)
		p.report(o, took)
		if due, latency, tokens := p.state.means.add(o, took, p.call.OutputTokens); due {
			p.limiter.register(p.ctx, p.state, p.call.Model, latency, tokens)
		}
	})
}

// waits reports what the call waits for.
func (p *permit) waits(w llm.Wait) {
	if p.call.Report != nil {
		p.call.Report(w)
	}
}

// report tells Redis how the call ended. While no limit is known, it does so only if this outcome
// shows one.
func (p *permit) report(o llm.Outcome, took time.Duration) {
	l, s := p.limiter, p.state
	how, retry, about := p.effect(o)
	announced := s.windows.limits(o.Header, time.Now())
	maxInFlight, perSecond := 0, 0.0
	if p.id == "" {
		maxInFlight, perSecond = s.end(o, p.inFlight)
		if (how == answered || how == other) && announced == (limitsPerMinute{}) && !s.paced.Load() {
			return
		}
		if !s.paced.Swap(true) {
			l.cfg.Logger.Info("rate limit met, pacing calls from now on", slog.String("endpoint", l.host()),
				slog.String("model", p.call.Model), slog.Int("rpm", announced.requests), slog.Int("tpm", announced.tokens), slog.String("outcome", string(how)))
		}
	}
	// A call that was cancelled is reported too. Otherwise the calls of a process that stops would
	// count as in flight until they are lost.
	ctx, cancel := context.WithTimeout(p.ctx, reportTimeout)
	defer cancel()
	err := endCall.Run(ctx, l.cfg.Redis, s.keys, p.id, string(how), took.Seconds(), p.inFlight, about, retry.Seconds(), rand.Float64(),
		p.counted, o.Usage.In, p.call.OutputTokens, announced.requests, announced.tokens, perSecond, maxInFlight).Err()
	if err != nil {
		l.cfg.Logger.Debug("end of a call not reported, it counts as in flight until it is lost", slog.Any("error", err))
	}
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

// effect is what an outcome means for the limits; see done.lua.
type effect string

const (
	answered effect = "ok"
	limited  effect = "limited" // class RateLimited
	closed   effect = "closed"  // class RateLimited, until a quota resets
	loaded   effect = "loaded"  // a timeout, or class Overloaded: too many calls in flight
	slow     effect = "slow"    // an answer close to the timeout
	other    effect = "other"
)

// effect classifies an outcome. retry is the pause that the endpoint asks for, and about the
// limit that a 429 names.
func (p *permit) effect(o llm.Outcome) (how effect, retry time.Duration, about string) {
	var failed *llm.Error
	timeout := p.limiter.timeout(p.call)
	switch {
	case errors.As(o.Err, &failed) && failed.Class == llm.RateLimited && failed.Quota != "":
		return closed, failed.RetryAfter, ""
	case failed != nil && failed.Class == llm.RateLimited:
		return limited, failed.RetryAfter, limitNamed(failed)
	case p.call.Tier == llm.TierFlex && o.Err != nil: // also for want of capacity
		return other, 0, ""
	case p.call.Tier == llm.TierFlex: // slow by nature
		return answered, 0, ""
	case failed != nil && (failed.Class == llm.Overloaded || failed.Code == "timeout"):
		return loaded, failed.RetryAfter, ""
	case o.Err == nil && timeout > 0 && o.Latency > timeout/slowDivisor:
		return slow, 0, ""
	case o.Err == nil:
		return answered, 0, ""
	}
	return other, 0, ""
}

// limitNamed returns the limit that a 429 names: "requests", "tokens", "concurrency" or "".
// Wordings: OpenAI "… on tokens per min (TPM): Limit …", "… requests per min (RPM)"; Azure
// "… exceeded token rate limit"; others "too many concurrent requests".
func limitNamed(e *llm.Error) string {
	text := strings.ToLower(e.Message + " " + e.Code)
	switch {
	case strings.Contains(text, "concurren"), strings.Contains(text, "maximum pending requests"), strings.Contains(text, "in flight"):
		return "concurrency"
	case strings.Contains(text, "tokens per"), strings.Contains(text, "(tpm)"), strings.Contains(text, "token rate limit"):
		return "tokens"
	case strings.Contains(text, "requests per"), strings.Contains(text, "(rpm)"), strings.Contains(text, "call rate limit"):
		return "requests"
	}
	return ""
}
