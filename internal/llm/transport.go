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

	openai "github.com/sashabaranov/go-openai"
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
	// To be written into the body, see doer.
	zeroTemperature bool
	messages        []openai.ChatCompletionMessage
	format          *openai.ChatCompletionResponseFormat

	status  int // 0: no response
	header  http.Header
	body    []byte // as far as it came when readErr is set
	readErr error
	answer  completion // of a body that is one
}

type exchangeKey struct{}

// A doer sends a request for go-openai, with what is left for it to write (see
// writeBody), reads the answer, and keeps what go-openai throws away: a failed call's headers and
// the body of a 200 that holds an error.
type doer struct {
	http *http.Client
}

func (d doer) Do(req *http.Request) (*http.Response, error) {
	ex, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("request without an exchange")
	}
	if err := ex.writeBody(req); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
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
	left := ex.body
	if resp.StatusCode < http.StatusMultipleChoices {
		if answer, err := parseCompletion(ex.body); err == nil {
			ex.answer, left = answer, []byte("{}") // for go-openai
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(left))
	return resp, nil
}

// noMessages is where the messages belong in a body.
const noMessages = `"messages":null`

// writeBody writes into the body what go-openai was not given. It would encode messages and schema by reflection, and three
// times over, which is more than all else that a call takes.
//
// And it drops a temperature of zero. Its own advice, the smallest float, is not the same: vLLM raises such values to 0.01
// and samples, where 0 is greedy (vllm/sampling_params.py).
func (ex *exchange) writeBody(req *http.Request) error {
	given, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	before, after, ok := bytes.Cut(given, []byte(noMessages))
	if !ok {
		return errors.New("the request has no place for messages")
	}
	var b bytes.Buffer
	size := len(given) + 512
	for _, m := range ex.messages {
		size += len(m.Content) + len(m.Content)/16 // line ends and quotes are escaped
	}
	b.Grow(size)
	b.Write(before)
	if ex.zeroTemperature {
		b.WriteString(`"temperature":0,`)
	}
	writeMessages(&b, ex.messages)
	if ex.format != nil {
		if err := writeFormat(&b, ex.format); err != nil {
			return err
		}
	}
	b.Write(after)
	body := b.Bytes()
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.ContentLength = int64(len(body))
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
