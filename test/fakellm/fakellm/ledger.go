package fakellm

import (
	"sync"
	"time"
)

// A Call is one chat completion that was asked for, however it ended.
type Call struct {
	ID       int64     `json:"id"`
	At       time.Time `json:"at"`
	Millis   float64   `json:"duration_ms"`
	Model    string    `json:"model"`
	Prompt   string    `json:"prompt"` // SHA-256 of the user messages, first 16 bytes in hex
	Status   int       `json:"status"` // 0: no answer (hang, reset)
	Outcome  string    `json:"outcome"`
	In       int       `json:"tokens_in"`
	Out      int       `json:"tokens_out"`
	Charge   int       `json:"charge"` // tokens charged at admission
	InFlight int       `json:"in_flight"`
}

// Outcome of a Call. All but OutcomeOK name what went wrong, on purpose or not.
const (
	OutcomeOK        = "ok"
	OutcomeLength    = "length"
	OutcomeBadJSON   = "bad_json"
	OutcomeRefused   = "refused"
	OutcomeLimited   = "limited"
	OutcomeFault429  = "fault_429"
	OutcomeFault500  = "fault_500"
	OutcomeFault502  = "fault_502_html"
	OutcomeError200  = "error_200"
	OutcomeNoChoice  = "no_choice"
	OutcomeTruncated = "truncated"
	OutcomeReset     = "reset"
	OutcomeHang      = "hang"
	OutcomeAbandoned = "abandoned" // the client went away during the latency
	OutcomeBadKey    = "bad_key"
	OutcomeNoModel   = "no_model"
	OutcomeNoCredit  = "no_credit"
	OutcomeDown      = "down"
	OutcomeContext   = "context_length"
	OutcomeBad       = "bad_request"
)

// Stats are totals since the last reset.
type Stats struct {
	Calls     int64            `json:"calls"`
	Status    map[int]int64    `json:"status"`
	Outcomes  map[string]int64 `json:"outcomes"`
	Completed int64            `json:"completed"` // answered with a completion, whatever its quality
	TokensIn  int64            `json:"tokens_in"` // of completed calls
	TokensOut int64            `json:"tokens_out"`
	Charged   int64            `json:"charged"` // tokens admitted by the limits
	// Distinct counts different prompts among completed calls, Duplicates the
	// completed calls beyond the first of each.
	Distinct    int       `json:"distinct_prompts"`
	Duplicates  int64     `json:"duplicates"`
	InFlight    int       `json:"in_flight"`
	MaxInFlight int       `json:"max_in_flight"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// maxCalls bounds the ledger; later calls are counted, not listed.
const maxCalls = 2_000_000

type ledger struct {
	mu      sync.Mutex
	calls   []Call
	stats   Stats
	prompts map[[16]byte]int32
}

func newLedger() *ledger {
	l := &ledger{}
	l.reset()
	return l
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
	l.stats = Stats{Status: map[int]int64{}, Outcomes: map[string]int64{}}
	l.prompts = make(map[[16]byte]int32)
}

func (l *ledger) add(call Call, prompt [16]byte, charged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.stats
	s.Calls++
	s.Status[call.Status]++
	s.Outcomes[call.Outcome]++
	s.MaxInFlight = max(s.MaxInFlight, call.InFlight)
	if s.First.IsZero() {
		s.First = call.At
	}
	s.Last = call.At
	if charged {
		s.Charged += int64(call.Charge)
	}
	switch call.Outcome {
	case OutcomeOK, OutcomeLength, OutcomeBadJSON, OutcomeRefused:
		s.Completed++
		s.TokensIn += int64(call.In)
		s.TokensOut += int64(call.Out)
		l.prompts[prompt]++
		if l.prompts[prompt] > 1 {
			s.Duplicates++
		}
	}
	if len(l.calls) < maxCalls {
		l.calls = append(l.calls, call)
	}
}

func (l *ledger) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Status = make(map[int]int64, len(l.stats.Status))
	for k, v := range l.stats.Status {
		s.Status[k] = v
	}
	s.Outcomes = make(map[string]int64, len(l.stats.Outcomes))
	for k, v := range l.stats.Outcomes {
		s.Outcomes[k] = v
	}
	s.Distinct = len(l.prompts)
	return s
}

// after lists the calls with a greater id, oldest first.
func (l *ledger) after(id int64) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Call{}
	for _, c := range l.calls {
		if c.ID > id {
			out = append(out, c)
		}
	}
	return out
}
