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

// recordedCalls makes the calls of one document: it is that document's [summarize.Completer].
// It records each call in the ledger before and after it is made, returns answers that the
// ledger already has, and adds up the document's cost. A call is reserved and paid at the
// price of the model that its endpoint is asked for.
type recordedCalls struct {
	worker *Worker
	open   *openRun
	claim  ledger.Claimed
	cost   documentCost
}

// Complete implements [summarize.Completer]. It is safe for concurrent use.
func (c *recordedCalls) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	// Whatever a call waits for before it is sent, the wait ends when the worker drains or the run
	// stops.
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.worker.begins, cancel)()
	defer context.AfterFunc(c.open.stopped.ctx, cancel)()
	slot, err := c.worker.callSlots.reserve(waiting)
	if err != nil {
		return llm.Response{}, c.waitEnded(err)
	}
	defer slot.release()
	if c.mustNotBegin() {
		return llm.Response{}, errStopped
	}
	response, err := c.worker.fallback.Complete(func(endpoint llm.Endpoint) (llm.Response, error) {
		return c.askRepeatedly(ctx, waiting, slot, endpoint, r)
	})
	var failed *llm.Error
	if errors.As(err, &failed) && (failed.Class == llm.Halted && !failed.Doubtful || failed.Class == llm.Quota && !c.worker.waitsFor(failed)) {
		// Before the slot goes to another call, which would end the same way.
		c.worker.cannotGoOn(c.open, failed)
	}
	return response, err
}

// mustNotBegin reports whether no call of the run may begin any more. A full disk could not store
// an answer.
func (c *recordedCalls) mustNotBegin() bool {
	return c.worker.overFor(c.open) || c.worker.diskFull.Load() || c.worker.isDraining()
}

// waitEnded returns the error of a call that was not made because its wait ended with err.
func (c *recordedCalls) waitEnded(err error) error {
	if err != nil && (c.worker.isDraining() || c.open.stopped.isSet()) {
		return errStopped
	}
	return err
}

// askRepeatedly makes a call, and one more after a failure that one more call decides. Each is
// reserved and recorded separately. The usage of the first one is added to the result.
func (c *recordedCalls) askRepeatedly(ctx, waiting context.Context, held *slot, endpoint llm.Endpoint, r llm.Request) (llm.Response, error) {
	response, err := c.ask(ctx, waiting, held, endpoint, r)
	var first, second *llm.Error
	if !errors.As(err, &first) {
		return response, err
	}
	if _, again := first.Repeat(); !again {
		return response, err
	}
	response, err = c.ask(ctx, waiting, held, endpoint, r)
	response.Usage = response.Usage.Add(first.Usage)
	if errors.As(err, &second) {
		if last, again := second.Repeat(); again && second.Code == first.Code {
			last.Usage = last.Usage.Add(first.Usage)
			return response, last
		}
	}
	return response, err
}

// ask makes one call to one endpoint, unless waiting ends before. The answer is named after the
// request as it came, whichever model is asked. A call that was not sent leaves no record.
func (c *recordedCalls) ask(ctx, waiting context.Context, held *slot, endpoint llm.Endpoint, r llm.Request) (result llm.Response, failure error) {
	w := c.worker
	name := r.Name()
	settled, err := endpoint.Known(r.Model).Alone(waiting)
	if err != nil {
		return llm.Response{}, c.waitEnded(err)
	}
	defer func() { c.endAlone(held, settled, result, failure) }()
	if c.mustNotBegin() { // an earlier call has shown that it cannot be answered
		return llm.Response{}, errStopped
	}
	r = endpoint.Prepare(r, w.config.Prices.MaxOutput(cmp.Or(endpoint.Model, r.Model)))
	r.Tier, r.FlexFallback = c.open.tier(), c.open.fallback.Load()
	in, out := c.bound(r)
	reservation := ledger.Reservation{
		Run: c.open.run.ID, Document: c.claim.Document, Worker: w.id, Name: name, Model: r.Model, Token: 1 + rand.Int64N(math.MaxInt64),
		ReservedTokens: int64(in + out), ReservedNano: nano(w.config.Prices.WorstCost(r.Model, r.Tier, in, out)), DayCapNano: w.config.DayCapNano,
		Since: c.open.run.ForcedAt,
	}
	call, known, err := c.begin(waiting, reservation)
	if err != nil {
		return llm.Response{}, c.waitEnded(err)
	}
	if known != nil {
		c.cost.add(known.CostNano)
		return llm.Response{
			Content: known.Content, FinishReason: known.FinishReason, Model: known.Model, Endpoint: known.Endpoint,
			Usage: llm.Usage{In: int(known.TokensIn), CachedIn: int(known.TokensCached), Out: int(known.TokensOut)},
		}, nil
	}
	drop := func(ctx context.Context) error { return w.ledger.DropCall(ctx, call, reservation) }
	if err = c.waitEnded(held.acquire(waiting)); err == nil && c.mustNotBegin() {
		err = errStopped
	}
	if err != nil {
		c.end(ctx, drop)
		return llm.Response{}, err
	}
	r.Waits = w.callWaits(waiting, held)
	response, err := endpoint.Client.Complete(ctx, r)
	if !llm.Sent(err) {
		c.end(ctx, drop)
		return llm.Response{}, err
	}
	if err != nil {
		used := c.usedBy(r, reservation, err)
		c.cost.add(used.CostNano)
		w.counters.call(llm.ClassOf(err), used)
		c.end(ctx, func(ctx context.Context) error {
			return w.ledger.FailCall(ctx, call, reservation, ledger.Class(llm.ClassOf(err)), used)
		})
		return llm.Response{}, err
	}
	held.release()
	w.answered(ctx, r.Model)
	// Some endpoints report no usage, or one half of it, and the call was not free.
	if response.Usage.In == 0 {
		response.Usage.In = llm.CountRequest(r)
	}
	if response.Usage.Out == 0 {
		response.Usage.Out = llm.TokenizerFor(r.Model).Count(response.Content)
	}
	answer := ledger.Answer{
		Content: response.Content, FinishReason: response.FinishReason, Model: response.Model, Endpoint: response.Endpoint,
		TokensIn: int64(response.Usage.In), TokensCached: int64(response.Usage.CachedIn), TokensOut: int64(response.Usage.Out),
		CostNano: nano(response.Usage.Billed(w.config.Prices.Cost(r.Model, response.Tier, response.Usage))), Tier: string(response.Tier),
	}
	c.cost.add(answer.CostNano)
	w.counters.call(llm.ClassOK, answer)
	c.end(ctx, func(ctx context.Context) error { return w.ledger.EndCall(ctx, call, reservation, answer) })
	return response, nil
}

// endAlone ends a call that was made alone because nothing is known of its model. After an answer,
// or a refusal of this document, the others may be made at the same time. After a failure the next
// one is made alone, once this one has stopped the run if it has to.
func (c *recordedCalls) endAlone(held *slot, settled func(bool), response llm.Response, err error) {
	var failed *llm.Error
	switch {
	case err == nil:
		settled(response.FinishReason != llm.FinishLength || response.Thought == 0)
	case errors.As(err, &failed) && (failed.Class == llm.Refused || failed.Class == llm.ContextLength):
		settled(true)
	case len(c.worker.config.Endpoints) == 1:
		held.then(func() { settled(false) })
	default: // the next endpoint is asked: it must not wait for a call that waits for this one
		settled(false)
	}
}

// bound returns the tokens to reserve for a call: an upper bound if a budget applies, and an
// estimate otherwise. Without a budget no call waits for it: it only counts if the worker dies
// during the call or the call is cut off.
func (c *recordedCalls) bound(r llm.Request) (in, out int) {
	out = cmp.Or(r.OutputCap(), c.worker.config.Prices.MaxOutput(r.Model))
	if c.open.capped.Load() || c.worker.config.DayCapNano != nil {
		return llm.BoundPrompt(r), out
	}
	in = llm.EstimateTokens(string(r.Schema))
	for _, message := range r.Messages {
		in += llm.EstimateTokens(message.Content) + 8
	}
	return in, out
}

// begin reserves the call. It waits while the ledger is away, because an unrecorded call must
// not be made.
func (c *recordedCalls) begin(ctx context.Context, in ledger.Reservation) (call ledger.CallID, known *ledger.Answer, err error) {
	err = c.worker.persist(ctx, "begin a call", func() error {
		call, known, err = c.worker.ledger.BeginCall(ctx, in)
		return err
	})
	return call, known, err
}

// end records the end of a call, and waits while the ledger is away.
func (c *recordedCalls) end(ctx context.Context, book func(context.Context) error) {
	if err := c.worker.persist(ctx, "end a call", func() error { return book(context.WithoutCancel(ctx)) }); err != nil && !c.worker.stopOnDiskFull(err) {
		c.worker.log.Error("end of call not recorded; its reservation counts", "error", err)
	}
}

// usedBy returns the tokens and cost of a failed call. A call that was cut off (timeout,
// reset, cancelled) may be billed in full, so its reservation counts. A refused call costs
// what the endpoint reported.
func (c *recordedCalls) usedBy(r llm.Request, in ledger.Reservation, err error) ledger.Answer {
	var failed *llm.Error
	var waited *llm.WaitError
	var usage llm.Usage
	var tier llm.Tier
	switch {
	case errors.As(err, &waited): // the requests before the wait were answered with a 429
	case errors.As(err, &failed) && !failed.MayBeBilled:
		usage, tier = failed.Usage, failed.Tier
	default:
		return ledger.Answer{TokensIn: in.ReservedTokens, CostNano: in.ReservedNano}
	}
	return ledger.Answer{
		TokensIn: int64(usage.In), TokensCached: int64(usage.CachedIn), TokensOut: int64(usage.Out),
		CostNano: nano(usage.Billed(c.worker.config.Prices.Cost(r.Model, tier, usage))), Tier: string(tier),
	}
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

// nano converts USD to nano-USD, rounded up; nil if the price is unknown.
func nano(usd float64, known bool) *int64 {
	if !known {
		return nil
	}
	n := int64(math.Ceil(usd * 1e9))
	return &n
}
