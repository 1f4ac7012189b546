package telemetry

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// hungAfter is how long a loop in the background may take for a turn; all of them turn every few seconds, and no statement or command
	// takes longer than a minute.
	hungAfter = 3 * time.Minute
	// surelyHung is how long after that Redis and ledger must have answered all along before the worker is given up: after an outage a
	// loop takes a moment to turn.
	surelyHung = time.Minute
	// answersWithin bounds the question to a part.
	answersWithin = 2 * time.Second
)

// Watchdog tells a worker that hangs from one that waits for Redis or ledger. The latter is well: a restart would mend nothing, and costs
// the calls in flight.
type Watchdog struct {
	parts map[string]func(context.Context) error
	log   *slog.Logger

	mu     sync.Mutex
	turned map[string]time.Time // by loop
	hung   time.Time            // since when a loop has been late while all parts answered; zero: it is not so
}

// NewWatchdog watches loops from their first turn on. parts are what the worker waits for, by name.
func NewWatchdog(parts map[string]func(context.Context) error, log *slog.Logger) *Watchdog {
	return &Watchdog{parts: parts, log: log, turned: map[string]time.Time{}}
}

// Turned says that a loop begins or has made a turn.
func (w *Watchdog) Turned(loop string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turned[loop] = time.Now()
}

// ServeHTTP answers 200 while the worker is well, else 503, with the loop that hangs. It is to be asked again and again, as a liveness
// probe does.
func (w *Watchdog) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	status, said := http.StatusOK, map[string]string{"status": "ok"}
	if loop := w.late(); loop == "" {
		w.setHung(false)
	} else if w.setHung(w.answering(r.Context())) {
		status, said = http.StatusServiceUnavailable, map[string]string{"status": "hung", "loop": loop}
		w.log.Error("a loop in the background hangs", "loop", loop)
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(said) // nobody is left to be told
}

// late is a loop that has not turned for long, or empty.
func (w *Watchdog) late() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for loop, at := range w.turned {
		if time.Since(at) > hungAfter {
			return loop
		}
	}
	return ""
}

func (w *Watchdog) answering(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	for _, check := range w.parts {
		if check(ctx) != nil {
			return false
		}
	}
	return true
}

// setHung says whether it has been so for long enough.
func (w *Watchdog) setHung(hung bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !hung:
		w.hung = time.Time{}
	case w.hung.IsZero():
		w.hung = time.Now()
	}
	return hung && time.Since(w.hung) >= surelyHung
}
