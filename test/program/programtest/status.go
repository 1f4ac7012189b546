package programtest

import "testing"

// Totals are the documents of a run by state, as in `status -o json`.
type Totals struct {
	Total     int64 `json:"total"`
	Done      int64 `json:"done"`
	Dead      int64 `json:"dead"`
	Skipped   int64 `json:"skipped"`
	Remaining int64 `json:"remaining"`
}

// A Status is what `status -o json` and `runs -o json` print of a run.
type Status struct {
	Run       string  `json:"run"`
	State     string  `json:"state"`
	Reason    *string `json:"reason"`
	Documents Totals  `json:"documents"`
	Tokens    struct {
		In  int64 `json:"in"`
		Out int64 `json:"out"`
	} `json:"tokens"`
	Calls    int64    `json:"calls"`
	CostUSD  *float64 `json:"cost_usd"`
	Queue    *Queue   `json:"queue"`
	Workers  int64    `json:"workers"`
	Balanced bool     `json:"balanced"`
}

// Queue is the number of tasks in the queue by state.
type Queue struct {
	Pending, Active, Retry, Scheduled, Archived int64
}

// Check fails the test if the totals do not balance.
func (s Status) Check(t *testing.T) {
	t.Helper()
	d := s.Documents
	if d.Total != d.Done+d.Dead+d.Skipped+d.Remaining || !s.Balanced {
		t.Fatalf("run %s does not balance: %+v", s.Run, d)
	}
}

// Phase returns the state with its reason: "finished", "stopped:paused" and the like.
func (s Status) Phase() string {
	if s.Reason != nil {
		return s.State + ":" + *s.Reason
	}
	return s.State
}
