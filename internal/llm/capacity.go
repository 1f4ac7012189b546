package llm

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// capacityDelay is the wait after the first refusal for want of capacity. It doubles with each
	// refusal that follows without an answer, up to capacityDelayCap, and has equal jitter.
	capacityDelay    = 500 * time.Millisecond
	capacityDelayCap = time.Minute
	// flexPatience is how long the tier may refuse calls before Request.FlexFallback applies.
	flexPatience = 15 * time.Second
)

// shortages are the models for which the endpoint has no flex capacity. They are shared by all
// calls of a client.
type shortages struct {
	log *slog.Logger

	mu     sync.Mutex
	models map[string]*shortage
}

// shortage is a want of flex capacity for a model: refusals without an answer between them. A
// single refusal delays the refused call alone, because endpoints refuse some calls and accept
// others at the same time. From the second one on it delays all flex calls.
type shortage struct {
	since    time.Time // first of the refusals
	refusals int
	changed  time.Time // last of the refusals that were counted
	until    time.Time // no flex call starts before
}

// flexTurn is what one call has met at the flex tier.
type flexTurn struct {
	since   time.Time // first refusal; zero: none
	next    time.Time // earliest next request
	refused *Error    // the last refusal
}

// refused notes a refusal of a request that was sent at a time, and when to send it again.
func (s *shortages) refused(model string, turn *flexTurn, sent time.Time, e *Error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.models[model]
	if m == nil {
		m = &shortage{since: now}
		if s.models == nil {
			s.models = map[string]*shortage{}
		}
		s.models[model] = m
	}
	if m.refusals == 0 || sent.After(m.changed) { // others of the same moment say nothing new
		m.refusals++
		m.changed = now
		if m.refusals == 2 {
			s.log.Info("the endpoint has no capacity for the flex tier, flex calls wait", slog.String("model", model), slog.String("error", e.Error()))
		}
	}
	delay := min(capacityDelay<<min(m.refusals-1, 10), capacityDelayCap)
	delay = max(delay/2+rand.N(delay/2), e.RetryAfter)
	turn.next, turn.refused = now.Add(delay), e
	if turn.since.IsZero() {
		turn.since = now
	}
	if m.refusals > 1 && turn.next.After(m.until) {
		m.until = turn.next
	}
}

// answered ends a shortage: the endpoint took a flex call.
func (s *shortages) answered(model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.models[model]; m != nil && m.refusals > 1 {
		s.log.Info("the endpoint takes flex calls again", slog.String("model", model))
	}
	delete(s.models, model)
}

// state returns since when the tier refuses calls, and when a call may start. Both are zero without
// a shortage.
func (s *shortages) state(model string, turn *flexTurn) (since, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, until = turn.since, turn.next
	if m := s.models[model]; m != nil {
		if since.IsZero() || m.since.Before(since) {
			since = m.since
		}
		if m.until.After(until) {
			until = m.until
		}
	}
	return since, until
}

// awaitCapacity waits until a flex call may start, and returns how long that took. With
// FlexFallback it may make the call a standard one instead. If the wait would take longer than
// limit, it returns class Capacity.
func (c *Client) awaitCapacity(ctx context.Context, r *Request, turn *flexTurn, limit time.Duration) (time.Duration, error) {
	begun := time.Now()
	reported := false
	defer func() {
		if reported {
			r.Waits.Report(nil)
		}
	}()
	for {
		since, until := c.shortages.state(r.Model, turn)
		now := time.Now()
		waited, left := now.Sub(begun), until.Sub(now)
		if left <= 0 {
			return waited, nil
		}
		if r.FlexFallback {
			patience := since.Add(flexPatience).Sub(now)
			if patience <= 0 {
				r.Tier = TierStandard
				return waited, nil
			}
			left = min(left, patience)
		}
		if left > limit-waited {
			out := Error{Class: Capacity, Code: "no_capacity", Message: noCapacity}
			if turn.refused != nil {
				out = *turn.refused
			}
			out.RetryAfter, out.Since = left, since
			return waited, &out
		}
		cause := ""
		if turn.refused != nil {
			cause = turn.refused.Error()
		}
		r.Waits.Report(&Wait{Kind: WaitCapacity, Endpoint: c.Host(), Since: since, Until: now.Add(left), Cause: cause})
		reported = true
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return time.Since(begun), ctx.Err()
		case <-timer.C:
		}
	}
}
