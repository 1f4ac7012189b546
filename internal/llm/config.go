package llm

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of a Config.
const (
	DefaultBaseURL        = "https://api.openai.com/v1"
	DefaultTimeout        = 2 * time.Minute
	DefaultMaxConnections = 16
	DefaultMaxWait        = time.Minute
)

// Config describes one endpoint and how to use it.
type Config struct {
	// BaseURL of the endpoint, DefaultBaseURL when empty. A bare host gets /v1
	// (http://localhost:11434 and http://localhost:11434/v1/ are the same); for
	// Azure it is the resource, https://NAME.openai.azure.com.
	BaseURL string
	// APIKey may be empty where the endpoint asks for none.
	APIKey string
	// APIVersion makes the endpoint an Azure one, with models as deployments.
	APIVersion string
	// Timeout of one HTTP call, from sending to the last byte of the answer.
	Timeout time.Duration
	// MaxConnections is how many calls may be in flight, and how many idle
	// connections are kept.
	MaxConnections int
	// MaxWait bounds what one Complete spends waiting after 429s in all; beyond
	// it the caller gets class RateLimited.
	MaxWait time.Duration
	// FailWhenDown has a call to an endpoint that is down come back at once instead of
	// after MaxWait, for a caller who has another one to ask.
	FailWhenDown bool
	// Limiter admits calls; nil admits all, and no 429 is waited for.
	Limiter Limiter
	// HTTPClient replaces the tuned one, for tests.
	HTTPClient *http.Client
	// Observer, if not nil, is told of every call.
	Observer Observer
	// Logger gets what the client learns about an endpoint; discarded when nil.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.BaseURL = cmp.Or(strings.TrimSpace(c.BaseURL), DefaultBaseURL)
	c.APIKey = strings.TrimSpace(c.APIKey)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxWait = cmp.Or(c.MaxWait, DefaultMaxWait)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("request timeout %s is negative", c.Timeout))
	}
	if c.MaxConnections < 0 {
		errs = append(errs, fmt.Errorf("concurrency %d is negative", c.MaxConnections))
	}
	if strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		// Without this, net/http refuses the header and prints the key.
		errs = append(errs, errors.New("the API key has a space, a line break or another character that no header can carry: check OPENAI_API_KEY"))
	}
	return errors.Join(errs...)
}

// parseBaseURL returns the URL to which "/chat/completions" is appended, or for
// Azure the resource's root. Messages quote no more than scheme, host and path:
// a URL can carry a password.
func parseBaseURL(raw string, azure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("base URL is not a URL: it should look like https://api.openai.com/v1 or http://localhost:11434/v1")
	case u.Scheme != "http" && u.Scheme != "https":
		guess := "http://localhost:11434/v1"
		if u.Host == "" && u.User == nil {
			// "localhost:11434" parses as scheme "localhost".
			guess = "http://" + strings.TrimPrefix(strings.SplitN(raw, "?", 2)[0], "//")
		}
		return nil, fmt.Errorf("base URL has no http:// or https:// in front; did you mean %s", guess)
	case u.Host == "":
		return nil, errors.New("base URL has no host: it should look like https://api.openai.com/v1")
	case u.RawQuery != "" && !azure:
		return nil, fmt.Errorf("base URL %s has a query; for Azure give the resource's URL and --api-version", displayURL(u))
	}
	u.RawQuery, u.Fragment = "", ""
	path := strings.TrimRight(u.Path, "/")
	path = strings.TrimSuffix(path, "/chat/completions")
	path = strings.TrimRight(path, "/")
	if azure {
		if i := strings.Index(path, "/openai"); i >= 0 {
			path = path[:i] // go-openai appends /openai/deployments/NAME itself
		}
	} else if path == "" {
		path = "/v1"
	}
	u.Path, u.RawPath = path, ""
	return u, nil
}

// displayURL is a URL without user, password and query.
func displayURL(u *url.URL) string {
	return u.Scheme + "://" + u.Host + u.Path
}
