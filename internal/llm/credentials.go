package llm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// A KeySource gives the API key of each call. Implementations are safe for concurrent use; package
// keys has them.
type KeySource interface {
	// Key returns the key to send now. The error says what to do, or is that of the context.
	Key(ctx context.Context) (string, error)
	// Refused tells the source that the endpoint refused a key, and reports whether there is
	// another one to try.
	Refused(ctx context.Context, key string) bool
	// Identity names the source, whichever key it gives. It may be a secret.
	Identity() string
}

// fixedKey is a key that never changes.
type fixedKey string

func (k fixedKey) Key(context.Context) (string, error)      { return string(k), nil }
func (k fixedKey) Refused(_ context.Context, _ string) bool { return false }
func (k fixedKey) Identity() string                         { return string(k) }

// CheckHeader returns what is wrong with a further HTTP header of requests, or "". The text does
// not quote the value.
func CheckHeader(name, value string) string {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "has a name that is not one of an HTTP header"
	case canonical == "Authorization", canonical == "Api-Key":
		return "is set from the API key: use api-key, api-key-file or api-key-command"
	case canonical == "Proxy-Authorization":
		return "is set from the proxy's address: put user and password into HTTPS_PROXY"
	case strings.HasPrefix(canonical, "Content-"), slices.Contains([]string{"Host", "Connection", "Keep-Alive", "Transfer-Encoding",
		"Te", "Trailer", "Upgrade", "Expect", "Accept-Encoding", "Proxy-Connection"}, canonical):
		return "is written by gistmill itself: leave it out"
	case !httpguts.ValidHeaderFieldValue(value):
		return "has a value with a line break or another character that an HTTP header cannot contain"
	}
	return ""
}

// setHeaders sets the headers of a request to the endpoint.
func (c *Client) setHeaders(req *http.Request, key string) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	for name, value := range c.cfg.Headers {
		req.Header.Set(name, value)
	}
	switch {
	case key == "":
	case c.cfg.APIVersion != "" && !isToken(key):
		req.Header.Set("Api-Key", key)
	default:
		// Azure takes tokens of Microsoft Entra ID here, and not as api-key
		// (https://learn.microsoft.com/azure/ai-services/openai/reference).
		req.Header.Set("Authorization", "Bearer "+key)
	}
}

// isToken reports whether a key is a JSON Web Token (RFC 7519), which begins with the base64 of
// `{"`.
func isToken(key string) bool { return strings.HasPrefix(key, "eyJ") && strings.Count(key, ".") == 2 }

// secrets returns what must not be in a message: the key of a call, the values of headers, and the
// password of the base URL, also in the form in which it is sent.
func (c *Client) secrets(key string) []string {
	all := []string{key}
	if password, ok := c.base.User.Password(); ok {
		all = append(all, password, base64.StdEncoding.EncodeToString([]byte(c.base.User.Username()+":"+password)))
	}
	for _, value := range c.cfg.Headers {
		all = append(all, value)
	}
	return all
}

// keyError is the failure of a call for which there is no key.
func keyError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &WaitError{err: ctx.Err()}
	}
	return &Error{Class: Halted, Code: "no_key", Message: "there is no API key to send: " + err.Error(), NotSent: true}
}

// refusesKey reports whether the endpoint refused the key of a request.
func (ex *exchange) refusesKey() bool {
	switch {
	case ex.err != nil:
		return false
	case ex.status == http.StatusUnauthorized, ex.status == http.StatusForbidden:
		return true
	}
	return !ex.answer.Answered && providererror.Parse(ex.status, ex.body).BadKey()
}

// validateHeaders checks the further headers of a configuration.
func (c Config) validateHeaders() error {
	var errs []error
	for name, value := range c.Headers {
		if why := CheckHeader(name, value); why != "" {
			errs = append(errs, fmt.Errorf("header %q %s", name, why))
		}
	}
	return errors.Join(errs...)
}
