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

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/llm/traits"
)

// Defaults of a [Config].
const (
	DefaultBaseURL        = "https://api.openai.com/v1"
	DefaultTimeout        = 2 * time.Minute
	DefaultFlexTimeout    = 15 * time.Minute // OpenAI's advice
	DefaultMaxConnections = 16
	DefaultCallWait       = time.Minute
	DefaultMaxWait        = time.Hour
)

// Config describes one endpoint and how to use it.
type Config struct {
	// BaseURL of the endpoint; empty means DefaultBaseURL. A URL without a path gets /v1:
	// http://localhost:11434 and http://localhost:11434/v1/ are the same. For Azure it is the
	// resource, https://NAME.openai.azure.com.
	BaseURL string
	// APIKey may be empty if the endpoint needs none.
	APIKey string
	// Keys gives the key of each call instead of APIKey; nil means APIKey.
	Keys KeySource
	// KeyName is the setting that has the key, for messages; empty means OPENAI_API_KEY.
	KeyName string
	// Headers are further HTTP headers of each request. [CheckHeader] says which names are allowed.
	// The values are secrets.
	Headers map[string]string
	// UserAgent is sent as it is; empty means "gistmill".
	UserAgent string
	// Certificates are the PEM files of TLS to the endpoint. Renewed files take effect.
	Certificates certificates.Files
	// APIVersion marks an Azure endpoint, whose models are deployments.
	APIVersion string
	// Timeout of one HTTP call, from sending it to the last byte of the answer.
	Timeout time.Duration
	// FlexTimeout is the timeout of a call at [TierFlex].
	FlexTimeout time.Duration
	// MaxConnections is the number of idle connections that are kept. It should be the number of
	// calls in flight.
	MaxConnections int
	// MaxWait is how long a quota may take to reset so that calls wait for it, as for a rate limit.
	// Complete returns class Quota for one that takes longer, or an unknown time. It is also how long
	// the endpoint may give no answer. Complete then returns class Unavailable with [CodeSilent].
	MaxWait time.Duration
	// CallWait bounds the total time that one Complete waits, for rate limits and for an endpoint
	// that is down. Beyond it Complete returns class RateLimited or Unavailable.
	CallWait time.Duration
	// FailWhenDown makes Complete return at once if the endpoint is down, instead of waiting for
	// CallWait. It is for callers that have a fallback.
	FailWhenDown bool
	// Limiter paces calls. Without one, calls are not paced and Complete does not wait after a 429.
	Limiter Limiter
	// Traits is what is known of endpoints and models. The client uses it and adds what it learns.
	// Without it the client keeps what it learns to itself.
	Traits *traits.Book
	// HTTPClient replaces the default one, for tests.
	HTTPClient *http.Client
	// Observer, if not nil, observes every call.
	Observer Observer
	// Logger gets what the client learns about an endpoint; nil discards it.
	Logger *slog.Logger

	proxy func(*http.Request) (*url.URL, error) // replaced by tests
}

func (c Config) withDefaults() Config {
	c.BaseURL, c.APIVersion = splitVersion(cmp.Or(strings.TrimSpace(c.BaseURL), DefaultBaseURL), c.APIVersion)
	c.APIKey = strings.TrimSpace(c.APIKey)
	c.KeyName = cmp.Or(c.KeyName, "OPENAI_API_KEY")
	c.UserAgent = cmp.Or(c.UserAgent, "gistmill")
	if c.Keys == nil {
		c.Keys = fixedKey(c.APIKey)
	}
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.FlexTimeout = cmp.Or(c.FlexTimeout, DefaultFlexTimeout)
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxWait = cmp.Or(c.MaxWait, DefaultMaxWait)
	c.CallWait = cmp.Or(c.CallWait, DefaultCallWait)
	if c.proxy == nil {
		c.proxy = http.ProxyFromEnvironment
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Traits == nil {
		c.Traits = traits.NewBook(nil, c.Logger)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("request timeout %s is negative", c.Timeout))
	}
	if c.FlexTimeout < 0 {
		errs = append(errs, fmt.Errorf("flex timeout %s is negative", c.FlexTimeout))
	}
	if c.MaxConnections < 0 {
		errs = append(errs, fmt.Errorf("concurrency %d is negative", c.MaxConnections))
	}
	if strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		// net/http would refuse the header with an error that quotes the key.
		errs = append(errs, errors.New("the API key has a space, a line break or another character that is not allowed in an HTTP header: check "+c.KeyName))
	}
	return errors.Join(append(errs, c.validateHeaders())...)
}

// parseBaseURL returns the URL to which "/chat/completions" is appended; for Azure, the root of
// the resource. Its errors quote scheme, host and path only, because a URL can contain a
// password.
func parseBaseURL(raw string, azure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("base URL is not a URL: it should look like https://api.openai.com/v1 or http://localhost:11434/v1")
	case u.Scheme != "http" && u.Scheme != "https":
		guess := "http://localhost:11434/v1"
		if u.Host == "" && u.User == nil {
			// "localhost:11434" is parsed as a URL with the scheme "localhost".
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
		if i := strings.Index(path, "/openai"); i >= 0 && !isDirect(path) {
			path = path[:i] // see Client.url
		}
	} else if path == "" {
		path = "/v1"
	}
	u.Path, u.RawPath = path, ""
	return u, nil
}

// displayURL returns a URL without user, password and query.
func displayURL(u *url.URL) string {
	return u.Scheme + "://" + u.Host + u.Path
}
