package llm

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/llm/traits"
)

// Endpoint is a server that speaks OpenAI's protocol, with the model that it is asked for. The
// first endpoint of a run and each fallback is one. It prints without its key and without the
// user and password of its URL.
type Endpoint struct {
	// Model is asked for in place of the request's model; empty means the request's.
	Model string
	// BaseURL, APIKey and APIVersion are those of [Config]. In a fallback, empty means what
	// [NewEndpoints] takes from the first endpoint.
	BaseURL    string
	APIKey     string
	APIVersion string
	// Keys, KeyName, Headers and Certificates are those of [Config]. A fallback takes them from the
	// first endpoint, as it does the key, if both URLs have the same scheme and host.
	Keys         KeySource
	KeyName      string
	Headers      map[string]string
	Certificates certificates.Files
	// RPM and TPM are the requests and tokens per minute that the endpoint allows; 0: unknown.
	RPM, TPM int
	// Traits is what is known of endpoints and models; nil: nothing, and nothing is kept. It is the
	// same for all endpoints.
	Traits *traits.Book
	// Client makes the calls. It is nil until the caller sets it; see [Endpoint.NewClient].
	Client Caller
}

// A Caller makes calls to one endpoint. [Client] implements it.
type Caller interface {
	Complete(ctx context.Context, r Request) (Response, error)
	// Down returns the error that a call would end with because the endpoint is down, else nil. It
	// does not wait.
	Down() error
}

// NewClient returns a client of the endpoint. What cfg says about the endpoint itself and how to
// connect to it is ignored.
func (e Endpoint) NewClient(cfg Config) (*Client, error) {
	cfg.BaseURL, cfg.APIKey, cfg.APIVersion = e.BaseURL, e.APIKey, e.APIVersion
	cfg.Keys, cfg.KeyName, cfg.Headers, cfg.Certificates = e.Keys, e.KeyName, e.Headers, e.Certificates
	cfg.Traits = e.Traits
	return New(cfg)
}

// WithClient returns the endpoint with a client, and without what only the client needs: keys,
// headers and certificates.
func (e Endpoint) WithClient(client Caller) Endpoint {
	return Endpoint{Model: e.Model, BaseURL: e.BaseURL, APIVersion: e.APIVersion, RPM: e.RPM, TPM: e.TPM, Traits: e.Traits, Client: client}
}

// KeyIdentity names the key, or where it comes from if it can change. It is a secret.
func (e Endpoint) KeyIdentity() string {
	if e.Keys != nil {
		return e.Keys.Identity()
	}
	return e.APIKey
}

// Known returns what is known of a model at this endpoint, as its client uses it. It is nil, which
// knows nothing, without Traits or with an invalid URL.
func (e Endpoint) Known(model string) *traits.Model {
	if e.Traits == nil {
		return nil
	}
	base, err := parseBaseURL(cmp.Or(strings.TrimSpace(e.BaseURL), DefaultBaseURL), e.APIVersion != "")
	if err != nil {
		return nil
	}
	return e.Traits.Of(base, cmp.Or(e.Model, model))
}

// String names the endpoint for messages: its model and host.
func (e Endpoint) String() string {
	host := ""
	if u, err := url.Parse(e.BaseURL); err == nil {
		host = u.Host
	}
	switch {
	case e.Model == "":
		return cmp.Or(host, "endpoint")
	case host == "":
		return e.Model
	}
	return e.Model + " at " + host
}

// GoString hides the key from %#v.
func (e Endpoint) GoString() string { return e.String() }

// MarshalText hides the key from encoders and slog.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Endpoints are the first endpoint and its fallbacks, in the order in which they are asked.
type Endpoints []Endpoint

// NewEndpoints returns the endpoints with everything filled in that a fallback takes from the
// first one: the base URL if it has none, and the key, the API version, the headers and the
// certificates if both URLs have the same scheme and host. The key and the headers of the first
// endpoint go to no other host. The key of a
// fallback goes to that fallback alone.
func NewEndpoints(first Endpoint, fallbacks ...Endpoint) Endpoints {
	first.BaseURL, first.APIVersion = splitVersion(cmp.Or(first.BaseURL, DefaultBaseURL), first.APIVersion)
	all := Endpoints{first}
	for _, e := range fallbacks {
		e.BaseURL, e.APIVersion = splitVersion(cmp.Or(e.BaseURL, first.BaseURL), e.APIVersion)
		e.KeyName = "GISTMILL_FALLBACK_API_KEYS"
		if sameHost(e.BaseURL, first.BaseURL) {
			if e.APIKey == "" {
				e.APIKey, e.Keys, e.KeyName = first.APIKey, first.Keys, first.KeyName
			}
			e.APIVersion = cmp.Or(e.APIVersion, first.APIVersion)
			e.Headers, e.Certificates = first.Headers, first.Certificates
		}
		all = append(all, e)
	}
	return all
}

// sameHost reports whether two URLs have the same scheme and host. A key that is sent over https
// is not sent over http.
func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	if err != nil {
		return false
	}
	v, err := url.Parse(b)
	return err == nil && u.Scheme == v.Scheme && strings.EqualFold(u.Host, v.Host)
}

// Models returns the models that a run with this model may ask for, the run's own first. A model
// can occur more than once. Without endpoints it is the run's own alone.
func (e Endpoints) Models(model string) []string {
	all := []string{model}
	for _, one := range e {
		if one.Model != "" {
			all = append(all, one.Model)
		}
	}
	return all
}
