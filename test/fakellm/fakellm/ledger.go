package fakellm

import (
	"net/http"
	"sync"
	"time"
)

// A Call is one request for a chat completion, however it ended.
type Call struct {
	ID       int64     `json:"id"`
	At       time.Time `json:"at"`
	Millis   float64   `json:"duration_ms"`
	Model    string    `json:"model"`
	Key      string    `json:"key"`    // API key of the caller
	Prompt   string    `json:"prompt"` // SHA-256 of the user messages, first 16 bytes in hex
	Status   int       `json:"status"` // 0: no answer (hang, reset)
	Outcome  string    `json:"outcome"`
	In       int       `json:"tokens_in"`
	Out      int       `json:"tokens_out"`
	Charge   int       `json:"charge"` // tokens charged at admission
	Tier     string    `json:"tier"`   // service tier of the answer: default or flex
	InFlight int       `json:"in_flight"`
}

// Outcome of a Call. All but OutcomeOK name the failure, injected or not.
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
	OutcomeNoFlex    = "no_flex"
	// OutcomeNoCapacity is a refusal of the flex tier, which costs nothing.
	OutcomeNoCapacity = "no_capacity"
	OutcomeContext    = "context_length"
	OutcomeBad        = "bad_request"
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
	// Distinct counts different prompts among completed calls, Duplicates the completed calls
	// beyond the first of each.
	Distinct    int       `json:"distinct_prompts"`
	Duplicates  int64     `json:"duplicates"`
	InFlight    int       `json:"in_flight"`
	MaxInFlight int       `json:"max_in_flight"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// A Second counts the calls that arrived in one second, however they ended later.
type Second struct {
	At int64 `json:"at"` // Unix time
	Counts
}

// Counts are the calls that arrived in an interval.
type Counts struct {
	Calls     int64 `json:"calls"`     // that have ended
	Admitted  int64 `json:"admitted"`  // by the limits, whatever their answer
	Refused   int64 `json:"refused"`   // answered 429, by a limit or a fault
	Completed int64 `json:"completed"` // answered with a completion
	Charged   int64 `json:"charged"`   // tokens of the admitted
}

// An Interval holds the counts of a time, and what the limits would have admitted in it: rate ×
// time (whole requests of a window), without what a bucket held at its beginning; 0 is no
// limit.
type Interval struct {
	From int64 `json:"from"` // Unix time
	To   int64 `json:"to"`   // not included
	Counts
	AdmissibleRequests float64 `json:"admissible_requests"`
	AdmissibleTokens   float64 `json:"admissible_tokens"`
}

// maxCalls bounds the record of calls. Later calls are counted, not listed.
const maxCalls = 2_000_000

type ledger struct {
	mu      sync.Mutex
	calls   []Call
	stats   Stats
	prompts map[[16]byte]int32
	seconds []Second // from the first call on, without a gap
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
	l.seconds = nil
}

// admitted counts a call that passed the limits, before its answer is made.
func (l *ledger) admitted(at time.Time, charge int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Charged += int64(charge)
	second := l.second(at)
	second.Admitted++
	second.Charged += int64(charge)
}

// ended counts a call. Only if record is true the call is listed and its prompt is remembered.
func (l *ledger) ended(call *Call, prompt [16]byte, record bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, second := &l.stats, l.second(call.At)
	s.Calls++
	second.Calls++
	s.Status[call.Status]++
	s.Outcomes[call.Outcome]++
	s.MaxInFlight = max(s.MaxInFlight, call.InFlight)
	if s.First.IsZero() || call.At.Before(s.First) {
		s.First = call.At
	}
	if call.At.After(s.Last) {
		s.Last = call.At
	}
	if call.Status == http.StatusTooManyRequests {
		second.Refused++
	}
	switch call.Outcome {
	case OutcomeOK, OutcomeLength, OutcomeBadJSON, OutcomeRefused:
		s.Completed++
		second.Completed++
		s.TokensIn += int64(call.In)
		s.TokensOut += int64(call.Out)
		if record {
			l.prompts[prompt]++
			if l.prompts[prompt] > 1 {
				s.Duplicates++
			}
		}
	}
	if record && len(l.calls) < maxCalls {
		l.calls = append(l.calls, *call)
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

// second returns the count for a time. The caller holds the lock.
func (l *ledger) second(at time.Time) *Second {
	unix := at.Unix()
	if len(l.seconds) == 0 {
		l.seconds = append(l.seconds, Second{At: unix})
	}
	i := unix - l.seconds[0].At
	if i < 0 {
		i = 0 // two calls raced for being the first
	}
	for int64(len(l.seconds)) <= i {
		l.seconds = append(l.seconds, Second{At: l.seconds[0].At + int64(len(l.seconds))})
	}
	return &l.seconds[i]
}

// start returns the second of the first call, in Unix time.
func (l *ledger) start() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seconds) == 0 {
		return time.Now().Unix()
	}
	return l.seconds[0].At
}

// list leaves out the seconds before the first call and after the last.
func (l *ledger) list(from, to int64) []Second {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Second{}
	for _, s := range l.seconds {
		if s.At >= from && s.At < to {
			out = append(out, s)
		}
	}
	return out
}

func (l *ledger) interval(from, to int64) Interval {
	i := Interval{From: from, To: to}
	for _, s := range l.list(from, to) {
		i.Calls += s.Calls
		i.Admitted += s.Admitted
		i.Refused += s.Refused
		i.Completed += s.Completed
		i.Charged += s.Charged
	}
	return i
}
