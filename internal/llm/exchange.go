package llm

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/llm/completion"
)

// maxAnswerBytes bounds a response body. An answer of 128,000 tokens has about 1 MB.
const maxAnswerBytes = 16 << 20

var errAnswerTooLarge = errors.New("the answer is larger than " + strconv.Itoa(maxAnswerBytes>>20) + " MiB")

// newHTTPClient returns a client that keeps one connection for each call in flight. The default
// of net/http, two per host, costs a TLS handshake on nearly every call. The client has no
// timeout: each call has a context. The error says which certificate is of no use.
func newHTTPClient(cfg Config) (*http.Client, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	connections := cfg.MaxConnections
	open := func(secure *tls.Config) *http.Transport {
		return &http.Transport{
			TLSClientConfig:     secure,
			Proxy:               cfg.proxy,
			DialContext:         dialer.DialContext,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        connections,
			MaxIdleConnsPerHost: connections,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
			// The headers of a completion arrive with the whole answer, so ResponseHeaderTimeout
			// would be a second request timeout.
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 256 << 10,
			WriteBufferSize:        64 << 10, // prompts are long
			// Without pings, every call on a dead HTTP/2 connection runs into its timeout until the
			// kernel gives up after minutes.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		}
	}
	var transport http.RoundTripper
	if cfg.Certificates.Any() {
		renewed, err := certificates.NewTransport(cfg.Certificates, cfg.Logger, open)
		if err != nil {
			return nil, err
		}
		transport = renewed
	} else {
		transport = open(nil)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: checkRedirect,
	}, nil
}

// maxRedirects bounds the redirects of one call.
const maxRedirects = 3

// checkRedirect follows a redirect that keeps the method (307, 308) to the same scheme and host:
// servers that add or remove a slash send such ones. A key goes to no other host. After a 301, 302
// or 303 a POST becomes a GET; such a redirect means that the base URL is wrong.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || next.Method != first.Method || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// exchange is one HTTP request and what came back.
type exchange struct {
	status int         // 0: no response
	header http.Header // nil: no response
	body   []byte      // incomplete if err is set
	err    error       // the request failed, or the response could not be read
	unsent bool        // the request failed before there was a connection to send it on
	proxy  string      // host of the proxy; empty: none

	answer    completion.Completion // the decoded body of a 2xx
	decodeErr error                 // the body of a 2xx is no completion
}

// exchange sends a request body and reads the answer. Errors are in the result: the classifier
// needs them together with the response.
func (c *Client) exchange(ctx context.Context, model, key string, body []byte, timeout time.Duration) *exchange {
	ex := &exchange{}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked, connected := false, false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked = true },
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(model), bytes.NewReader(body))
	if err != nil {
		ex.err = err
		return ex
	}
	req.Header.Set("Content-Type", "application/json")
	c.setHeaders(req, key)
	if proxy, err := c.cfg.proxy(req); err == nil && proxy != nil {
		ex.proxy = proxy.Host
	}
	resp, err := c.http.Do(req)
	if err != nil {
		ex.err, ex.unsent = err, asked && !connected
		return ex
	}
	defer func() { _ = resp.Body.Close() }()
	ex.status, ex.header = resp.StatusCode, resp.Header
	ex.body, ex.err = readBounded(resp.Body, resp.ContentLength)
	if ex.err == nil {
		ex.decode(resp.Header.Get("Content-Encoding"))
	}
	return ex
}

// decode reads the body. net/http has removed the compression that it asked for.
func (ex *exchange) decode(encoding string) {
	plain, err := completion.Decompress(ex.body, encoding, maxAnswerBytes)
	switch {
	case errors.Is(err, completion.ErrTooLarge):
		ex.err = errAnswerTooLarge
		return
	case err != nil:
		ex.decodeErr = err
		return
	}
	ex.body = plain
	if ex.ok() {
		ex.answer, ex.decodeErr = completion.Parse(ex.body)
	}
	switch {
	case ex.answer.Begun:
		ex.body = ex.answer.Error
	case !ex.answer.Answered:
		ex.body = completion.ErrorBody(ex.body)
	}
}

// ok reports whether the status is a 2xx.
func (ex *exchange) ok() bool { return ex.status >= 200 && ex.status < 300 }

// url returns where to ask a model. Azure has one URL per deployment
// (https://learn.microsoft.com/azure/ai-services/openai/reference).
func (c *Client) url(model string) string {
	base := strings.TrimRight(c.base.String(), "/")
	if c.cfg.APIVersion == "" {
		return base + "/chat/completions"
	}
	return c.azureURL("/deployments/"+model, "chat/completions")
}

// readBounded reads a body of at most maxAnswerBytes. announced is its Content-Length, or -1.
func readBounded(r io.Reader, announced int64) ([]byte, error) {
	if announced > maxAnswerBytes {
		return nil, errAnswerTooLarge
	}
	var b bytes.Buffer
	b.Grow(int(max(announced, 0)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(r, maxAnswerBytes+1))
	if n > maxAnswerBytes {
		return nil, errAnswerTooLarge
	}
	return b.Bytes(), err
}

// A Listing is the answer of an endpoint to a request for its models (GET /models).
type Listing struct {
	Status int
	Header http.Header
	Body   []byte // at most maxAnswerBytes
	// TLS is the version of TLS, and Proxy the host of the proxy; both may be empty.
	TLS, Proxy string
	Took       time.Duration
}

// ListModels asks the endpoint for its models. It waits for no limit, is not repeated, and takes at
// most Config.Timeout. The error is an *[Error] if no answer came, or one that is no 2xx, or the
// error of ctx. With an answer the Listing has its status.
func (c *Client) ListModels(ctx context.Context) (Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	key, err := c.cfg.Keys.Key(ctx)
	if err != nil {
		return Listing{}, keyError(ctx, err)
	}
	ex, l := &exchange{}, Listing{}
	connected := false
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	}), http.MethodGet, c.modelsURL(), http.NoBody)
	if err != nil {
		return l, err
	}
	c.setHeaders(req, key)
	if u, err := c.cfg.proxy(req); err == nil && u != nil {
		l.Proxy = u.Host
	}
	began := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		ex.err, ex.unsent = err, !connected
	} else {
		defer func() { _ = resp.Body.Close() }()
		ex.status, ex.header = resp.StatusCode, resp.Header
		ex.body, ex.err = readBounded(resp.Body, resp.ContentLength)
		if resp.TLS != nil {
			l.TLS = tls.VersionName(resp.TLS.Version)
		}
	}
	l.Took, l.Status, l.Header, l.Body = time.Since(began), ex.status, ex.header, ex.body
	if ex.err == nil && ex.ok() {
		return l, nil
	}
	return l, c.classifier(key, Request{}).classify(ex)
}

// modelsURL is where the endpoint lists its models.
func (c *Client) modelsURL() string {
	base := strings.TrimRight(c.base.String(), "/")
	if c.cfg.APIVersion == "" {
		return base + "/models"
	}
	if strings.HasSuffix(c.base.Path, "/models") {
		return strings.TrimRight(c.base.String(), "/") + "/info?api-version=" + url.QueryEscape(c.cfg.APIVersion)
	}
	return c.azureURL("", "models")
}
