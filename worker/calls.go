package worker

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// recordedCalls makes the calls of one document: it is the [summarize.Completer] of that document. It records each call in the
// ledger before the call is made and after it has ended, gives answers that the ledger already has, and adds up what the
// document costs. Each endpoint's call is reserved and paid at the price of the model that the endpoint is asked for.
type recordedCalls struct {
	worker *Worker
	job    *job
	claim  ledger.Claimed
	cost   documentCost
}

// Complete implements [summarize.Completer]. It is safe for concurrent use.
func (c *recordedCalls) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	slot, err := c.worker.callSlots.reserve(ctx)
	if err != nil {
		return llm.Response{}, err
	}
	defer slot.release()
	if c.job.stopped.Load() {
		return llm.Response{}, errStopped
	}
	response, err := c.worker.fallback.Complete(func(endpoint llm.Endpoint) (llm.Response, error) {
		return c.ask(ctx, slot, endpoint, r)
	})
	var failed *llm.Error
	if errors.As(err, &failed) && failed.Class == llm.Halted {
		c.job.stopped.Store(true) // before the slot goes to another call, which would end the same way
	}
	return response, err
}

// ask makes one call to one endpoint. The name of the answer is that of the request as it comes, whichever model is asked.
func (c *recordedCalls) ask(ctx context.Context, slot *slot, endpoint llm.Endpoint, r llm.Request) (llm.Response, error) {
	w := c.worker
	name := r.Name()
	r.Model = cmp.Or(endpoint.Model, r.Model)
	in, out := c.bound(r)
	intent := ledger.Intent{
		Run: c.job.run.ID, Document: c.claim.Document, Worker: w.id, Name: name, Model: r.Model, Token: 1 + rand.Int64N(math.MaxInt64),
		ReservedTokens: int64(in + out), ReservedNano: nano(w.Prices.WorstCost(r.Model, in, out)), DayCapNano: w.DayCapNano,
		Since: c.job.run.ForcedAt,
	}
	call, known, err := c.begin(ctx, intent)
	if err != nil {
		return llm.Response{}, err
	}
	if known != nil {
		c.cost.add(known.CostNano)
		return llm.Response{
			Content: known.Content, FinishReason: known.FinishReason, Model: known.Model, Endpoint: known.Endpoint,
			Usage: llm.Usage{In: int(known.TokensIn), CachedIn: int(known.TokensCached), Out: int(known.TokensOut)},
		}, nil
	}
	err = slot.acquire(ctx)
	if err == nil && (c.job.stopped.Load() || w.noRoom.Load()) { // noRoom: its answer could not be stored
		err = errStopped
	}
	if err != nil {
		c.end(ctx, func(ctx context.Context) error { return w.Ledger.DropCall(ctx, call, intent) })
		return llm.Response{}, err
	}
	response, err := endpoint.Client.Complete(ctx, r)
	if err != nil {
		used := c.usedBy(r, intent, err)
		c.cost.add(used.CostNano)
		w.tally.call(llm.ClassOf(err), used)
		c.end(ctx, func(ctx context.Context) error {
			return w.Ledger.FailCall(ctx, call, intent, ledger.Class(llm.ClassOf(err)), used)
		})
		return llm.Response{}, err
	}
	slot.release()
	w.refusals.Store(0)
	if response.Usage == (llm.Usage{}) { // some endpoints report none, and the books must not say it was free
		response.Usage = llm.Usage{In: llm.CountRequest(r), Out: llm.TokenizerFor(r.Model).Count(response.Content)}
	}
	answer := ledger.Answer{
		Content: response.Content, FinishReason: response.FinishReason, Model: response.Model, Endpoint: response.Endpoint,
		TokensIn: int64(response.Usage.In), TokensCached: int64(response.Usage.CachedIn), TokensOut: int64(response.Usage.Out),
		CostNano: nano(w.Prices.Cost(r.Model, response.Usage)),
	}
	c.cost.add(answer.CostNano)
	w.tally.call(llm.ClassOK, answer)
	c.end(ctx, func(ctx context.Context) error { return w.Ledger.EndCall(ctx, call, intent, answer) })
	return response, nil
}

// bound is what a call can come to at the most, in tokens. Without a cap nobody waits for it: it is then only what is booked
// when the worker dies, and an estimate does.
func (c *recordedCalls) bound(r llm.Request) (in, out int) {
	out = cmp.Or(r.OutputCap(), c.worker.Prices.MaxOutput(r.Model))
	if c.job.capped.Load() || c.worker.DayCapNano != nil {
		return llm.BoundPrompt(r), out
	}
	in = llm.EstimateTokens(string(r.Schema))
	for _, message := range r.Messages {
		in += llm.EstimateTokens(message.Content) + 8
	}
	return in, out
}

// begin records the intent, and waits while the ledger is away: a call that could not be stored is not made.
func (c *recordedCalls) begin(ctx context.Context, in ledger.Intent) (call ledger.CallID, known *ledger.Answer, err error) {
	err = c.worker.persist(ctx, "begin a call", func() error {
		call, known, err = c.worker.Ledger.BeginCall(ctx, in)
		return err
	})
	return call, known, err
}

// end books the end of a call, and waits while the ledger is away.
func (c *recordedCalls) end(ctx context.Context, book func(context.Context) error) {
	if err := c.worker.persist(ctx, "end a call", func() error { return book(context.WithoutCancel(ctx)) }); err != nil && !c.worker.noteFull(err) {
		c.worker.Log.Error("the end of a call is not booked; it counts at its reservation", "error", err)
	}
}

// usedBy is what a failed call counts for. One that was cut off (timeout, reset, given up) may be charged in full, so its
// reservation counts; one that was refused costs what the endpoint reported.
func (c *recordedCalls) usedBy(r llm.Request, in ledger.Intent, err error) ledger.Answer {
	var e *llm.Error
	if errors.As(err, &e) && !e.MayBeBilled {
		return ledger.Answer{
			TokensIn: int64(e.Usage.In), TokensCached: int64(e.Usage.CachedIn), TokensOut: int64(e.Usage.Out),
			CostNano: nano(c.worker.Prices.Cost(r.Model, e.Usage)),
		}
	}
	return ledger.Answer{TokensIn: in.ReservedTokens, CostNano: in.ReservedNano}
}

// documentCost adds up what a document's calls cost. It is safe for concurrent use.
type documentCost struct {
	mu      sync.Mutex
	nano    int64
	unknown bool
}

// add adds the cost of one call in nano-USD; nil is a cost that is not known.
func (c *documentCost) add(nano *int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if nano == nil {
		c.unknown = true
		return
	}
	c.nano += *nano
}

// sum returns the cost of all calls in nano-USD, nil if that of any call is not known.
func (c *documentCost) sum() *int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unknown {
		return nil
	}
	nano := c.nano
	return &nano
}

// nano is USD in whole nano-USD, nil when the price is unknown.
func nano(usd float64, known bool) *int64 {
	if !known {
		return nil
	}
	n := int64(math.Ceil(usd * 1e9))
	return &n
}
