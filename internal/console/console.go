// Package console is the HTTP side of `gistmill server`: the routes, who may see them, the probes, and the pages of the queue.
//
// It owns authentication and the headers that keep pages from harm. It refuses to own what is shown: the demand, the metrics and
// the checks of readiness are handed in.
package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// QueuesPath is where the pages of the queue are.
const QueuesPath = "/queues"

// Config of the routes.
type Config struct {
	// Demand and Metrics answer /demand and /metrics.
	Demand, Metrics http.Handler
	// Redis is what the pages of the queue read.
	Redis redis.UniversalClient
	// Ready are the parts without which the server is of no use, by name; each says what is wrong with it.
	Ready map[string]func(context.Context) error
	// Token is asked for on everything but the probes, demand and metrics; nil: everything is open.
	Token *Token
	// TokenForMetrics asks for it on demand and metrics too.
	TokenForMetrics bool
	Log             *slog.Logger
}

// New routes requests. Whatever is not named here is not found.
func New(c Config) http.Handler {
	guarded := func(h http.Handler) http.Handler { return c.Token.guard(h, c.Log) }
	forMachines := func(h http.Handler) http.Handler { return h }
	if c.TokenForMetrics {
		forMachines = guarded
	}
	mux := http.NewServeMux()
	mux.Handle("/demand", forMachines(c.Demand))
	mux.Handle("GET /metrics", forMachines(c.Metrics))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle("GET /readyz", Ready(c.Ready, c.Log))
	mux.Handle(QueuesPath+"/", guarded(pages(queues(c.Redis))))
	mux.Handle("GET /{$}", guarded(http.RedirectHandler(QueuesPath+"/", http.StatusFound)))
	return headers(mux)
}

// readyWithin bounds the question to one part.
const readyWithin = 2 * time.Second

// Ready is 200 when every part answers, else 503, and names what does not.
func Ready(parts map[string]func(context.Context) error, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
		defer cancel()
		type result struct {
			name string
			err  error
		}
		results := make(chan result, len(parts))
		for name, check := range parts {
			go func() { results <- result{name, check(ctx)} }()
		}
		status, said := http.StatusOK, map[string]string{}
		for range parts {
			r := <-results
			said[r.name] = "ok"
			if r.err != nil {
				status = http.StatusServiceUnavailable
				said[r.name] = "does not answer" // the reason may name hosts and users, and this page is open
				log.Warn("not ready", "part", r.name, "error", r.err)
			}
		}
		answer(w, status, said)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody is left to be told
}

// headers are those that every answer has.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// pages keeps what the pages of others load and who may frame them within this server. Their own scripts and styles are
// partly inline.
func pages(next http.Handler) http.Handler {
	const policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}
