package llm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/gistmill/gistmill/internal/llm/completion"
)

// transport classifies failures below the API. Its messages are ours, because those of net/http
// contain URLs.
func (c classifier) transport(ex *exchange, err error) *Error {
	out := &Error{Class: Transient, Status: ex.status, MayBeBilled: ex.status < 300}
	var (
		dns     *net.DNSError
		wrapped *url.Error
		network net.Error
	)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if errors.As(err, &wrapped) {
		text = wrapped.Err.Error()
	}
	at := displayURL(c.base)
	switch {
	case c.proxyFailed(out, ex, err, text), c.tlsFailed(out, err, text):
	case ex.unsent && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()):
		out.unreachable(fmt.Sprintf("no connection to %s: check --base-url and the network", at))
	case errors.Is(err, errAnswerTooLarge):
		out.Code, out.Message = codeTooLarge, errAnswerTooLarge.Error()
	case errors.Is(err, completion.ErrEncoding):
		out.Class, out.Code = Halted, "encoding"
		out.Message = fmt.Sprintf("%s compresses its answers in a way that was not asked for (%s): turn that off there, or in the proxy before it", at, text)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		out.Code, out.Message = codeTimeout, fmt.Sprintf("no answer within %s", c.timeout)
	case errors.As(err, &dns):
		out.unreachable(fmt.Sprintf("cannot find the host of %s: check --base-url and the network", at))
	case errors.Is(err, syscall.ECONNREFUSED):
		out.unreachable(fmt.Sprintf("nothing listens at %s: check --base-url, or start the server", at))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), strings.Contains(text, "server closed idle connection"):
		out.Code, out.Message = "reset", "the endpoint cut the connection"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		out.Code, out.Message = "truncated", "the answer broke off"
	case ex.status != 0:
		out.Code, out.Message = "no_json", "the answer is not the JSON of a chat completion"
	case ex.unsent:
		out.unreachable(fmt.Sprintf("no connection to %s: check --base-url and the network", at))
	default:
		out.Code, out.Message = "network", "the connection failed"
	}
	if ex.unsent {
		out.NotSent, out.MayBeBilled = true, false
	}
	return out
}

// unreachable makes e the failure of a call that reached no server.
func (e *Error) unreachable(message string) {
	e.Class, e.Code, e.Message, e.MayBeBilled, e.NotSent = Unavailable, codeUnreachable, message, false, true
}

// proxyFailed decides failures of a proxy. net/http reports one that cannot be reached as an
// [net.OpError] of "proxyconnect", and one that refuses CONNECT by the text of its status
// (net/http/transport.go, dialConn).
func (c classifier) proxyFailed(out *Error, ex *exchange, err error, text string) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		var dns *net.DNSError
		what := "cannot be reached"
		switch {
		case errors.As(err, &dns):
			what = "has no such host"
		case errors.Is(err, syscall.ECONNREFUSED):
			what = "does not listen"
		case strings.Contains(text, "tls:"), strings.Contains(text, "x509:"):
			what = "fails at TLS"
		}
		out.unreachable(fmt.Sprintf("the proxy %s %s: check HTTPS_PROXY, or add %s to NO_PROXY", ex.proxy, what, c.base.Hostname()))
		return true
	}
	var timeout interface{ Timeout() bool }
	if ex.proxy == "" || c.base.Scheme != "https" || !ex.unsent || ex.status != 0 || errors.As(err, &op) || text == "" || tlsText(text) ||
		errors.As(errors.Unwrap(err), &timeout) {
		return false
	}
	reason := c.scrub.clean(text)
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "authenticat"), strings.Contains(lower, "credential"):
		out.Class, out.Code = Halted, "proxy"
		out.Message = fmt.Sprintf("the proxy %s wants credentials (status 407): check HTTPS_PROXY", ex.proxy)
	case isServerFailure(text):
		out.unreachable(fmt.Sprintf("the proxy %s does not connect to %s (%s): check HTTPS_PROXY, --base-url and the network", ex.proxy, c.base.Host, reason))
	default:
		out.Class, out.Code = Halted, "proxy"
		out.Message = fmt.Sprintf("the proxy %s refuses to connect to %s (%s): check HTTPS_PROXY and what the proxy allows, or set NO_PROXY", ex.proxy, c.base.Host, reason)
	}
	return true
}

// isServerFailure reports whether text is that of a status from 500 on.
func isServerFailure(text string) bool {
	for status := 500; status < 512; status++ {
		if text != "" && text == http.StatusText(status) {
			return true
		}
	}
	return false
}

// tlsFailed decides failures of TLS, which no retry cures.
func (c classifier) tlsFailed(out *Error, err error, text string) bool {
	var (
		cert   *tls.CertificateVerificationError
		ca     x509.UnknownAuthorityError
		record tls.RecordHeaderError
	)
	at := displayURL(c.base)
	switch {
	case errors.As(err, &cert), errors.As(err, &ca):
		out.Message = fmt.Sprintf("the certificate of %s is not trusted: check --base-url, or name its certificate authority with --llm-ca", at)
		if cert != nil {
			out.Message += " (" + c.scrub.clean(cert.Err.Error()) + ")"
		}
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), errors.As(err, &record):
		out.Message = fmt.Sprintf("%s speaks HTTP, not HTTPS: check --base-url", at)
	case tlsText(text):
		said := text[strings.Index(text, "tls: ")+len("tls: "):]
		out.Message = fmt.Sprintf("the TLS handshake with %s failed: %s", at, c.scrub.clean(said))
		if strings.Contains(said, "certificate") || strings.Contains(said, "handshake failure") || strings.Contains(said, "access denied") {
			out.Message += "; it may want a client certificate: set --llm-cert and --llm-key"
		}
	default:
		return false
	}
	out.Class, out.Code, out.MayBeBilled, out.NotSent = Halted, "tls", false, true
	return true
}

// tlsText reports whether an error is that of a handshake. The alerts have no exported type; their
// texts are in crypto/tls/alert.go. Others, such as "bad record MAC", can come at any time.
func tlsText(text string) bool {
	if !strings.Contains(text, "tls: ") {
		return false
	}
	for _, reason := range []string{
		"certificate", "handshake", "protocol version", "security", "access denied", "unrecognized name", "unknown", "no application protocol",
		"inappropriate fallback", "missing extension", "unsupported", "server selected", "illegal parameter",
	} {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}
