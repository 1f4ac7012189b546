package llm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gistmill/gistmill/internal/llm/providererror"
	"github.com/gistmill/gistmill/internal/llm/traits"
)

// A Client calls one endpoint. It is safe for concurrent use.
type Client struct {
	cfg     Config
	http    *http.Client
	base    *url.URL
	limiter Limiter
	breaker *breaker
	// shortages are those of the flex tier.
	shortages shortages
	load      load
	warned    warnings
	windows   windows
	answered  atomic.Bool  // the endpoint has answered a call
	strange   atomic.Int64 // answers in a row that were no chat completions
}

// New returns a client. It makes no call. The error names everything that is wrong with cfg.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	base, err := parseBaseURL(cfg.BaseURL, cfg.APIVersion != "")
	if err := errors.Join(err, cfg.validate()); err != nil {
		return nil, err
	}
	c := &Client{
		cfg:     cfg,
		http:    cfg.HTTPClient,
		base:    base,
		limiter: cfg.Limiter,
		breaker: newBreaker(base.Host, cfg.Logger),

		shortages: shortages{log: cfg.Logger.With(slog.String("endpoint", base.Host))},
	}
	c.breaker.fallback = cfg.FailWhenDown
	if c.http == nil {
		if c.http, err = newHTTPClient(cfg); err != nil {
			return nil, err
		}
	}
	if c.limiter == nil {
		c.limiter = unlimited{}
	}
	return c, nil
}

// Close closes idle connections. Calls in flight are not affected.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Host returns the host of the base URL, with the port if it has one.
func (c *Client) Host() string { return c.base.Host }

// Down returns the error of class Unavailable that a call would get now because the endpoint is
// down, else nil. It does not wait.
func (c *Client) Down() error { return c.breaker.down() }

// Complete sends a request and returns the model's answer. An answer that was cut at the output
// limit is no error; its FinishReason is [FinishLength].
//
// After a 429 it waits, as all calls of the limiter do, and sends the request again. If its waits
// would exceed Config.CallWait in total, it returns class RateLimited with the remaining time. A
// client without a limiter returns that at once. Complete retries nothing else. It rewrites a
// request if the endpoint refuses how it is written (structured output, the name of the output
// cap, temperature, reasoning effort) and remembers the result.
//
// A call at [TierFlex] for which the endpoint has no capacity waits and is sent again, also within
// CallWait. Then it ends with class Capacity. With Request.FlexFallback it is sent at the standard
// tier instead.
//
// While the circuit breaker is open, no call is made. Complete waits for the endpoint, also
// within CallWait, or returns class Unavailable with code circuit_open.
//
// Every failure is an *Error, except that of ctx: when ctx ends, its error is returned, as a
// *[WaitError] if no request was in flight. [Waits] may give waits a context of their own.
func (c *Client) Complete(ctx context.Context, r Request) (Response, error) {
	resp, err := c.complete(ctx, r)
	var failed *Error
	if errors.As(err, &failed) {
		failed.Endpoint = c.Host()
	}
	return resp, err
}

func (c *Client) complete(ctx context.Context, r Request) (Response, error) {
	var (
		sent     bool
		waits    = r.Waits.withDefaults(ctx)
		waited   time.Duration
		rewrites int
		refused  *Error // the last 429
		flex     flexTurn
		known    = c.known(r.Model)
		tried    []string // parts that this call left out
		d        = c.dialect(r)
	)
	if !r.prepared {
		r = r.withKnown(known)
	}
	r.Waits = waits
	for {
		if r.Tier == TierFlex {
			took, err := c.awaitCapacity(waits.Context, &r, &flex, c.cfg.CallWait-waited)
			if waited += took; err != nil {
				return Response{}, endedWait(err, refused, sent)
			}
		}
		patience := c.cfg.CallWait - waited
		if c.cfg.FailWhenDown {
			patience = 0
		}
		pass, err := c.breaker.enter(waits.Context, patience, waits.Report)
		if err != nil {
			return Response{}, endedWait(err, refused, sent)
		}
		waited += pass.waited
		permit, err := c.limiter.Acquire(waits.Context, Call{
			Model:        r.Model,
			Tier:         r.Tier,
			Timeout:      c.timeout(r.Tier),
			InputTokens:  func() int { return CountRequest(r) },
			OutputTokens: r.OutputCap(),
			CallWait:     c.cfg.CallWait - waited,
			Report: func(w Wait) {
				w.Endpoint, w.Cause = c.Host(), c.cause()
				waits.Report(&w)
			},
		})
		if err != nil {
			waits.Report(nil)
			pass.abandoned()
			return Response{}, endedWait(err, refused, sent)
		}
		if permit.Waited() > 0 {
			waits.Report(nil)
		}
		waited += permit.Waited()

		began := time.Now()
		resp, said, err := c.call(ctx, r, d, permit, pass.stretch)
		var failed *Error
		if err != nil && !errors.As(err, &failed) {
			pass.abandoned()
			return Response{}, err
		}
		sent = sent || failed == nil || !failed.NotSent
		if failed != nil {
			failed.NotSent = !sent // an earlier request of the call may have been sent
		}
		var refusal refusal
		if failed != nil && failed.mayBeForm() && rewrites < maxRewrites {
			refusal = d.refused(r, said)
		}
		silent := c.noAnswer(failed)
		switch {
		case failed == nil || failed.Status != 0 && !failed.outage() || refusal.isForm():
			pass.answered()
		case failed.outage():
			held := pass.failed(r.Name(), failed)
			if silent != nil {
				return Response{}, silent
			}
			return Response{}, held
		default:
			pass.abandoned() // not sent
		}
		switch {
		case err == nil:
			if r.Tier == TierFlex {
				c.shortages.answered(r.Model)
			}
			known.Confirm(ctx, tried)
			c.learnThought(ctx, known, r, &resp)
			return resp, nil
		case silent != nil:
			return Response{}, silent
		case failed.Class == Capacity:
			c.shortages.refused(r.Model, &flex, began, failed)
		case failed.Class == RateLimited && c.cfg.Limiter != nil && (failed.Quota == "" || !c.cfg.FailWhenDown):
			refused = failed
			known.OpenGate()
		case refusal.advice != "":
			known.Withdraw(tried)
			failed.Class, failed.Message = Halted, refusal.advice+": "+said.Message
			return Response{}, failed
		case refusal.isForm():
			rewrites++
			if refusal.most > 0 {
				r.MostOutput = refusal.most
				known.Learn(ctx, traits.Traits{MostOutput: refusal.most})
			}
			if refusal.part != "" && c.dialect(r) == d { // else another call has learned it
				known.Try(refusal.part)
				tried = append(tried, refusal.part)
			}
			next := c.dialect(r)
			if next == d && refusal.most == 0 {
				known.Withdraw(tried)
				return Response{}, failed.inVain(tried, said)
			}
			d = next
			c.cfg.Logger.Info("endpoint refused how a request was written, rewriting requests from now on",
				slog.String("endpoint", c.Host()), slog.String("model", r.Model), slog.String("code", failed.Code),
				slog.String("refused", refusal.part), slog.Int("most_output_tokens", refusal.most))
		default:
			if failed.mayBeForm() {
				known.Withdraw(tried)
				failed = failed.inVain(tried, said)
			}
			return Response{}, failed
		}
	}
}

// endedWait returns the error of a call whose wait ended with err. If the endpoint sent a 429 and
// the limiter does not let the call wait, it is that 429 with the limiter's wait. sent says
// whether a request of the call was sent before.
func endedWait(err error, refused *Error, sent bool) error {
	var early *Error
	if !errors.As(err, &early) {
		return &WaitError{Sent: sent, err: err}
	}
	out := *early
	if refused != nil && early.Class == RateLimited {
		out = *refused
		out.RetryAfter = max(early.RetryAfter, 0)
	}
	out.NotSent = !sent
	return &out
}

// call makes one HTTP call and ends the permit. said is the endpoint's own error, if it sent one.
func (c *Client) call(ctx context.Context, r Request, d dialect, permit Permit, stretch int) (resp Response, said providererror.Error, err error) {
	ex := &exchange{}
	sent, together := time.Now(), c.load.begin()
	defer c.load.end()
	timeout := c.timeout(r.Tier) << stretch
	ctx, ended := c.observe(ctx, r, permit.Waited())
	defer func() {
		ended(resp, err)
		usage := resp.Usage
		var failed *Error
		if errors.As(err, &failed) {
			usage = failed.Usage
		}
		permit.Done(Outcome{Err: err, Usage: usage, Header: ex.header, Latency: time.Since(sent)})
	}()

	form := d.body(r)
	if !d.noServiceTier || r.Tier == TierFlex {
		form.ServiceTier = c.serviceTier(r.Tier)
	}
	body, err := form.encode()
	if err != nil {
		return Response{}, said, err
	}
	key, err := c.cfg.Keys.Key(ctx)
	if err != nil {
		return Response{}, said, keyError(ctx, err)
	}
	ex = c.exchange(ctx, r.Model, key, body, timeout)
	if ex.refusesKey() && c.cfg.Keys.Refused(ctx, key) {
		if key, err = c.cfg.Keys.Key(ctx); err != nil {
			return Response{}, said, keyError(ctx, err)
		}
		ex = c.exchange(ctx, r.Model, key, body, timeout)
	}
	cl := c.classifier(key, r)
	cl.timeout = timeout
	switch {
	case ex.answer.Answered:
		c.answered.Store(true)
		c.load.succeeded(r.Model, usageOf(ex.answer.Usage))
		resp, err = c.answer(ctx, r, ex, cl)
		var failed *Error
		if err == nil {
			resp.Tier = billedTier(ex)
			ex.addReportedCost(&resp.Usage)
		} else if errors.As(err, &failed) {
			failed.Tier = billedTier(ex)
			ex.addReportedCost(&failed.Usage)
		}
		return resp, said, err
	case ctx.Err() != nil:
		if ex.unsent {
			return Response{}, said, &WaitError{err: ctx.Err()}
		}
		return Response{}, said, ctx.Err() // given up by the caller: not a failure of the endpoint
	}
	failed := c.judge(r, ex, c.unanswered(ex, cl), sent, together())
	if failed.Code == "no_json" {
		c.strange.Add(1)
	} else {
		c.strange.Store(0)
	}
	said = providererror.Parse(ex.status, ex.body)
	said.Message = cl.scrub.clean(said.Message) // a quoted prompt names no parameter
	return Response{}, said, failed
}

// classifier returns what turns the failure of a request with a key into an error.
func (c *Client) classifier(key string, r Request) classifier {
	return classifier{
		scrub:    scrubber{secrets: c.secrets(key), prompt: r.Messages},
		keySent:  key != "",
		keyName:  c.cfg.KeyName,
		base:     c.base,
		azure:    c.cfg.APIVersion != "",
		model:    r.Model,
		tier:     r.Tier,
		timeout:  c.timeout(r.Tier),
		now:      time.Now(),
		sent:     func() int { return CountRequest(r) },
		output:   r.OutputCap(),
		answered: c.answered.Load(),
		strange:  int(c.strange.Load()),
	}
}

// timeout returns how long a call at a tier may take.
func (c *Client) timeout(t Tier) time.Duration {
	if t == TierFlex {
		return c.cfg.FlexTimeout
	}
	return c.cfg.Timeout
}

// String returns the URL of the endpoint, without user, password and key.
func (c *Client) String() string { return fmt.Sprintf("llm.Client(%s)", displayURL(c.base)) }
