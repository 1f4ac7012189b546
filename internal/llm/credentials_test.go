package llm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/certificates"
)

// request is what a server got.
type request struct {
	header http.Header
	host   string
}

// recording serves an answer, and keeps what it got.
type recording struct {
	mu     sync.Mutex
	got    []request
	refuse func(*http.Request) (status int, body string) // status 0: answer
}

func (a *recording) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	a.got = append(a.got, request{r.Header.Clone(), r.Host})
	a.mu.Unlock()
	if a.refuse != nil {
		if status, body := a.refuse(r); status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
	}
	_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"an answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
}

func (a *recording) calls() []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]request(nil), a.got...)
}

func askOnce(t *testing.T, cfg Config) error {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Complete(t.Context(), testRequest("text"))
	return err
}

func TestHeadersOfRequests(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"
	for name, tt := range map[string]struct {
		cfg  Config
		want map[string]string // empty: not there
	}{
		"plain":         {Config{APIKey: "key-0123"}, map[string]string{"User-Agent": "gistmill", "Authorization": "Bearer key-0123", "Api-Key": ""}},
		"without a key": {Config{UserAgent: "gistmill/1.2.3"}, map[string]string{"User-Agent": "gistmill/1.2.3", "Authorization": "", "Api-Key": ""}},
		"headers": {Config{Headers: map[string]string{"x-team": "research", "User-Agent": "mine/1", "OpenAI-Organization": "org-1"}},
			map[string]string{"X-Team": "research", "User-Agent": "mine/1", "Openai-Organization": "org-1"}},
		"Azure":                {Config{APIKey: "key-0123", APIVersion: "2024-10-21"}, map[string]string{"Api-Key": "key-0123", "Authorization": ""}},
		"a token to Azure":     {Config{APIKey: token, APIVersion: "2024-10-21"}, map[string]string{"Api-Key": "", "Authorization": "Bearer " + token}},
		"Azure without a key":  {Config{APIVersion: "2024-10-21"}, map[string]string{"Api-Key": "", "Authorization": ""}},
		"a key with a newline": {Config{APIKey: "key-0123\n"}, map[string]string{"Authorization": "Bearer key-0123"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &recording{}
			srv := httptest.NewServer(a)
			defer srv.Close()
			tt.cfg.BaseURL = srv.URL
			if err := askOnce(t, tt.cfg); err != nil {
				t.Fatal(err)
			}
			got := a.calls()[0].header
			for header, want := range tt.want {
				if values := got[http.CanonicalHeaderKey(header)]; strings.Join(values, "|") != want {
					t.Errorf("%s: %q, want %q", header, values, want)
				}
			}
		})
	}
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"X-Team": "", "anthropic-beta": "", "HTTP-Referer": "", "Helicone-Auth": "", "User-Agent": "", "x-api-key": "", "Ocp-Apim-Subscription-Key": "",
		"Authorization": "api-key", "authorization": "api-key", "api-key": "api-key", "API-Key": "api-key",
		"Host": "leave it out", "content-type": "leave it out", "Content-Length": "leave it out", "CONTENT-ENCODING": "leave it out",
		"Transfer-Encoding": "leave it out", "connection": "leave it out", "Proxy-Authorization": "HTTPS_PROXY",
		"": "name", "X Team": "name", "X-Team:": "name", "Füße": "name",
	} {
		if got := CheckHeader(name, "value"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := CheckHeader("X-Team", "secret\r\nX-Other: 1"); got == "" || strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
	if _, err := New(Config{Headers: map[string]string{"Authorization": "secret"}}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// Headers are secrets like the key: no error has them, and no other host gets them.
func TestHeadersStayInside(t *testing.T) {
	t.Parallel()
	other := &recording{}
	elsewhere := httptest.NewServer(other)
	defer elsewhere.Close()
	for name, srv := range map[string]http.HandlerFunc{
		"echo": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, fmt.Sprintf(`{"error":{"message":"refused: %s %s"}}`, r.Header.Get("X-Team"), r.Header.Get("Authorization")), http.StatusBadRequest)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?team="+r.Header.Get("X-Team"), http.StatusTemporaryRedirect)
		},
		"moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
		},
	} {
		var log bytes.Buffer
		front := httptest.NewServer(srv)
		err := askOnce(t, Config{
			BaseURL: front.URL, APIKey: "key-of-the-user", Headers: map[string]string{"X-Team": "value-of-the-user"},
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		front.Close()
		if all := fmt.Sprintf("%v %#v", err, err) + log.String(); err == nil || strings.Contains(all, "of-the-user") {
			t.Errorf("%s: %s", name, all)
		}
	}
	if got := other.calls(); len(got) > 0 {
		t.Errorf("another host got %v", got)
	}
}

// A password in the base URL is not in what an endpoint echoes, in no form.
func TestPasswordOfBaseURLStaysInside(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"%s", "Authorization: %s", "<html><title>%s</title></html>", `{"error":{"message":"%s"}}`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			encoded := strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
			http.Error(w, fmt.Sprintf(form, "refused "+user+" "+password+" "+r.Header.Get("Authorization")+" "+encoded), http.StatusBadRequest)
		}))
		err := askOnce(t, Config{BaseURL: strings.Replace(srv.URL, "http://", "http://user:hunter2-hunter2@", 1)})
		srv.Close()
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("user:hunter2-hunter2"))) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// The fallbacks at other hosts get neither headers nor certificates.
func TestFallbacksAtOtherHosts(t *testing.T) {
	t.Parallel()
	first := Endpoint{
		BaseURL: "https://a.example/v1", Keys: fixedKey("x"), Headers: map[string]string{"X-Team": "secret"}, Certificates: certificates.Files{CA: "ca.pem"},
	}
	all := NewEndpoints(first, Endpoint{Model: "same"}, Endpoint{BaseURL: "https://b.example/v1"}, Endpoint{BaseURL: "http://a.example/v1"},
		Endpoint{BaseURL: "https://a.example/v2", APIKey: "own"})
	for i, want := range []struct{ keys, headers bool }{{true, true}, {true, true}, {false, false}, {false, false}, {false, true}} {
		e := all[i]
		if (e.Keys != nil) != want.keys || (e.Headers != nil) != want.headers || e.Certificates.Any() != want.headers {
			t.Errorf("endpoint %d: %v %v %v", i, e.Keys, e.Headers, e.Certificates)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", e, e, e, e.WithClient(nil)); strings.Contains(text, "secret") {
			t.Error(text)
		}
	}
}

// keyRing is a source of keys. A refusal moves on to the next one.
type keyRing struct {
	mu   sync.Mutex
	keys []string
	err  error
	told []string
}

func (k *keyRing) Key(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return "", k.err
	}
	return k.keys[0], nil
}

func (k *keyRing) Refused(_ context.Context, key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, key)
	if key == k.keys[0] && len(k.keys) > 1 {
		k.keys = k.keys[1:]
	}
	return key != k.keys[0]
}

func (k *keyRing) Identity() string { return "ring" }

// A refused key is replaced once, and only then is the endpoint halted.
func TestRefusedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		keys   []string
		status int
		body   string
		calls  int
		class  Class // empty: an answer
	}{
		"expired":           {[]string{"old-0123", "new-0123"}, 401, `{"error":{"message":"expired"}}`, 2, ""},
		"forbidden":         {[]string{"old-0123", "new-0123"}, 403, `{"error":{"message":"expired token"}}`, 2, ""},
		"a 400 by its code": {[]string{"old-0123", "new-0123"}, 400, `{"error":{"code":"invalid_api_key","message":"API key not valid"}}`, 2, ""},
		"the same key":      {[]string{"old-0123"}, 401, `{"error":{"message":"unknown"}}`, 1, Halted},
		"refused twice":     {[]string{"old-0123", "old-4567", "new-0123"}, 401, `{"error":{"message":"unknown"}}`, 2, Halted},
		"another refusal":   {[]string{"old-0123", "new-0123"}, 400, `{"error":{"message":"no"}}`, 1, BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &recording{refuse: func(r *http.Request) (int, string) {
				if strings.Contains(r.Header.Get("Authorization"), "old-") {
					return tt.status, tt.body
				}
				return 0, ""
			}}
			srv := httptest.NewServer(a)
			defer srv.Close()
			err := askOnce(t, Config{BaseURL: srv.URL, Keys: &keyRing{keys: tt.keys}})
			var failed *Error
			if errors.As(err, &failed) != (tt.class != "") || failed != nil && failed.Class != tt.class || len(a.calls()) != tt.calls {
				t.Errorf("%v after %d calls", err, len(a.calls()))
			}
		})
	}
}

// A message names the setting that has the key.
func TestKeyIsNamed(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(&recording{refuse: func(*http.Request) (int, string) { return 401, `{"error":{"message":"no"}}` }})
	defer srv.Close()
	all := NewEndpoints(Endpoint{BaseURL: srv.URL, Keys: &keyRing{keys: []string{"key-0123"}}, KeyName: "--api-key-file"},
		Endpoint{Model: "same"}, Endpoint{Model: "own", APIKey: "own-4567"}, Endpoint{BaseURL: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)})
	for i, want := range []string{"check --api-key-file", "check --api-key-file", "check GISTMILL_FALLBACK_API_KEYS", "set GISTMILL_FALLBACK_API_KEYS"} {
		c, err := all[i].NewClient(Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Complete(t.Context(), testRequest("text"))
		c.Close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("endpoint %d: %v, want %q", i, err, want)
		}
	}
}

func TestNoKeyIsNoCall(t *testing.T) {
	t.Parallel()
	a := &recording{}
	srv := httptest.NewServer(a)
	defer srv.Close()
	err := askOnce(t, Config{BaseURL: srv.URL, Keys: &keyRing{err: errors.New("api-key-command failed")}})
	var failed *Error
	if !errors.As(err, &failed) || failed.Class != Halted || !failed.NotSent || !strings.Contains(failed.Message, "api-key-command failed") || len(a.calls()) > 0 {
		t.Errorf("%v after %d calls", err, len(a.calls()))
	}
}

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

func (a *authority) issue(template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	template.Subject = pkix.Name{CommonName: "gistmill test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// leaf issues a certificate of a server or a client on loopback.
func (a *authority) leaf() tls.Certificate {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// write writes the authority's certificate and a client's into a folder.
func (a *authority) write(files certificates.Files) {
	a.t.Helper()
	leaf := a.leaf()
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		files.CA:   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		files.Cert: {Type: "CERTIFICATE", Bytes: leaf.Certificate[0]},
		files.Key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// A private authority and a client certificate, both renewed while the client lives.
func TestCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := certificates.Files{For: "llm", CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	var mu sync.Mutex
	var current *authority
	use := func(a *authority) {
		mu.Lock()
		current = a
		mu.Unlock()
		a.write(files)
	}
	use(newAuthority(t))
	srv := httptest.NewUnstartedServer(&recording{})
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{current.leaf()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: current.pool(),
			NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: true,
		}, nil
	}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.StartTLS()
	defer srv.Close()

	c, err := New(Config{BaseURL: srv.URL, Certificates: files})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	complete := func() error {
		_, err := c.Complete(t.Context(), testRequest("text"))
		return err
	}
	if err := complete(); err != nil {
		t.Fatal(err)
	}
	use(newAuthority(t))
	srv.CloseClientConnections()
	if err := complete(); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
	// Half a file keeps what was read before.
	if err := os.WriteFile(files.CA, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := complete(); err != nil {
		t.Errorf("with half a file: %v", err)
	}
	if _, err := New(Config{BaseURL: srv.URL, Certificates: files}); err == nil || !strings.Contains(err.Error(), "llm-ca") {
		t.Errorf("half a file at the start: %v", err)
	}
	current.write(files)
	// Without the authority, or without the client certificate, the endpoint is halted at once.
	for name, only := range map[string]certificates.Files{"no authority": {}, "no client certificate": {For: "llm", CA: files.CA}} {
		err := askOnce(t, Config{BaseURL: srv.URL, Certificates: only})
		var failed *Error
		if !errors.As(err, &failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// proxy is an HTTP proxy that wants credentials, for http and, by CONNECT, for https.
type proxy struct {
	mu   sync.Mutex
	seen []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+r.Host)
	p.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:p@ss")) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		r.Header.Del("Proxy-Authorization")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	up, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(up, down) }()
	_, _ = io.Copy(down, up)
}

// Requests go through a proxy with credentials, also with an authority and a certificate of one's
// own. The key and the headers reach the endpoint, not the proxy.
func TestProxies(t *testing.T) {
	t.Parallel()
	p := &proxy{}
	front := httptest.NewServer(p)
	defer front.Close()
	through := func(user string) func(*http.Request) (*url.URL, error) {
		u, err := url.Parse(strings.Replace(front.URL, "http://", "http://"+user, 1))
		if err != nil {
			t.Fatal(err)
		}
		return http.ProxyURL(u)
	}
	dir := t.TempDir()
	files := certificates.Files{For: "llm", CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	ca := newAuthority(t)
	ca.write(files)
	a := &recording{}
	plain := httptest.NewServer(a)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(a)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.leaf()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}
	secure.StartTLS()
	defer secure.Close()

	for name, tt := range map[string]struct {
		base  string
		files certificates.Files
	}{"http": {plain.URL, certificates.Files{}}, "https": {secure.URL, files}} {
		cfg := Config{BaseURL: tt.base, APIKey: "key-of-the-user", Certificates: tt.files, proxy: through("user:p%40ss@")}
		if err := askOnce(t, cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cfg.proxy = through("user:wrong-pass@")
		err := askOnce(t, cfg)
		if err == nil || strings.Contains(err.Error(), "wrong-pass") {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
	for _, r := range a.calls() {
		if r.header.Get("Authorization") != "Bearer key-of-the-user" || r.header.Get("Proxy-Authorization") != "" {
			t.Errorf("the endpoint got %v", r.header)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(a.calls()) != 2 || len(p.seen) != 4 || !strings.Contains(strings.Join(p.seen, " "), "CONNECT 127.0.0.1:") {
		t.Errorf("%d calls through %v", len(a.calls()), p.seen)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	srv := httptest.NewUnstartedServer(&recording{})
	srv.Listener.Close()
	srv.Listener = listener
	srv.Start()
	defer srv.Close()
	if err := askOnce(t, Config{BaseURL: srv.URL}); err != nil {
		t.Error(err)
	}
}
