package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxAnswerBytes bounds a response body. An answer of 128k tokens is about
// 1 MB; whatever is much longer is not an answer.
const maxAnswerBytes = 16 << 20

var errAnswerTooLarge = errors.New("the answer is larger than " + strconv.Itoa(maxAnswerBytes>>20) + " MiB")

// newHTTPClient returns a client that keeps a connection for each call in
// flight (net/http's default is 2 a host, which costs a TLS handshake on nearly
// every call). It has no timeout of its own: calls bring a context.
func newHTTPClient(connections int) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        connections,
			MaxIdleConnsPerHost: connections,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
			// Headers of a completion arrive when the whole answer is there, so
			// ResponseHeaderTimeout would be a second request timeout.
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 256 << 10,
			WriteBufferSize:        64 << 10, // prompts are long
			// Without pings a dead HTTP/2 connection takes every call that is put on
			// it into its timeout, until the kernel gives up after minutes.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		},
		// A redirected POST becomes a GET, and a redirect here means a wrong
		// base URL.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// An exchange is one HTTP request and what came back, as far as it came.
type exchange struct {
	zeroTemperature bool // to be written into the body, see doer

	status  int // 0: no response
	header  http.Header
	body    []byte // as far as it came when readErr is set
	readErr error
}

type exchangeKey struct{}

// A doer sends a request for go-openai and keeps what go-openai throws away: a
// failed call's headers and the body of a 200 that holds an error.
type doer struct {
	http *http.Client
}

func (d doer) Do(req *http.Request) (*http.Response, error) {
	ex, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("request without an exchange")
	}
	if ex.zeroTemperature {
		if err := insertZeroTemperature(req); err != nil {
			return nil, err
		}
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	ex.status, ex.header = resp.StatusCode, resp.Header
	ex.body, err = readBounded(resp.Body, resp.ContentLength)
	if err != nil {
		ex.readErr = err
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(ex.body))
	return resp, nil
}

// insertZeroTemperature writes the temperature that go-openai drops. Its own
// advice, the smallest float, is not the same: vLLM raises such values to 0.01
// and samples, where 0 is greedy (vllm/sampling_params.py).
func insertZeroTemperature(req *http.Request) error {
	const field = `{"temperature":0,`
	var open [1]byte
	if _, err := io.ReadFull(req.Body, open[:]); err != nil || open[0] != '{' {
		return errors.New("request body is no JSON object")
	}
	var b bytes.Buffer
	b.Grow(len(field) + int(max(req.ContentLength, 0)) + bytes.MinRead)
	b.WriteString(field)
	if _, err := b.ReadFrom(req.Body); err != nil {
		return err
	}
	patched := b.Bytes()
	req.Body = io.NopCloser(bytes.NewReader(patched))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(patched)), nil }
	req.ContentLength = int64(len(patched))
	return nil
}

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

// withExchange gives a request its exchange.
func withExchange(ctx context.Context, ex *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, ex)
}
