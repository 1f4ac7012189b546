package worker

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// halted is the stop of a run that waits for a person to act.
func halted(message string) ledger.Stop { return ledger.Stop{Reason: ledger.Halted, Message: message} }

// waitsFor reports whether documents wait for a quota: it resets soon enough.
func (w *Worker) waitsFor(e *llm.Error) bool {
	return e.Class == llm.Quota && !e.Until.IsZero() && time.Until(e.Until) <= w.config.MaxWait
}

// cannotGoOn is called when a call of a run failed with class Halted, or with class Quota and is
// not waited for. No call of the run begins any more.
func (w *Worker) cannotGoOn(r *openRun, e *llm.Error) {
	if e.Class != llm.Quota {
		why := halted(e.Error())
		why.Quota = e.Quota
		w.cannotWork(r, byCall, why)
		return
	}
	why := ledger.Stop{Reason: ledger.Quota, Message: e.Error(), Quota: e.Quota}
	if e.Until.IsZero() {
		why.Message += "; when it resets is not known: the same command tries again"
	} else {
		why.Ends, why.After = true, max(time.Until(e.Until), 0)
		why.Message += "; it is used up until " + ledger.ClockTime(e.Until) + ", and the same command goes on then"
	}
	w.stopRun(context.WithoutCancel(w.calls), r, why)
}
