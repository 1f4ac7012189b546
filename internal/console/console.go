// Package console is the HTTP side of `gistmill server`: routes, authentication, probes, and the
// pages of the queue.
//
// It owns who may see which route, and the headers that protect pages. It refuses to own what they
// show: [Config] brings the handlers of demand and metrics and the checks of readiness.
package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// QueuesPath is the path of the queue's pages.
const QueuesPath = "/queues"

// Config is the configuration of [New].
type Config struct {
	// Demand and Metrics serve /demand and /metrics.
	Demand, Metrics http.Handler
	// Redis is the client that the pages of the queue use.
	Redis redis.UniversalClient
	// Ready holds the checks of what the server depends on, by name.
	Ready map[string]func(context.Context) error
	// Token protects everything except probes, demand and metrics. Nil means no authentication.
	Token *Token
	// TokenForMetrics makes Token protect demand and metrics too.
	TokenForMetrics bool
	Log             *slog.Logger
}

// New returns the handler of all routes. It answers other paths with 404.
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

// readyTimeout bounds the checks of readiness.
const readyTimeout = 2 * time.Second

// Ready returns a readiness probe: it answers 200 if all checks pass within two seconds, otherwise
// 503 with the names of those that fail.
func Ready(parts map[string]func(context.Context) error, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		type result struct {
			name string
			err  error
		}
		results := make(chan result, len(parts))
		for name, check := range parts {
			go func() { results <- result{name, check(ctx)} }()
		}
		status, body := http.StatusOK, map[string]string{}
		for range parts {
			r := <-results
			body[r.name] = "ok"
			if r.err != nil {
				status = http.StatusServiceUnavailable
				// No reason: it may name hosts and users, and this route needs no token.
				body[r.name] = "does not answer"
				log.Warn("not ready", "part", r.name, "error", r.err)
			}
		}
		answer(w, status, body)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

// headers sets the headers of all responses.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// pages limits what asynqmon's pages may load to this server, and forbids framing them. Their own
// scripts and styles are partly inline.
func pages(next http.Handler) http.Handler {
	const policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}
