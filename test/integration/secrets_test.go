//go:build integration

package integration

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// canary is part of every secret in these tests, and appears nowhere else.
const canary = "CANARY"

// The secrets of a deployment.
const (
	apiKey        = canary + "-of-the-endpoint"
	fallbackKey   = canary + "-of-the-fallback"
	redisPassword = canary + "-of-redis"
	storePassword = canary + "-of-postgresql"
	authToken     = canary + "-of-the-server"
	bucketKey     = canary + "-of-the-bucket"
	traceHeader   = canary + "-of-the-collector"
	proxyPassword = canary + "-in-the-base-url"
	headerValue   = canary + "-of-a-header"
)

// secretSite is a site with a secret in every possible place. All output of its programs is
// searched for them.
type secretSite struct {
	*site
	keyspace *redisServer
	postgres *postgresServer
	endpoint *echo
	traces   *traceServer
	headers  atomic.Int64 // requests with the header for traces
}

// echo is an endpoint that answers with the request it received, headers first, as some failing
// gateways do. Otherwise it forwards to the site's endpoint.
type echo struct {
	next http.Handler

	mu     sync.Mutex
	status int // 0: ask the next
	form   string
	keys   map[string]bool // keys that it received
	echoes int             // how often it answered with the request
}

func (e *echo) echoCount() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.echoes
}

func (e *echo) set(status int, form string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.form = status, form
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	status, form := e.status, e.form
	e.keys[r.Header.Get("Authorization")] = true
	e.keys[r.Header.Get("X-Team")] = true
	if status != 0 {
		e.echoes++
	}
	e.mu.Unlock()
	if status == 0 {
		e.next.ServeHTTP(w, r)
		return
	}
	var sent bytes.Buffer
	fmt.Fprintf(&sent, "%s refused %s. ", r.URL, r.Header.Get("Authorization"))
	_ = r.Header.Write(&sent)
	body, _ := io.ReadAll(r.Body)
	sent.Write(body)
	w.Header().Set("X-Request-Id", r.Header.Get("Authorization"))
	w.Header().Set("Www-Authenticate", "Bearer "+r.Header.Get("Authorization"))
	switch form {
	case "openai":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error": {"message": %q, "type": %[1]q, "code": %[1]q, "param": %[1]q}}`, sent.String())
	case "detail":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"detail": [{"loc": ["header"], "msg": %q, "input": %[1]q}], "message": %[1]q, "object": "error"}`, sent.String())
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><title>%s</title><pre>%[1]s</pre></html>", sent.String())
	case "redirect":
		w.Header().Set("Location", "/elsewhere?"+url.QueryEscape(sent.String()))
		w.WriteHeader(status)
	default:
		w.WriteHeader(status)
		_, _ = w.Write(sent.Bytes())
	}
}

func newSecretSite(t *testing.T) *secretSite {
	t.Helper()
	s := &secretSite{traces: &traceServer{traces: map[string]map[string]int{}}}
	s.keyspace = newRedisWith(t, redis.Options{Password: redisPassword}, "--requirepass", redisPassword)
	s.postgres = newPostgres(t, nil, []string{"host all all 127.0.0.1/32 scram-sha-256"})
	if _, err := s.postgres.db.Exec("CREATE ROLE gistmill LOGIN PASSWORD '" + storePassword + "'; ALTER DATABASE gistmill OWNER TO gistmill"); err != nil {
		t.Fatal(err)
	}
	redisURL := fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", redisPassword, s.keyspace.port)
	s.site = newSite(t, redisURL, func(c *fakellm.Config) { c.Keys = []string{apiKey} })
	s.db = s.postgres.db
	s.endpoint = &echo{next: s.fake, keys: map[string]bool{}}
	front := httptest.NewServer(s.endpoint)
	t.Cleanup(front.Close)
	// The fallback has a key of its own.
	cfg := fakellm.Defaults()
	cfg.Keys = []string{fallbackKey}
	second, err := fakellm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fallback := httptest.NewServer(second)
	t.Cleanup(fallback.Close)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Collector") == traceHeader {
			s.headers.Add(1)
		}
		s.traces.ServeHTTP(w, r)
	}))
	t.Cleanup(collector.Close)
	s.write("token", []byte(authToken+"\n"))
	for name, value := range map[string]string{
		"GISTMILL_STORE":             s.postgres.url("gistmill:"+storePassword, "gistmill", "sslmode=disable"),
		"GISTMILL_BASE_URL":          front.URL + "/v1",
		"OPENAI_API_KEY":             apiKey,
		"GISTMILL_FALLBACKS":         "other@" + fallback.URL + "/v1",
		"GISTMILL_FALLBACK_API_KEYS": fallbackKey,
		"GISTMILL_HEADERS":           `{"X-Team": "` + headerValue + `"}`,
		"GISTMILL_LOG_LEVEL":         "debug",
		"AWS_ACCESS_KEY_ID":          "key", "AWS_SECRET_ACCESS_KEY": bucketKey, "AWS_SESSION_TOKEN": bucketKey,
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-collector=" + traceHeader,
	} {
		s.env[name] = value
	}
	return s
}

// clean fails if a text contains a secret, plain or as HTTP Basic credentials.
func (s *secretSite) clean(where, text string) {
	s.t.Helper()
	lower := strings.ToLower(text)
	if at := strings.Index(lower, strings.ToLower(canary)); at >= 0 {
		s.t.Errorf("%s has a secret: …%s…", where, text[max(0, at-200):min(len(text), at+60)])
	}
	for _, user := range []string{"", "user", "default", "gistmill"} {
		for _, secret := range []string{apiKey, redisPassword, storePassword, authToken, proxyPassword} {
			if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(user+":"+secret))) {
				s.t.Errorf("%s has a secret in base64", where)
			}
		}
	}
}

// checkOutput searches the output of a process that has ended.
func (s *secretSite) checkOutput(r programtest.Result) programtest.Result {
	s.t.Helper()
	s.clean(strings.Join(r.Args, " ")+": stdout", r.Stdout)
	s.clean(strings.Join(r.Args, " ")+": stderr", r.Stderr)
	return r
}

// do runs a program with a changed environment.
func (s *secretSite) do(change map[string]string, args ...string) programtest.Result {
	s.t.Helper()
	var r programtest.Result
	s.with(change, func() { r = s.checkOutput(s.run(args...)) })
	return r
}

// with calls a function with a changed environment.
func (s *secretSite) with(change map[string]string, do func()) {
	before := maps.Clone(s.env)
	defer func() { s.env = before }()
	s.env = maps.Clone(s.env)
	maps.Copy(s.env, change)
	do()
}

// No secret leaks: output at its most verbose, metrics, pages, traces, Redis, ledger, files.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	s := newSecretSite(t)
	s.write("notes.jsonl", lines(0, 20))
	for _, part := range []func(){s.work, s.badServers, s.echoed, s.settings, s.keys} {
		began := time.Now()
		part()
		t.Log(time.Since(began))
	}

	s.clean("the traces", s.traces.raw.String())
	if s.headers.Load() == 0 || len(s.traces.traces) == 0 {
		t.Error("no trace was sent with its header")
	}
	if !s.endpoint.keys["Bearer "+apiKey] {
		t.Error("the endpoint did not receive its key")
	}
	if !s.endpoint.keys[headerValue] {
		t.Error("the endpoint did not receive the header")
	}
	dump, err := s.postgres.server.Command(background(), "pg_dump", "--inserts", s.postgres.url("postgres", "gistmill", "sslmode=disable")).Output()
	if err != nil || !bytes.Contains(dump, []byte("notes.jsonl#7")) {
		t.Fatalf("pg_dump: %v, %d bytes", err, len(dump))
	}
	s.clean("the ledger", string(dump))
	// Redis logs every write, also of keys that are deleted later.
	s.tree("Redis' append-only file", s.keyspace.dir, "asynq:{"+s.queue+"}")
	s.tree("the folder of the programs", s.dir, "Barge 7", "token")
	s.tree("their temporary folder", s.env["TMPDIR"], "")
}

// tree searches all files of a folder. One of them must contain the given text.
func (s *secretSite) tree(what, dir, has string, but ...string) {
	s.t.Helper()
	found := has == ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found = found || bytes.Contains(content, []byte(has))
		for _, name := range but {
			if d.Name() == name {
				return nil
			}
		}
		s.clean(what+" ("+d.Name()+")", string(content))
		s.clean("a name in "+what, path)
		return nil
	})
	if err != nil || !found {
		s.t.Errorf("%s: %v; %q is not in it", what, err, has)
	}
}

// work runs everything that serves until a run ends.
func (s *secretSite) work() {
	s.t.Helper()
	v := s.server("--auth-token-file", "token")
	w := s.start("worker", "--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--concurrency", "2", "--rpm", "60000")
	ofWorker := &server{Process: w, t: s.t}
	w.Until("it serves its metrics", func() bool {
		if m := watching.FindStringSubmatch(w.Stderr.String()); m != nil {
			ofWorker.url = "http://" + m[1]
		}
		return ofWorker.url != ""
	})
	enqueued := s.checkOutput(s.run("enqueue", "notes.jsonl", "--partition-documents", "5", "-o", "json").WantCode(0))
	var rows []planned
	enqueued.Decode(&rows)
	run := rows[0].Run
	s.finish(run, patience, programtest.Totals{Total: 20, Done: 20})
	for _, path := range []string{
		"/", "/metrics", "/demand", "/readyz", "/healthz", "/queues/", "/queues/api/queues", "/queues/api/queues/" + s.queue, "/queues/api/servers",
		"/queues/api/redis_info", "/queues/api/queues/" + s.queue + "/pending_tasks",
	} {
		s.clean(path, s.page(v.url+path))
		status, body := v.get(path) // without the token
		s.clean(fmt.Sprintf("%s (%d)", path, status), string(body))
	}
	_, body := ofWorker.get("/metrics")
	s.clean("the worker's metrics", string(body))
	for _, args := range [][]string{
		{"status"}, {"status", "-o", "json"}, {"runs", "-o", "json"}, {"show", "notes.jsonl#7"}, {"show", "notes.jsonl#7", "-o", "json"},
		{"config"}, {"config", "-o", "json"}, {"export", "all.jsonl"}, {"export", "all.parquet"}, {"export", "pages", "--format", "markdown"}, {"--help"}, {"run", "--help"},
	} {
		s.do(nil, args...).WantCode(0)
	}
	// A panic would print this: the stacks of all goroutines.
	w.Signal(syscall.SIGQUIT)
	if r := s.checkOutput(w.Wait()); !strings.Contains(r.Stderr, "goroutine 1 ") {
		s.t.Errorf("no stacks were printed: %s", r.Stderr)
	}
	s.checkOutput(v.Stop())
}

// page requests a page of the server with the token.
func (s *secretSite) page(address string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+authToken)
	client := http.Client{Timeout: patience}
	response, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		s.t.Errorf("%s answers %s, %v", address, response.Status, err)
	}
	return string(body)
}

// badServers runs the programs with servers that refuse them or do not exist.
func (s *secretSite) badServers() {
	s.t.Helper()
	closed := freePort(s.t)
	redisAt := func(password string, port int) string {
		return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", password, port)
	}
	storeAt := func(password string, port int) string {
		return fmt.Sprintf("postgres://gistmill:%s@127.0.0.1:%d/gistmill?sslmode=disable", password, port)
	}
	wrong := canary + "-that-is-wrong"
	refusing := []map[string]string{
		{"GISTMILL_REDIS": redisAt(wrong, s.keyspace.port)},
		{"GISTMILL_STORE": storeAt(wrong, s.postgres.port)},
		{"GISTMILL_STORE": "postgres://gistmill@127.0.0.1:" + fmt.Sprint(s.postgres.port) + "/none?sslmode=disable&password=" + storePassword},
		// Another protocol: some clients quote what they received.
		{"GISTMILL_REDIS": redisAt(redisPassword, s.postgres.port)},
		{"GISTMILL_STORE": storeAt(storePassword, s.keyspace.port)},
	}
	for _, env := range refusing {
		s.do(env, "worker", "--exit-when-idle=1s").WantCode(1)
	}
	var trying []*programtest.Process // for 15 s each
	for _, env := range []map[string]string{{"GISTMILL_REDIS": redisAt(redisPassword, closed)}, {"GISTMILL_STORE": storeAt(storePassword, closed)}} {
		s.with(env, func() { trying = append(trying, s.start("enqueue", "notes.jsonl")) })
	}
	for _, p := range trying {
		s.checkOutput(p.Wait().WantCode(1))
	}
	bucket := fmt.Sprintf("s3://%s?region=eu&use_path_style=true&disable_https=true&endpoint=http://127.0.0.1:%d", bucketName, closed)
	s.do(map[string]string{"AWS_MAX_ATTEMPTS": "1"}, "enqueue", bucket).WantCode(1)
}

// echoed makes the endpoint return the request in every form. Each ends in the log, in the
// ledger as history or dead letter, and in the output of a run.
func (s *secretSite) echoed() {
	s.t.Helper()
	n := 100
	for _, answer := range []struct {
		status int
		form   string
	}{
		{200, "detail"}, {307, "redirect"}, {400, "openai"}, {401, "openai"}, {401, "detail"}, {401, "html"}, {401, "text"}, {403, "text"},
		{422, "detail"}, {429, "openai"}, {500, "openai"}, {503, "html"},
	} {
		s.endpoint.set(answer.status, answer.form)
		n++
		file := fmt.Sprintf("echo-%d.txt", n)
		s.write(file, []byte(note(n)))
		args := []string{"run", file, "--max-attempts", "2", "--retry-base", "1ms", "--retry-cap", "2ms", "--request-timeout", "2s", "--out", "summaries"}
		env := map[string]string{"GISTMILL_FALLBACKS": "", "GISTMILL_FALLBACK_API_KEYS": "", "GISTMILL_REDIS": ""}
		told := s.endpoint.echoCount()
		if answer.status == http.StatusTooManyRequests || answer.status == http.StatusServiceUnavailable {
			// Waits without a limit.
			s.with(env, func() {
				p := s.start(args...)
				p.Until("the endpoint was asked", func() bool { return s.endpoint.echoCount() > told })
				p.Signal(syscall.SIGTERM)
				s.checkOutput(p.Wait())
			})
			continue
		}
		if r := s.do(env, args...); r.Code == 0 || s.endpoint.echoCount() == told {
			s.t.Errorf("%+v: the run ended with %d", answer, r.Code)
		}
	}
	s.endpoint.set(0, "")
	s.do(nil, "dead", "list").WantCode(0)
	s.do(nil, "dead", "list", "-o", "json").WantCode(0)
	s.do(nil, "dead", "export", "dead.jsonl").WantCode(0)
	s.do(nil, "runs").WantCode(0)
}

// keys runs the program with keys from a file and from a command, that are right, refused, and of
// no use. The endpoint echoes a refused one.
func (s *secretSite) keys() {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "key")
	n := 200
	run := func(content, setting, value string, status int) programtest.Result {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		n++
		name := fmt.Sprintf("key-%d.txt", n)
		s.write(name, []byte(note(n)))
		s.endpoint.set(status, "openai")
		env := map[string]string{"OPENAI_API_KEY": "", "GISTMILL_FALLBACKS": "", "GISTMILL_FALLBACK_API_KEYS": "", "GISTMILL_REDIS": "", setting: value}
		s.do(env, "config").WantCode(0)
		s.do(env, "check", "--out", "none")
		return s.do(env, "run", name, "--max-attempts", "1", "--out", "summaries")
	}
	for setting, value := range map[string]string{"GISTMILL_API_KEY_FILE": file, "GISTMILL_API_KEY_COMMAND": "cat " + file + "; : " + canary} {
		run(apiKey+"\n", setting, value, 0).WantCode(0)
		if r := run(apiKey+"\n", setting, value, http.StatusUnauthorized); r.Code == 0 {
			s.t.Errorf("%s: a run with a refused key exits with 0", setting)
		}
	}
	if r := run("not a key "+apiKey, "GISTMILL_API_KEY_COMMAND", "cat "+file+"; echo "+canary+" >&2; exit 3", 0); r.Code == 0 {
		s.t.Error("a command that fails gives a key")
	}
	s.endpoint.set(0, "")
}

// settings runs the programs with wrong settings that contain secrets.
func (s *secretSite) settings() {
	s.t.Helper()
	for _, env := range []map[string]string{
		{"GISTMILL_REDIS": "redis://:" + redisPassword + "@h@st:port/0"},
		{"GISTMILL_REDIS": "redis://" + redisPassword + ":host:6379"},
		{"GISTMILL_REDIS": "redis://:" + redisPassword + "/with#all?sorts@127.0.0.1:1x"},
		{"GISTMILL_STORE": "postgres://gistmill:" + storePassword + "@host:port/db"},
		{"GISTMILL_STORE": "postgres://gistmill:" + storePassword + "%zz@127.0.0.1/db"},
		{"GISTMILL_STORE": "mysql://gistmill:" + storePassword + "@host/db"},
		{"GISTMILL_BASE_URL": "htp://user:" + proxyPassword + "@host/v1"},
		{"GISTMILL_BASE_URL": "http://user:" + proxyPassword + "@host:port/v1"},
		{"OPENAI_API_KEY": apiKey + " and more"},
		{"GISTMILL_FALLBACK_API_KEYS": fallbackKey + ",,," + fallbackKey},
		{"OPENAI_API_KEY": "Bearer " + apiKey}, {"OPENAI_API_KEY": `"` + apiKey + `"`},
		{"GISTMILL_HEADERS": headerValue}, {"GISTMILL_HEADERS": `{"X-Team": ["` + headerValue + `"]}`}, {"GISTMILL_HEADERS": `{"Authorization": "` + headerValue + `"}`},
		{"GISTMILL_FALLBACKS": "m@ftp://user:" + proxyPassword + "@host"},
	} {
		s.do(env, "config")
		if r := s.do(env, "worker", "--exit-when-idle=1s"); r.Code == 0 {
			s.t.Errorf("%v: a worker exited with 0", env)
		}
	}
	base := strings.Replace(s.env["GISTMILL_BASE_URL"], "http://", "http://user:"+proxyPassword+"@", 1)
	s.do(map[string]string{"GISTMILL_BASE_URL": base}, "config").WantCode(0)
	s.endpoint.set(http.StatusInternalServerError, "text")
	s.write("base.txt", []byte(note(99)))
	s.do(map[string]string{"GISTMILL_BASE_URL": base, "OPENAI_API_KEY": "", "GISTMILL_FALLBACKS": "", "GISTMILL_FALLBACK_API_KEYS": ""},
		"run", "base.txt", "--max-attempts", "1", "--out", "summaries")
	s.do(map[string]string{"GISTMILL_BASE_URL": "http://user:" + proxyPassword + "@127.0.0.1:" + fmt.Sprint(freePort(s.t)) + "/v1"},
		"run", "base.txt", "--force", "--max-attempts", "1", "--out", "summaries", "--model", "m", "--yes")
	s.endpoint.set(0, "")
}
