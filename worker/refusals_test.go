package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// reports returns n documents. The text of each has its number.
func reports(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("doc%03d.txt", i)] = fmt.Sprintf("Report <%d> of the harbour. Ferries leave every hour, and the fare is twelve crowns.", i)
	}
	return all
}

func doubtful(status int) error {
	class := llm.BadRequest
	if status == 403 || status == 404 {
		class = llm.Halted
	}
	return &llm.Error{Class: class, Status: status, Doubtful: true, Message: "odd words of the endpoint"}
}

// A document that is refused while others are answered is dead after a second try, whatever the
// status. The others are done, and the run is not stopped.
func TestRefusedDocumentIsDeadAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		documents, bad int
		status         int
		class          string
	}{
		"one of many":         {60, 7, 403, "refused"},
		"one of few":          {5, 2, 400, "bad_request"},
		"the first":           {6, 0, 404, "bad_request"},
		"the last":            {6, 5, 422, "bad_request"},
		"a conflict":          {6, 3, 409, "bad_request"},
		"a failed dependency": {6, 3, 424, "bad_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, reports(tt.documents))
			bad := fmt.Sprintf("<%d>", tt.bad)
			b.model.answer = func(_ context.Context, prompt string, _ int) (llm.Response, error) {
				if strings.Contains(prompt, bad) {
					return llm.Response{}, doubtful(tt.status)
				}
				return llm.Response{}, nil
			}
			run := b.work(b.plan())
			b.totals(run, ledger.Totals{Total: int64(tt.documents), Done: int64(tt.documents) - 1, Dead: 1})
			if run.State != ledger.Finished {
				t.Errorf("the run is %s: %s", run.State, run.Message)
			}
			if calls := b.model.total(); calls != tt.documents+1 {
				t.Errorf("%d calls for %d documents", calls, tt.documents)
			}
			var letters []ledger.DeadLetter
			b.ok(b.ledger.DeadLetters(t.Context(), ledger.DeadFilter{}, func(page []ledger.DeadLetter) error {
				letters = append(letters, page...)
				return nil
			}))
			if len(letters) != 1 || string(letters[0].Class) != tt.class || !strings.Contains(letters[0].Message, "odd words") {
				t.Errorf("dead: %+v", letters)
			}
		})
	}
}

// What every document gets is the account's or the settings': the run is halted with the reason,
// no document is dead, and no attempt is used. Once that is corrected, all documents are done.
func TestRefusedByAllHaltsTheRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		documents, answers int // before the refusals begin
		status, workers    int
		most               int // calls until the halt
	}{
		"all of many":           {80, 0, 400, 1, 40},
		"all of few":            {5, 0, 403, 1, 6},
		"two":                   {2, 0, 404, 1, 3},
		"one":                   {1, 0, 400, 1, 2},
		"half-way":              {80, 30, 400, 1, 70},
		"the last two of few":   {7, 5, 422, 1, 10},
		"half-way, two workers": {80, 30, 400, 2, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, reports(tt.documents))
			var answered atomic.Int64
			var healed atomic.Bool
			b.model.answer = func(context.Context, string, int) (llm.Response, error) {
				if healed.Load() || answered.Add(1) <= int64(tt.answers) {
					return llm.Response{}, nil
				}
				return llm.Response{}, doubtful(tt.status)
			}
			run := b.plan()
			c := b.config()
			c.Concurrency = 4
			if tt.workers > 1 {
				other := b.workerOf(c)
				stop, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- other.Run(stop, t.Context()) }()
				defer func() {
					cancel()
					b.ok(<-ended)
				}()
			}
			run = b.workAs(b.workerOf(c), run)
			if run.State != ledger.Stopped || run.Reason != ledger.Halted || !strings.Contains(run.Message, "odd words of the endpoint") {
				t.Fatalf("the run is %s, %s: %s", run.State, run.Reason, run.Message)
			}
			if calls := b.model.total(); calls > tt.most {
				t.Errorf("%d calls", calls)
			}
			totals, _, err := b.ledger.Totals(t.Context(), run.ID)
			b.ok(err)
			if totals.Dead != 0 || totals.Done > int64(tt.answers) {
				t.Errorf("%+v", totals)
			}
			healed.Store(true)
			run = b.work(b.plan())
			b.totals(run, ledger.Totals{Total: int64(tt.documents), Done: int64(tt.documents)})
		})
	}
}

// Suspects are in the ledger: the next worker knows what an earlier one saw.
func TestSuspectsSurviveARestart(t *testing.T) {
	t.Parallel()
	b := setUp(t, reports(1))
	b.model.answer = func(_ context.Context, prompt string, n int) (llm.Response, error) {
		if strings.Contains(prompt, "<0>") {
			return llm.Response{}, doubtful(403)
		}
		return llm.Response{}, nil
	}
	b.retry.Base, b.retry.Cap = 300e6, 300e6 // nanoseconds: the suspect is due again after the restart
	run := b.plan()
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.worker().Run(stop, t.Context()) }()
	b.until(run, func(ledger.Run) bool { return b.model.total() == 1 })
	cancel()
	b.ok(<-ended)
	run = b.work(run)
	if run.Reason != ledger.Halted || b.model.total() != 2 {
		t.Errorf("the run is %s, %s after %d calls", run.State, run.Reason, b.model.total())
	}
	b.totals(run, ledger.Totals{Total: 1, Remaining: 1})
}
