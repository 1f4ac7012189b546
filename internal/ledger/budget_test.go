package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

func testBudget(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	budget := int64(1000)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, BudgetNano: &budget}))
	reserve, cost := int64(600), int64(300)
	reservation := func(name string) ledger.Reservation {
		return ledger.Reservation{Run: run.ID, Document: 1, Worker: f.worker, Name: name, ReservedNano: &reserve, ReservedTokens: 1}
	}
	call, _, err := f.BeginCall(ctx, reservation("a"))
	f.ok(err)
	_, _, err = f.BeginCall(ctx, reservation("b"))
	f.refused(err, ledger.ErrReserved) // what is in flight counts
	f.ok(f.EndCall(ctx, call, reservation("a"), ledger.Answer{CostNano: &cost, TokensIn: 1}))
	call, _, err = f.BeginCall(ctx, reservation("b"))
	f.ok(err)
	f.ok(f.FailCall(ctx, call, reservation("b"), "transient", ledger.Answer{CostNano: &reserve}))
	_, _, err = f.BeginCall(ctx, reservation("b"))
	f.refused(err, ledger.ErrBudget)
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Budget, Message: ""}))(t)
	raised := int64(1500)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true, BudgetNano: &raised}))
	_, _, err = f.BeginCall(ctx, reservation("b"))
	f.ok(err)
}

// spender is a run whose calls reserve and cost fixed amounts in nano-USD.
type spender struct {
	*fixture
	run           ledger.Run
	reserve, cost int64
	dayCap        *int64
}

func (s *spender) reservation(name string) ledger.Reservation {
	return ledger.Reservation{
		Run: s.run.ID, Document: 1, Worker: s.worker, Name: name, ReservedNano: &s.reserve, ReservedTokens: 1, DayCapNano: s.dayCap,
	}
}

func (s *spender) begin(name string) (end func(), err error) {
	call, _, err := s.BeginCall(s.t.Context(), s.reservation(name))
	return func() {
		s.t.Helper()
		s.ok(s.EndCall(s.t.Context(), call, s.reservation(name), ledger.Answer{CostNano: &s.cost, TokensIn: 1}))
	}, err
}

func newSpender(t *testing.T, db database) *spender {
	t.Helper()
	f := setUp(t, db)
	run, _ := f.plan(false, entries(3))
	return &spender{fixture: f, run: run, reserve: 400, cost: 100}
}

func (s *spender) budget(nano int64) {
	s.t.Helper()
	s.ok(s.Publish(s.t.Context(), ledger.Publication{Run: s.run.ID, BudgetNano: &nano}))
}

// A call that was not made costs nothing, and its name is free.
func testDroppedCallCostsNothing(t *testing.T, db database) {
	s := newSpender(t, db)
	s.budget(1000)
	in := s.reservation("dropped")
	for range 3 { // two would fit
		call, _, err := s.BeginCall(t.Context(), in)
		s.ok(err)
		s.ok(s.DropCall(t.Context(), call, in))
		s.ok(s.DropCall(t.Context(), call, in)) // a second time, as after a lost reply
	}
	_, account, err := s.Totals(t.Context(), s.run.ID)
	s.ok(err)
	if account.Calls != 0 || account.CostNano != 0 {
		t.Errorf("%d calls are booked, %d nano-USD spent", account.Calls, account.CostNano)
	}
}

// A reservation waits for calls in flight, and is refused when it does not fit into the rest that
// they cannot give back.
func testBudgetWaitsForInFlight(t *testing.T, db database) {
	s := newSpender(t, db)
	s.budget(1000)
	for calls := 0; ; calls++ {
		first, err := s.begin(fmt.Sprintf("first %d", calls))
		if errors.Is(err, ledger.ErrBudget) {
			// 7 ended calls leave 300, too little for a reservation.
			if calls != 7 {
				t.Errorf("stopped after %d calls, want 7", calls)
			}
			return
		}
		s.ok(err)
		if calls == 0 {
			second, err := s.begin("second")
			s.ok(err)
			_, err = s.begin("third")
			s.refused(err, ledger.ErrReserved)
			second()
			calls++
		}
		first()
	}
}

func testBudgetNeedsPrices(t *testing.T, db database) {
	s := newSpender(t, db)
	unpriced := s.reservation("unpriced")
	unpriced.ReservedNano = nil
	call, _, err := s.BeginCall(t.Context(), unpriced)
	s.ok(err)
	s.ok(s.EndCall(t.Context(), call, unpriced, ledger.Answer{TokensIn: 1}))
	today := must(s.Today(t.Context()))(t)
	if today.CostKnown {
		t.Error("the day's cost is reported as known")
	}
	unpriced.Name, unpriced.DayCapNano = "under a day's cap", new(int64)
	_, _, err = s.BeginCall(t.Context(), unpriced)
	s.refused(err, ledger.ErrUnpriced)
	unpriced.DayCapNano = nil
	tokens := int64(100)
	s.ok(s.Publish(t.Context(), ledger.Publication{Run: s.run.ID, BudgetTokens: &tokens}))
	unpriced.Name = "under a token cap"
	_, _, err = s.BeginCall(t.Context(), unpriced)
	s.ok(err)
	s.budget(1000)
	unpriced.Name = "under a cap in USD"
	_, _, err = s.BeginCall(t.Context(), unpriced)
	s.refused(err, ledger.ErrUnpriced)
}

// A cap that is set while other processes start and end calls counts each call once.
func testBudgetSetWhileCalling(t *testing.T, db database) {
	s := newSpender(t, db)
	const big = 1_000_000
	calls := s.whileCalling(func(int) { s.budget(big) })
	s.budgetLeft(big-100*calls, big)
}

// budgetLeft checks the rest of a cap by reserving it.
func (s *spender) budgetLeft(left, most int64) {
	s.t.Helper()
	s.reserve = left + 1
	_, err := s.begin("too much")
	s.refused(err, ledger.ErrBudget)
	s.reserve = left
	_, err = s.begin("the rest")
	s.ok(err)
	if left >= most {
		s.t.Error("nothing was spent")
	}
}

// whileCalling runs set while two more processes make several calls at once each. It returns the
// number of calls.
func (s *spender) whileCalling(set func(process int)) int64 {
	s.t.Helper()
	const each, rounds = 8, 12
	processes := []*ledger.Ledger{s.db.open(s.t), s.db.open(s.t)}
	var all sync.WaitGroup
	for p, l := range processes {
		for g := range each {
			all.Go(func() {
				for i := range rounds {
					if g == 0 && i == rounds/2 {
						set(p)
					}
					in := ledger.Reservation{
						Run: s.run.ID, Document: 1, Worker: s.worker, Name: fmt.Sprintf("%d %d %d", p, g, i), ReservedNano: &s.reserve, ReservedTokens: 1,
					}
					call, _, err := l.BeginCall(s.t.Context(), in)
					if err == nil {
						err = l.EndCall(s.t.Context(), call, in, ledger.Answer{CostNano: &s.cost, TokensIn: 1})
					}
					if err != nil {
						s.t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	return int64(len(processes) * each * rounds)
}

func testDayBudgetSetWhileCalling(t *testing.T, db database) {
	s := newSpender(t, db)
	most := int64(1_000_000)
	capped := *s
	capped.dayCap = &most
	calls := s.whileCalling(func(process int) {
		end, err := capped.begin(fmt.Sprintf("capped %d", process))
		if err != nil {
			t.Error(err)
			return
		}
		end()
	})
	calls += 2
	if today := must(s.Today(t.Context()))(t); today.CostNano != 100*calls || !today.CostKnown {
		t.Errorf("the day's account is %+v after %d calls", today, calls)
	}
	capped.budgetLeft(most-100*calls, most)
}

// A day's cap applies to all runs of the ledger. What was spent before it was set counts, and it
// ends with the day in UTC.
func testDayBudget(t *testing.T, db database) {
	s := newSpender(t, db)
	most := int64(1000)
	for i := range 3 {
		end, err := s.begin(fmt.Sprintf("before the cap %d", i))
		s.ok(err)
		end()
	}
	end, err := s.begin("in flight")
	s.ok(err)
	capped := *s
	capped.dayCap = &most
	_, err = capped.begin("a")
	s.refused(err, ledger.ErrReserved) // 300 are spent, 400 reserved
	end()
	end, err = capped.begin("a")
	s.ok(err)
	end() // 500 are spent

	other := capped
	other.profile = must(s.PutProfile(t.Context(), "other", "model", "{}"))(t)
	other.run, _, err = s.OpenRun(t.Context(), s.source, other.profile, false)
	s.ok(err)
	end, err = other.begin("b")
	s.ok(err)
	end()
	uncapped := *s
	end, err = uncapped.begin("c") // has no cap of its own, and counts
	s.ok(err)
	end()
	_, err = other.begin("d")
	s.refused(err, ledger.ErrBudget)
	var day *ledger.DayBudgetError
	if midnight := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC); !errors.As(err, &day) || !day.Ends.Equal(midnight) {
		t.Errorf("got %v, want that the day ends at %s", err, midnight)
	}
	raised := int64(1100)
	other.dayCap = &raised
	end, err = other.begin("d")
	s.ok(err)
	db.clock.advance(21 * time.Hour)
	end() // counts on the day it started
	for i := range 7 {
		end, err = other.begin(fmt.Sprintf("next day %d", i))
		s.ok(err)
		end()
	}
	if today := must(s.Today(t.Context()))(t); today.CostNano != 700 || !today.Begin.Equal(time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the next day's account is %+v", today)
	}
}

// The run's cap applies as well, and a call that it refuses does not count on the day.
func testDayAndRunBudget(t *testing.T, db database) {
	s := newSpender(t, db)
	most := int64(1000)
	s.dayCap = &most
	s.budget(500)
	for i := range 2 {
		end, err := s.begin(fmt.Sprint(i))
		s.ok(err)
		end()
	}
	_, err := s.begin("beyond the run's cap")
	s.refused(err, ledger.ErrBudget)
	if day := (*ledger.DayBudgetError)(nil); errors.As(err, &day) {
		t.Error("the error names the day's cap")
	}
	s.budget(10_000)
	s.budgetLeft(800, most)
}

// The calls of this day and their run stay whole. The cost of pruned calls still counts.
func testDayOutlivesPrune(t *testing.T, db database) {
	s := newSpender(t, db)
	end, err := s.begin("a")
	s.ok(err)
	end()
	s.work(s.run)
	s.plan(false, entries(4))
	db.clock.advance(time.Second)
	before, _, err := s.Totals(t.Context(), s.run.ID)
	s.ok(err)
	must(s.Prune(t.Context(), 0))(t)
	s.totals(s.run, before)
	if before.Total == 0 {
		t.Error("the run has no documents")
	}
	if today := must(s.Today(t.Context()))(t); today.CostNano != 100 {
		t.Errorf("after pruning the day's account is %+v", today)
	}
	most := int64(499)
	s.dayCap = &most
	_, err = s.begin("b")
	s.refused(err, ledger.ErrBudget)
	db.clock.advance(48 * time.Hour)
	if pruned := must(s.Prune(t.Context(), 0))(t); pruned.Calls != 1 {
		t.Errorf("pruned %+v, want the call of a day that is over", pruned)
	}
}

// testService holds that a run keeps its service until another one is set, that a call keeps the
// tier that it was billed at, and that the reservation of a call of unknown cost stays booked.
func testService(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	flex, standard, yes, no, budget := "flex", "standard", true, false, int64(1000)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, BudgetNano: &budget, Service: &flex, FlexFallback: &yes}))
	want := func(service string, fallback bool) {
		t.Helper()
		if now := must(f.RunByID(ctx, run.ID))(t); now.Service != service || now.FlexFallback != fallback {
			t.Errorf("service %q, fallback %t; want %q, %t", now.Service, now.FlexFallback, service, fallback)
		}
	}
	want("flex", true)
	reserve, cost := int64(600), int64(300)
	reservation := func(name string) ledger.Reservation {
		return ledger.Reservation{Run: run.ID, Document: 1, Worker: f.worker, Name: name, ReservedNano: &reserve, ReservedTokens: 1}
	}
	begin := func(name string) ledger.CallID {
		t.Helper()
		call, _, err := f.BeginCall(ctx, reservation(name))
		f.ok(err)
		return call
	}
	f.ok(f.EndCall(ctx, begin("a"), reservation("a"), ledger.Answer{CostNano: &cost, TokensIn: 1, Tier: "standard"}))
	// A tier without a known price.
	f.ok(f.EndCall(ctx, begin("b"), reservation("b"), ledger.Answer{TokensIn: 1, Tier: "priority"}))
	if _, account, err := f.Totals(ctx, run.ID); err != nil || account.StandardCalls != 1 || account.Calls != 2 || account.CostKnown || account.CostNano != cost {
		t.Errorf("account %+v, %v", account, err)
	}
	_, _, err := f.BeginCall(ctx, reservation("c"))
	f.refused(err, ledger.ErrBudget) // 300 and 600 of 1000 are spent
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Budget, Message: ""}))(t)
	raised := int64(1499)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true, BudgetNano: &raised}))
	want("flex", true)
	_, _, err = f.BeginCall(ctx, reservation("c"))
	f.refused(err, ledger.ErrBudget)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Service: &standard, FlexFallback: &no}))
	want("standard", false)
}
