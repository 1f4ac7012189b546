package keda

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm/limiter"
)

const (
	// headroom is how many more calls are allowed for than the mean says, since calls do not come evenly.
	headroom = 1.25
	// assumedLatency and assumedTokens hold until the first answers tell.
	assumedLatency = 10 * time.Second
	assumedTokens  = 1000
	// pauseMatters is the pause of an endpoint from which on workers can't wait for its end; they hand their partitions back.
	pauseMatters = time.Minute
	// feedWithin bounds the look at limits and budgets; the demand is bounded by more.
	feedWithin = time.Second
)

// LimitsFeed tells from rate limits and budgets how many calls can be kept in flight. By Little's law (J. D. C. Little, Operations
// Research 9:3, 1961) that is the rate the limits allow times the time that a call takes: 60 requests a minute at 2 s a call are
// two calls, however many documents wait. It is safe for concurrent use.
type LimitsFeed struct {
	Ledger *ledger.Ledger
	Redis  redis.UniversalClient
	// RPM and TPM are the limits that are set, 0 where none is: they hold where workers have not said what is in force, or not for
	// a while.
	RPM, TPM int
	// Unlimited is the model that is asked without an endpoint.
	Unlimited string
	// DayCapNano caps a day's spending of all runs, in nano-USD; nil: none.
	DayCapNano *int64
	Log        *slog.Logger

	mu   sync.Mutex
	last supply
}

// supply is how many calls can be kept in flight, and what keeps them from being more.
type supply struct {
	calls   float64
	why     string
	limited bool
}

func unlimited() supply { return supply{calls: math.Inf(1)} }

// none is what others are added to.
func none() supply { return supply{limited: true} }

// least of two.
func (s supply) least(o supply) supply {
	if o.limited && (!s.limited || o.calls < s.calls) {
		return o
	}
	return s
}

// and adds another source of calls.
func (s supply) and(o supply) supply {
	if !s.limited || !o.limited {
		return unlimited()
	}
	s.calls += o.calls
	switch s.why {
	case "", o.why:
		s.why = o.why
	default:
		s.why += " and " + o.why
	}
	return s
}

// Calls is Feed. While ledger or limits can't be read it repeats the last answer.
func (f *LimitsFeed) Calls(ctx context.Context) (calls float64, why string, limited bool) {
	ctx, cancel := context.WithTimeout(ctx, feedWithin)
	defer cancel()
	now, err := f.look(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.Log.Debug("what limits the demand can't be read; the last answer holds", "error", err)
	} else {
		f.last = now
	}
	return f.last.calls, f.last.why, f.last.limited
}

// look sums up over the models in work.
func (f *LimitsFeed) look(ctx context.Context) (supply, error) {
	runs, err := f.Ledger.RunningRuns(ctx)
	if err != nil {
		return supply{}, err
	}
	byModel := map[string]supply{} // what budgets feed
	var models []string
	for _, run := range runs {
		if run.Model == f.Unlimited {
			return unlimited(), nil
		}
		budget := unlimited()
		if n, limited, err := f.Ledger.CallsLeft(ctx, run.ID, f.DayCapNano); err != nil {
			return supply{}, err
		} else if limited {
			budget = supply{n, "the budget", true}
		}
		known, ok := byModel[run.Model]
		if !ok {
			known, models = none(), append(models, run.Model)
		}
		byModel[run.Model] = known.and(budget)
	}
	if len(models) == 0 {
		return unlimited(), nil
	}
	limiters, err := limiter.List(ctx, f.Redis)
	if err != nil {
		return supply{}, err
	}
	all := none()
	for _, model := range models {
		all = all.and(f.ofModel(model, limiters).least(byModel[model]))
	}
	return all, nil
}

// ofModel is what the limiters of a model let through together; before any is known, what the limits that are set do.
func (f *LimitsFeed) ofModel(model string, limiters []limiter.State) supply {
	known := slices.DeleteFunc(slices.Clone(limiters), func(l limiter.State) bool { return l.Model != model })
	if len(known) == 0 {
		known = []limiter.State{{Model: model}}
	}
	all := none()
	for _, l := range known {
		l.RPM, l.TPM = cmp.Or(l.RPM, float64(f.RPM)), cmp.Or(l.TPM, float64(f.TPM))
		all = all.and(ofLimiter(l, time.Now()))
	}
	return all
}

func ofLimiter(l limiter.State, now time.Time) supply {
	if l.PausedUntil.Sub(now) > pauseMatters {
		return supply{0, fmt.Sprintf("the pause of %s until %s", l.Model, l.PausedUntil.UTC().Format(time.RFC3339)), true}
	}
	latency, tokens := l.Latency, l.Tokens
	if latency <= 0 {
		latency = assumedLatency
	}
	if tokens <= 0 {
		tokens = assumedTokens
	}
	inFlight := func(perMinute float64) float64 { return perMinute / 60 * latency.Seconds() * headroom }
	s := unlimited()
	if l.RPM > 0 {
		s = s.least(supply{inFlight(l.RPM), fmt.Sprintf("%s: %.0f requests a minute", l.Model, l.RPM), true})
	}
	if l.TPM > 0 {
		s = s.least(supply{inFlight(l.TPM / tokens), fmt.Sprintf("%s: %.0f tokens a minute", l.Model, l.TPM), true})
	}
	if l.Window > 0 {
		s = s.least(supply{float64(l.Window), fmt.Sprintf("%s: %d calls at once", l.Model, l.Window), true})
	}
	return s
}
