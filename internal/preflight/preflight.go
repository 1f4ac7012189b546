// Package preflight checks what a run would need before it is paid for: the endpoints, with one
// tiny call each, and whatever else its caller adds.
//
// It owns the rows of a report and the checks of an endpoint. It refuses to own budgets and books
// (its caller reserves and books the call), and how a failure is classified (internal/llm).
package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// State is how a check ended.
type State string

// The states of a row.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Unknown State = "unknown" // nothing is wrong, and nothing was learned
)

// Row is one check. Its JSON is an interface for users.
type Row struct {
	Check   string `json:"check"`
	State   State  `json:"state"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // what to do
}

// Report is the result of all checks.
type Report struct {
	OK   bool  `json:"ok"` // no check failed
	Rows []Row `json:"checks"`
}

// Add adds rows.
func (r *Report) Add(rows ...Row) {
	for _, row := range rows {
		if len(r.Rows) == 0 {
			r.OK = true
		}
		r.OK = r.OK && row.State != Failed
		r.Rows = append(r.Rows, row)
	}
}

// Try adds the row of a check that may take as long as timeout. A failure of it is the row's
// message. ctx ends the check early.
func (r *Report) Try(ctx context.Context, name string, timeout time.Duration, check func(context.Context) (message string, state State, err error)) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	message, state, err := check(limited)
	switch {
	case err == nil:
		r.Add(Row{Check: name, State: state, Message: message})
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		r.Add(Row{Check: name, State: Failed, Message: fmt.Sprintf("no answer within %s: %v", timeout, err)})
	default:
		r.Add(Row{Check: name, State: Failed, Message: err.Error()})
	}
}

// Mark returns the sign of a state for people.
func (s State) Mark() string {
	switch s {
	case OK:
		return "✓"
	case Failed:
		return "✗"
	default:
		return "–"
	}
}
