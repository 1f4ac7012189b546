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
	// turnTimeout is the maximum time between two turns of a background loop. Loops turn every few
	// seconds, and no statement or command takes longer than a minute.
	turnTimeout = 3 * time.Minute
	// hungConfirmation is the time that Redis and ledger must have answered after that before the
	// worker counts as hung: after an outage a loop takes a moment to turn.
	hungConfirmation = time.Minute
	// checkTimeout bounds the check of all parts.
	checkTimeout = 2 * time.Second
)

// Watchdog is the handler of a worker's liveness probe. It tells a worker that hangs from one that
// waits for Redis or the ledger: a restart would not help the latter and would lose its calls in
// flight. It is safe for concurrent use.
type Watchdog struct {
	parts map[string]func(context.Context) error
	log   *slog.Logger

	mu     sync.Mutex
	turned map[string]time.Time // last turn by loop
	hung   time.Time            // when a loop was first late while all parts answered; zero if none is
}

// NewWatchdog returns a watchdog that watches each loop from its first turn on. parts are the
// checks of what the worker depends on, by name.
func NewWatchdog(parts map[string]func(context.Context) error, log *slog.Logger) *Watchdog {
	return &Watchdog{parts: parts, log: log, turned: map[string]time.Time{}}
}

// Turned records that a loop began or made a turn.
func (w *Watchdog) Turned(loop string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turned[loop] = time.Now()
}

// ServeHTTP answers 200, or 503 with the name of the loop if the worker hangs. It expects regular
// requests, as a liveness probe sends them.
func (w *Watchdog) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, map[string]string{"status": "ok"}
	if loop := w.late(); loop == "" {
		w.setHung(false)
	} else if w.setHung(w.answering(r.Context())) {
		status, body = http.StatusServiceUnavailable, map[string]string{"status": "hung", "loop": loop}
		w.log.Error("background loop hangs", "loop", loop)
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body) // the client is gone
}

// late returns a loop without a turn within turnTimeout, or "".
func (w *Watchdog) late() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for loop, at := range w.turned {
		if time.Since(at) > turnTimeout {
			return loop
		}
	}
	return ""
}

func (w *Watchdog) answering(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, check := range w.parts {
		if check(ctx) != nil {
			return false
		}
	}
	return true
}

// setHung records whether the worker seems to hang, and reports whether it has for long enough.
func (w *Watchdog) setHung(hung bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !hung:
		w.hung = time.Time{}
	case w.hung.IsZero():
		w.hung = time.Now()
	}
	return hung && time.Since(w.hung) >= hungConfirmation
}
