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
	"github.com/gistmill/gistmill/internal/summarize"
)

// meter stands before a client: it records each call in the ledger before it is made and after it has ended, gives
// answers that are in the ledger already, and adds up what a document costs. Each place to ask has its own, so that each call
// is reserved and paid at the price of the model that is asked.
type meter struct {
	worker *Worker
	calls  summarize.Completer
	model  string // asked in the place of the request's; empty: the request's
}

// newRouter puts a meter before the client and each of its fallbacks.
func (w *Worker) newRouter() *llm.Fallback {
	all := append([]Fallback{{Calls: w.Calls, Name: "the first endpoint"}}, w.Fallbacks...)
	candidates := make([]llm.Candidate, len(all))
	for i, f := range all {
		candidates[i] = llm.Candidate{Name: f.Name, Ask: (&meter{worker: w, calls: f.Calls, model: f.Model}).Complete}
		if c, ok := f.Calls.(interface{ Down() error }); ok {
			candidates[i].Down = c.Down
		}
	}
	return llm.NewFallback(w.Log, candidates...)
}

// models are those that a run with this model may ask.
func (w *Worker) models(model string) []string {
	all := []string{model}
	for _, f := range w.Fallbacks {
		all = append(all, cmp.Or(f.Model, model))
	}
	return all
}

// account is what one document's calls cost. The engine is shared by all documents of a profile, so it comes by the
// context.
type account struct {
	job   *job
	claim ledger.Claimed

	mu      sync.Mutex
	nano    int64
	unknown bool
}

type accountKey struct{}

func (a *account) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

func (a *account) add(nano *int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if nano == nil {
		a.unknown = true
		return
	}
	a.nano += *nano
}

func (a *account) cost() *int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unknown {
		return nil
	}
	nano := a.nano
	return &nano
}

// Complete is summarize.Completer. An answer is named by the request as it comes, whichever model is asked.
func (m *meter) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	w := m.worker
	a := ctx.Value(accountKey{}).(*account)
	name := r.Name()
	r.Model = cmp.Or(m.model, r.Model)
	in, out := m.bound(a.job, r)
	intent := ledger.Intent{
		Run: a.job.run.Num, Document: a.claim.Document, Worker: w.id, Name: name, Model: r.Model, Token: 1 + rand.Int64N(math.MaxInt64),
		ReservedTokens: int64(in + out), ReservedNano: nano(w.Prices.WorstCost(r.Model, in, out)), DayCapNano: w.DayCapNano,
		Since: a.job.run.ForcedAt,
	}
	call, known, err := m.begin(ctx, intent)
	if err != nil {
		return llm.Response{}, err
	}
	if known != nil {
		a.add(known.CostNano)
		return llm.Response{
			Content: known.Content, FinishReason: known.FinishReason, Model: known.Model, Endpoint: known.Endpoint,
			Usage: llm.Usage{In: int(known.TokensIn), CachedIn: int(known.TokensCached), Out: int(known.TokensOut)},
		}, nil
	}
	turn := ctx.Value(turnKey{}).(*turn)
	err = turn.place(ctx)
	if err == nil && w.noRoom.Load() { // its answer could not be stored
		err = errStopped
	}
	if err != nil {
		m.end(ctx, func(ctx context.Context) error { return w.Ledger.DropCall(ctx, call, intent) })
		return llm.Response{}, err
	}
	response, err := m.calls.Complete(ctx, r)
	if err != nil {
		used := m.usedBy(r, intent, err)
		a.add(used.CostNano)
		w.tally.call(llm.ClassOf(err), used)
		m.end(ctx, func(ctx context.Context) error {
			return w.Ledger.FailCall(ctx, call, intent, llm.ClassOf(err), used)
		})
		return llm.Response{}, err
	}
	turn.leave()
	w.refusals.Store(0)
	if response.Usage == (llm.Usage{}) { // some endpoints report none, and the books must not say it was free
		response.Usage = llm.Usage{In: llm.CountRequest(r), Out: llm.TokenizerFor(r.Model).Count(response.Content)}
	}
	answer := ledger.Answer{
		Content: response.Content, FinishReason: response.FinishReason, Model: response.Model, Endpoint: response.Endpoint,
		TokensIn: int64(response.Usage.In), TokensCached: int64(response.Usage.CachedIn), TokensOut: int64(response.Usage.Out),
		CostNano: nano(w.Prices.Cost(r.Model, response.Usage)),
	}
	a.add(answer.CostNano)
	w.tally.call(llm.ClassOK, answer)
	m.end(ctx, func(ctx context.Context) error { return w.Ledger.EndCall(ctx, call, intent, answer) })
	return response, nil
}

// bound is what a call can come to at the most, in tokens. Without a cap nobody waits for it: it is then only what is booked
// when the worker dies, and an estimate does.
func (m *meter) bound(j *job, r llm.Request) (in, out int) {
	out = cmp.Or(r.OutputCap(), m.worker.Prices.MaxOutput(r.Model))
	if j.capped.Load() || m.worker.DayCapNano != nil {
		return llm.BoundPrompt(r), out
	}
	in = llm.EstimateTokens(string(r.Schema))
	for _, message := range r.Messages {
		in += llm.EstimateTokens(message.Content) + 8
	}
	return in, out
}

// begin records the intent, and waits while the ledger is away: a call that could not be stored is not made.
func (m *meter) begin(ctx context.Context, in ledger.Intent) (call int64, known *ledger.Answer, err error) {
	err = m.worker.persist(ctx, "begin a call", func() error {
		call, known, err = m.worker.Ledger.BeginCall(ctx, in)
		return err
	})
	return call, known, err
}

// end books the end of a call, and waits while the ledger is away.
func (m *meter) end(ctx context.Context, book func(context.Context) error) {
	if err := m.worker.persist(ctx, "end a call", func() error { return book(context.WithoutCancel(ctx)) }); err != nil && !m.worker.noteFull(err) {
		m.worker.Log.Error("the end of a call is not booked; it counts at its reservation", "error", err)
	}
}

// usedBy is what a failed call counts for. One that was cut off (timeout, reset, given up) may be charged in full, so its
// reservation counts; one that was refused costs what the endpoint reported.
func (m *meter) usedBy(r llm.Request, in ledger.Intent, err error) ledger.Answer {
	var e *llm.Error
	if errors.As(err, &e) && !e.MayBeBilled {
		return ledger.Answer{
			TokensIn: int64(e.Usage.In), TokensCached: int64(e.Usage.CachedIn), TokensOut: int64(e.Usage.Out),
			CostNano: nano(m.worker.Prices.Cost(r.Model, e.Usage)),
		}
	}
	return ledger.Answer{TokensIn: in.ReservedTokens, CostNano: in.ReservedNano}
}

// nano is USD in whole nano-USD, nil when the price is unknown.
func nano(usd float64, known bool) *int64 {
	if !known {
		return nil
	}
	n := int64(math.Ceil(usd * 1e9))
	return &n
}
