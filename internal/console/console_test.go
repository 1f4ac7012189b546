package console_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/console"
)

const secret = "a-token-of-the-test"

func saying(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func tokenFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// site returns a console over miniredis. change may alter its configuration.
func site(t *testing.T, change func(*console.Config)) http.Handler {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	token, err := console.ReadToken(tokenFile(t, secret+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := console.Config{
		Demand: saying("demand"), Metrics: saying("metrics"), Redis: client, Token: token, Log: slog.New(slog.DiscardHandler),
		Ready: map[string]func(context.Context) error{"redis": func(context.Context) error { return nil }},
	}
	if change != nil {
		change(&c)
	}
	return console.New(c)
}

func get(h http.Handler, path string, authorize func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if authorize != nil {
		authorize(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func basic(token string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth("anyone", token) }
}

func TestWhoMaySeeWhat(t *testing.T) {
	t.Parallel()
	const open, asked = http.StatusOK, http.StatusUnauthorized
	strict := func(c *console.Config) { c.TokenForMetrics = true }
	free := func(c *console.Config) { c.Token = nil }
	cases := []struct {
		name, path string
		change     func(*console.Config)
		authorize  func(*http.Request)
		want       int
	}{
		{"pages without a token", "/queues/", nil, nil, asked},
		{"data of the pages", "/queues/api/queues", nil, nil, asked},
		{"pages with the token", "/queues/", nil, bearer(secret), open},
		{"with Basic authentication", "/queues/", nil, basic(secret), open},
		{"a wrong token", "/queues/", nil, bearer("wrong"), asked},
		{"a wrong password", "/queues/", nil, basic("wrong"), asked},
		{"an empty token", "/queues/", nil, bearer(""), asked},
		{"a prefix of the token", "/queues/", nil, bearer(secret[:5]), asked},
		{"liveness", "/healthz", nil, nil, open},
		{"readiness", "/readyz", nil, nil, open},
		{"demand", "/demand", nil, nil, open},
		{"metrics", "/metrics", nil, nil, open},
		{"demand with auth-metrics", "/demand", strict, nil, asked},
		{"metrics with auth-metrics", "/metrics", strict, nil, asked},
		{"metrics with auth-metrics and the token", "/metrics", strict, bearer(secret), open},
		{"readiness with auth-metrics", "/readyz", strict, nil, open},
		{"no token is set", "/queues/", free, nil, open},
		{"the start page", "/", nil, nil, asked},
		{"the start page leads to the queue", "/", nil, bearer(secret), http.StatusFound},
		{"an unknown path", "/other", nil, bearer(secret), http.StatusNotFound},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := get(site(t, tc.change), tc.path, tc.authorize)
			if w.Code != tc.want {
				t.Errorf("%s answers %d, want %d: %s", tc.path, w.Code, tc.want, w.Body)
			}
			if asks := w.Header().Get("WWW-Authenticate") != ""; asks != (tc.want == asked) {
				t.Errorf("%s asks for a password: %v", tc.path, asks)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s lets browsers guess its content type", tc.path)
			}
		})
	}
}

func TestQueuesAreReadOnlyAndWithoutPayloads(t *testing.T) {
	t.Parallel()
	const canary = "payload-of-another-program"
	h := site(t, func(c *console.Config) {
		ctx := t.Context()
		_, err := c.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.SAdd(ctx, "asynq:queues", "documents")
			p.LPush(ctx, "asynq:{documents}:pending", "one")
			// The task message is protobuf: type (1), payload (2), id (3), queue (4).
			message := "\x0a\x05other\x12" + string(rune(len(canary))) + canary + "\x1a\x03one\x22\x09documents"
			p.HSet(ctx, "asynq:{documents}:t:one", "msg", message, "state", "pending", "pending_since", "1")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	tasks := get(h, "/queues/api/queues/documents/pending_tasks", bearer(secret))
	if tasks.Code != http.StatusOK || !strings.Contains(tasks.Body.String(), `"id":"one"`) {
		t.Fatalf("the task is not listed: %d %s", tasks.Code, tasks.Body)
	}
	if strings.Contains(tasks.Body.String(), canary) {
		t.Errorf("the payload is shown: %s", tasks.Body)
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		r := httptest.NewRequest(method, "/queues/api/queues/documents:pause", nil)
		if method == http.MethodDelete {
			r = httptest.NewRequest(method, "/queues/api/queues/documents/pending_tasks:delete_all", nil)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s changes the queue: %d", method, w.Code)
		}
	}
	page := get(h, "/queues/", bearer(secret))
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the page may be framed and load anything: %q", policy)
	}
}

// Any program that can write to Redis chooses the names of queues and tasks. The pages load them as
// JSON, which no browser renders as a page, and contain none of them.
func TestNamesInRedisAreNoPages(t *testing.T) {
	t.Parallel()
	const lure = `<img src=x onerror=alert(1)><script>alert(2)</script>`
	h := site(t, func(c *console.Config) {
		ctx := t.Context()
		_, err := c.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.SAdd(ctx, "asynq:queues", "documents", lure)
			p.LPush(ctx, "asynq:{documents}:pending", lure)
			// Protobuf: type (1), payload (2), id (3), queue (4).
			message := "\x0a" + string(rune(len(lure))) + lure + "\x12\x01x\x1a" + string(rune(len(lure))) + lure + "\x22\x09documents"
			p.HSet(ctx, "asynq:{documents}:t:"+lure, "msg", message, "state", "pending", "pending_since", "1")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	shown := 0
	for _, path := range []string{
		"/queues/", "/queues/api/queues", "/queues/api/queues/documents", "/queues/api/queues/documents/pending_tasks", "/queues/api/queues/" + url.PathEscape(lure),
		"/queues/" + url.PathEscape(lure), "/queues/?q=" + url.QueryEscape(lure), "/" + url.PathEscape(lure), "/queues/api/queues/documents/tasks/" + url.PathEscape(lure),
	} {
		w := get(h, path, bearer(secret))
		kind := w.Header().Get("Content-Type")
		if kind == "" {
			kind = http.DetectContentType(w.Body.Bytes()) // as net/http does
		}
		if strings.Contains(w.Body.String(), "\\u003cimg src=x") {
			shown++
		}
		if strings.HasPrefix(kind, "text/html") && strings.Contains(w.Body.String(), "onerror") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is a page with foreign content: %s %s", path, kind, w.Body)
		}
	}
	if shown == 0 {
		t.Error("no page shows the names, so this test checks nothing")
	}
}

func TestReadinessNamesWhatIsAway(t *testing.T) {
	t.Parallel()
	w := get(site(t, func(c *console.Config) {
		c.Ready["ledger"] = func(context.Context) error { return errors.New("no route to db.internal for user bob") }
	}), "/readyz", nil)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"ledger":"does not answer"`) ||
		!strings.Contains(w.Body.String(), `"redis":"ok"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "bob") {
		t.Errorf("a route without a token shows internal details: %s", w.Body)
	}
}

func TestRotatedTokenHolds(t *testing.T) {
	t.Parallel()
	path := tokenFile(t, "old")
	client := redis.NewClient(&redis.Options{}) // starts its own goroutines
	defer client.Close()
	synctest.Test(t, func(t *testing.T) {
		token, err := console.ReadToken(path)
		if err != nil {
			t.Fatal(err)
		}
		h := console.New(console.Config{
			Demand: saying("demand"), Metrics: saying("metrics"), Token: token, TokenForMetrics: true, Log: slog.New(slog.DiscardHandler),
			Redis: client,
		})
		allowed := func(secret string) bool { return get(h, "/demand", bearer(secret)).Code == http.StatusOK }
		if !allowed("old") || allowed("new") {
			t.Error("the first token is not valid")
		}
		if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if allowed("old") || !allowed("new") {
			t.Error("the new token is not valid after 6 s")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if !allowed("new") {
			t.Error("without the file, the token is no longer valid")
		}
	})
}

func TestUselessTokenIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := console.ReadToken(tokenFile(t, " \n")); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty token: %v", err)
	}
	if _, err := console.ReadToken(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file gave a token")
	}
}

// A request in flight at shutdown gets its response.
func TestServeEndsInOrder(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	go func() { ended <- console.Serve(ctx, listener, slow, time.Minute, slog.New(slog.DiscardHandler)) }()
	answered := make(chan string, 1)
	go func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		if err != nil {
			answered <- err.Error()
			return
		}
		r, err := (&http.Client{}).Do(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		answered <- string(body)
	}()
	<-began
	stop()
	close(finish)
	if got := <-answered; got != "whole" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
