package keda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm/limiter"
)

const (
	// headroom is the factor on the mean number of calls in flight, because calls do not come evenly.
	headroom = 1.25
	// assumedLatency and assumedTokens are used until the first calls have been measured.
	assumedLatency = 10 * time.Second
	assumedTokens  = 1000
	// longPause is the longest pause of an endpoint that a call waits for (llm.DefaultCallWait).
	// During a longer one workers return their partitions to the queue.
	longPause = time.Minute
	// probeEvery is how often one worker tries an endpoint that has given no answer for max-wait.
	probeEvery = 10 * time.Minute
	// limitsTimeout bounds the reading of limits and budgets. It is shorter than readTimeout.
	limitsTimeout = time.Second
)

// LimitsConfig configures [Limits]. Ledger and Redis are needed.
type LimitsConfig struct {
	Ledger *ledger.Ledger
	Redis  redis.UniversalClient
	// RPM and TPM are the configured limits in requests and tokens a minute; 0: none. They
	// apply where workers have not published the limits in force, or not for a while.
	RPM, TPM int
	// Unlimited is the name of the model that calls no endpoint.
	Unlimited string
	// DayCapNano is the budget of all runs for a UTC day, in nano-USD; nil: none.
	DayCapNano *int64
	Log        *slog.Logger // nil: nothing is logged
}

// Limits is the [Capacity] that rate limits and budgets leave to the running runs. By Little's
// law (J. D. C. Little, Operations Research 9:3, 1961) the number of calls in flight is the
// rate that the limits allow times the duration of a call: 60 requests a minute at 2 s each
// are two calls, however many documents wait. It is safe for concurrent use.
type Limits struct {
	config LimitsConfig

	mu   sync.Mutex
	last callCapacity
}

// NewLimits returns the limits. It fails without a ledger or a Redis client.
func NewLimits(c LimitsConfig) (*Limits, error) {
	if c.Ledger == nil || c.Redis == nil {
		return nil, errors.New("limits need a ledger and a Redis client")
	}
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Limits{config: c}, nil
}

// callCapacity is the number of calls that can be in flight, and what limits it.
type callCapacity struct {
	calls   float64
	why     string
	limited bool
}

func unlimited() callCapacity { return callCapacity{calls: math.Inf(1)} }

// zeroCapacity is the identity of plus.
func zeroCapacity() callCapacity { return callCapacity{limited: true} }

// min returns the smaller of two capacities.
func (c callCapacity) min(o callCapacity) callCapacity {
	if o.limited && (!c.limited || o.calls < c.calls) {
		return o
	}
	return c
}

// plus returns the capacity of two sources together.
func (c callCapacity) plus(o callCapacity) callCapacity {
	if !c.limited || !o.limited {
		return unlimited()
	}
	c.calls += o.calls
	switch c.why {
	case "", o.why:
		c.why = o.why
	default:
		c.why += " and " + o.why
	}
	return c
}

// Calls implements [Capacity]. While the ledger or the limits cannot be read it repeats its
// last answer.
func (l *Limits) Calls(ctx context.Context) (calls float64, why string, limited bool) {
	ctx, cancel := context.WithTimeout(ctx, limitsTimeout)
	defer cancel()
	now, err := l.read(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.config.Log.Debug("limits of the demand not read, keeping the previous ones", "error", err)
	} else {
		l.last = now
	}
	return l.last.calls, l.last.why, l.last.limited
}

// Down implements [Capacity]. The runs are down if each of their models is. What cannot be read is
// not down.
func (l *Limits) Down(ctx context.Context) (down, probe bool, why string) {
	ctx, cancel := context.WithTimeout(ctx, limitsTimeout)
	defer cancel()
	outages, err := limiter.Outages(ctx, l.config.Redis)
	if err != nil || len(outages) == 0 {
		return false, false, ""
	}
	runs, err := l.config.Ledger.RunningRuns(ctx)
	if err != nil {
		return false, false, ""
	}
	for _, run := range runs {
		i := slices.IndexFunc(outages, func(o limiter.Outage) bool { return o.Model == run.Model })
		if i < 0 {
			return false, false, ""
		}
		o := outages[i]
		down = true
		if probe = probe || o.Ago >= probeEvery; why == "" {
			why = fmt.Sprintf("%s has given no answer since %s (%s): one worker tries every %s", cmp.Or(o.Endpoint, o.Model), o.Since.UTC().Format(time.RFC3339), o.Cause, probeEvery)
		}
	}
	return down, probe, why
}

// read adds up the capacity of the models of all running runs. Each model has the smaller of
// what its limiters and its runs' budgets allow.
func (l *Limits) read(ctx context.Context) (callCapacity, error) {
	runs, err := l.config.Ledger.RunningRuns(ctx)
	if err != nil {
		return callCapacity{}, err
	}
	byBudget := map[string]callCapacity{} // by model
	var models []string
	for _, run := range runs {
		if run.Model == l.config.Unlimited {
			return unlimited(), nil
		}
		budget := unlimited()
		if n, limited, err := report.New(l.config.Ledger).CallsLeft(ctx, run.ID, l.config.DayCapNano); err != nil {
			return callCapacity{}, err
		} else if limited {
			budget = callCapacity{n, "the budget", true}
		}
		known, ok := byBudget[run.Model]
		if !ok {
			known, models = zeroCapacity(), append(models, run.Model)
		}
		byBudget[run.Model] = known.plus(budget)
	}
	if len(models) == 0 {
		return unlimited(), nil
	}
	limiters, err := limiter.List(ctx, l.config.Redis)
	if err != nil {
		return callCapacity{}, err
	}
	all := zeroCapacity()
	for _, model := range models {
		all = all.plus(l.ofModel(model, limiters).min(byBudget[model]))
	}
	return all, nil
}

// ofModel adds up the capacity of a model's limiters. The configured limits apply where a
// limiter has none, and where the model has no limiter.
func (l *Limits) ofModel(model string, limiters []limiter.State) callCapacity {
	known := slices.DeleteFunc(slices.Clone(limiters), func(s limiter.State) bool { return s.Model != model })
	if len(known) == 0 {
		known = []limiter.State{{Model: model}}
	}
	all := zeroCapacity()
	for _, s := range known {
		s.RPM, s.TPM = cmp.Or(s.RPM, float64(l.config.RPM)), cmp.Or(s.TPM, float64(l.config.TPM))
		all = all.plus(ofLimiter(s, time.Now()))
	}
	return all
}

func ofLimiter(l limiter.State, now time.Time) callCapacity {
	if l.PausedUntil.Sub(now) > longPause {
		return callCapacity{0, fmt.Sprintf("the pause of %s until %s", l.Model, l.PausedUntil.UTC().Format(time.RFC3339)), true}
	}
	latency, tokens := l.Latency, l.Tokens
	if latency <= 0 {
		latency = assumedLatency
	}
	if tokens <= 0 {
		tokens = assumedTokens
	}
	callsAt := func(perMinute float64) float64 { return perMinute / 60 * latency.Seconds() * headroom }
	c := unlimited()
	if l.RPM > 0 {
		c = c.min(callCapacity{callsAt(l.RPM), fmt.Sprintf("%s: %.0f requests a minute", l.Model, l.RPM), true})
	}
	if l.TPM > 0 {
		c = c.min(callCapacity{callsAt(l.TPM / tokens), fmt.Sprintf("%s: %.0f tokens a minute", l.Model, l.TPM), true})
	}
	if l.Window > 0 {
		c = c.min(callCapacity{float64(l.Window), fmt.Sprintf("%s: %d calls at once", l.Model, l.Window), true})
	}
	return c
}
