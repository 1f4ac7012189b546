// Package config owns the settings of gistmill: their one table (name, default,
// meaning, who uses them), how a value is found (flag, then environment, then
// --config file, then default), and what makes a value wrong.
//
// It refuses to own what a setting leads to: it opens no store, dials no Redis,
// reads no prompt and knows no command beyond its name.
package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// Models that are chosen when none is set.
const (
	// ModelExtractive is the built-in engine: no network, no cost.
	ModelExtractive = "extractive"
	// ModelDefault is used once there is a key or a base URL to call it with.
	ModelDefault = "gpt-4o-mini"
)

// Config holds every setting with its final value. The zero value is not
// usable: take it from [Load]. It is not written to after Load, so goroutines
// may share it.
type Config struct {
	// Store is the ledger's address: "sqlite:PATH" or "postgres://…". It may
	// hold a password; show [RedactURL] of it.
	Store            string
	StoreConnections int // per process

	// Redis is the queue's address, empty when not set. It may hold a
	// password; show [RedactURL] of it.
	Redis string
	// Paths of PEM files for TLS to Redis; empty: the system's authorities, no client certificate.
	RedisCA, RedisCert, RedisKey string
	Queue                        string

	// Out is a local folder, or "-" for JSON lines on standard output.
	Out string

	// Model is the model in force: what was set, else [ModelDefault] when
	// there is a key or a base URL, else [ModelExtractive].
	Model      string
	BaseURL    string // empty: the API of OpenAI; never with a trailing slash
	APIVersion string // empty: not an Azure endpoint
	Fallbacks  []llm.Endpoint
	APIKey     Secret
	// FallbackAPIKeys as they were set, separated by commas; each Fallback has its own.
	FallbackAPIKeys Secret

	Prompt          string // path of a Go template; empty: built in
	PromptVersion   string // "v1" or "v2"; empty: by source
	Schema          string // path of a JSON schema; empty: built in
	Words           int
	MaxOutputTokens int
	Temperature     float64
	ContextTokens   int // 0: by model

	RPM          int     // requests a minute; 0: unknown
	TPM          int     // tokens a minute; 0: unknown
	BudgetUSD    float64 // of a run; 0: none
	BudgetTokens int64   // of a run; 0: none
	BudgetUSDDay float64 // of a UTC day; 0: none
	Prices       string  // path; empty: built in

	Concurrency        int   // calls in flight per process
	Partitions         int   // partitions in hand per process
	PartitionDocuments int   // documents in a partition at most
	PartitionBytes     int64 // bytes in a partition, about

	RequestTimeout   time.Duration
	ShutdownGrace    time.Duration
	Deadline         time.Duration // of a worker; 0: none
	MaxAttempts      int           // of a document
	RetryBase        time.Duration
	RetryCap         time.Duration
	MaxDocumentBytes int64

	Listen        string // host:port
	AuthTokenFile string // path; empty: no authentication
	AuthMetrics   bool   // for /demand and /metrics too
	// AllowUnauthenticated lets the server listen beyond loopback without a token.
	AllowUnauthenticated bool
	MetricsListen        string // host:port of a worker's own metrics and probes; empty: none

	LogLevel slog.Level
	// LogFormat is "auto" (text on a terminal, else JSON), "text" or "json".
	LogFormat string

	// Warnings are one-line remarks that stop nothing: an unknown GISTMILL_
	// variable, a password on the command line. Who loads prints them.
	Warnings []string

	entries []Entry
}

// Entry is one setting as it is in force.
type Entry struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	// Origin says who set it: "flag --rpm", "environment GISTMILL_RPM",
	// "file gistmill.yaml", "default".
	Origin string `json:"origin"`
}

// Explain lists all settings in the order of the table. A secret reads "set"
// or "not set", a password inside a URL "xxxxx". The slice is the caller's.
func (c Config) Explain() []Entry {
	return append([]Entry(nil), c.entries...)
}

// Secret is a value that prints as "set" or "not set" wherever it is
// formatted, logged or encoded. Only Reveal gives it away.
type Secret string

// Reveal gives the secret itself. Do not log it or put it in an error.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return "not set"
	}
	return "set"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// InvalidError lists everything that is wrong with the settings, so that they
// are mended in one go. It is wrong usage: exit code 2.
type InvalidError struct {
	// Problems has one line for each wrong setting, with what to do.
	Problems []string
}

// Error joins the problems, one a line.
func (e *InvalidError) Error() string { return strings.Join(e.Problems, "\n") }

// complete fills in what depends on more than one setting.
func (c *Config) complete(isSet func(name string) bool) {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Model == "" {
		c.Model = ModelExtractive
		if c.APIKey != "" || c.BaseURL != "" {
			c.Model = ModelDefault
		}
	}
	for i, key := range c.fallbackKeys() {
		if i < len(c.Fallbacks) {
			c.Fallbacks[i].APIKey = key
		}
	}
	if !isSet("shutdown-grace") {
		// Long enough for a call that has just begun to end by itself, and to store it.
		c.ShutdownGrace = c.RequestTimeout + 10*time.Second
	}
}

// fallbackKeys are the single keys, in the order of the fallbacks; an empty one is none.
func (c *Config) fallbackKeys() []string {
	if c.FallbackAPIKeys == "" {
		return nil
	}
	keys := strings.Split(c.FallbackAPIKeys.Reveal(), ",")
	for i, key := range keys {
		keys[i] = strings.TrimSpace(key)
	}
	return keys
}

// problem names the setting at fault and says what to do.
type problem struct{ setting, text string }

// cross checks what depends on more than one setting. uses tells which
// settings the running command reads: a file that only another command needs
// does not have to be there.
func (c *Config) cross(uses func(name string) bool) []problem {
	var ps []problem
	if c.RetryBase > c.RetryCap {
		ps = append(ps, problem{"retry-base", "is longer than retry-cap (" + c.RetryBase.String() + " > " +
			c.RetryCap.String() + "): lower retry-base or raise retry-cap"})
	}
	if c.ContextTokens > 0 && c.ContextTokens <= c.MaxOutputTokens {
		ps = append(ps, problem{"context-tokens", "leaves no room for a document beside max-output-tokens: " +
			"raise context-tokens, or set 0 to take the model's own"})
	}
	if keys := c.fallbackKeys(); len(keys) > len(c.Fallbacks) && uses("fallbacks") {
		ps = append(ps, problem{"fallback-api-keys", fmt.Sprintf("has %d keys for %d fallbacks: give one for each, in their order, an empty one where none is needed",
			len(keys), len(c.Fallbacks))})
	}
	for _, f := range c.Fallbacks {
		if f.Model == ModelExtractive {
			ps = append(ps, problem{"fallbacks", "has the model " + ModelExtractive + ", which is no endpoint's: name one that an endpoint has"})
		}
	}
	if uses("listen") && c.AuthTokenFile == "" && !c.AllowUnauthenticated && !isLoopback(c.Listen) {
		ps = append(ps, problem{"listen", "is reachable from other machines and has no authentication: " +
			"set auth-token-file, listen on 127.0.0.1, or set allow-unauthenticated where others guard the port"})
	}
	if uses("auth-metrics") && c.AuthMetrics && c.AuthTokenFile == "" {
		ps = append(ps, problem{"auth-metrics", "asks for a token and none is set: set auth-token-file"})
	}
	if uses("redis") {
		ps = append(ps, c.crossRedis()...)
	}
	for _, f := range []struct{ name, path string }{
		{"redis-ca", c.RedisCA}, {"redis-cert", c.RedisCert}, {"redis-key", c.RedisKey},
		{"prompt", c.Prompt}, {"schema", c.Schema}, {"prices", c.Prices}, {"auth-token-file", c.AuthTokenFile},
	} {
		if f.path == "" || !uses(f.name) {
			continue
		}
		if why := unreadable(f.path); why != "" {
			ps = append(ps, problem{f.name, "names " + quote(f.path) + ", which " + why + ": give the path of a readable file"})
		}
	}
	return ps
}

// crossRedis checks the files for TLS to Redis.
func (c *Config) crossRedis() []problem {
	var ps []problem
	switch {
	case c.RedisCert != "" && c.RedisKey == "":
		ps = append(ps, problem{"redis-cert", "has no private key beside it: set redis-key"})
	case c.RedisKey != "" && c.RedisCert == "":
		ps = append(ps, problem{"redis-key", "has no certificate beside it: set redis-cert"})
	}
	if c.Redis != "" && !strings.HasPrefix(c.Redis, "rediss") {
		for _, f := range []struct{ name, path string }{{"redis-ca", c.RedisCA}, {"redis-cert", c.RedisCert}, {"redis-key", c.RedisKey}} {
			if f.path != "" {
				scheme, _, _ := strings.Cut(c.Redis, "://")
				ps = append(ps, problem{f.name, "is for TLS, and the address of Redis begins with " + scheme + ":// : give rediss" +
					strings.TrimPrefix(scheme, "redis") + "://"})
			}
		}
	}
	return ps
}

// advise gives remarks on settings that are legal and probably not meant, to the
// command that reads them: several commands may share one environment.
func (c *Config) advise(uses func(name string) bool) []string {
	var ws []string
	if c.ShutdownGrace < c.RequestTimeout && uses("request-timeout") {
		ws = append(ws, "shutdown-grace ("+c.ShutdownGrace.String()+") is shorter than request-timeout ("+
			c.RequestTimeout.String()+"): a call in flight at SIGTERM may be paid for and lost")
	}
	if len(c.Fallbacks) > 0 && c.APIKey == "" && c.BaseURL == "" && uses("fallbacks") {
		ws = append(ws, "fallbacks have no effect without a first endpoint: set base-url or OPENAI_API_KEY")
	}
	// An English word is about 4/3 of a token.
	if need := c.Words * 4 / 3; need > c.MaxOutputTokens && uses("words") {
		ws = append(ws, "max-output-tokens hardly holds the words asked for: raise it or lower words")
	}
	return ws
}

// endpointMissing says why a command that calls the model cannot, or "".
func (c *Config) endpointMissing() string {
	if c.APIKey != "" || c.BaseURL != "" || c.Model == ModelExtractive {
		return ""
	}
	return "model " + quote(c.Model) + " needs a key: set OPENAI_API_KEY, or base-url for an endpoint without one, " +
		"or model " + ModelExtractive + " to work without any"
}

func unreadable(path string) string {
	f, err := os.Open(path)
	if err != nil {
		switch {
		case os.IsNotExist(err):
			return "does not exist"
		case os.IsPermission(err):
			return "may not be read by this user"
		default:
			return "cannot be opened"
		}
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return "is a folder"
	}
	return ""
}

func checkHTTP(raw string) string {
	u, err := url.Parse(raw)
	// The parser's error repeats the whole URL, password and all.
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "is not an http:// or https:// URL: give e.g. http://localhost:11434/v1"
	}
	return ""
}
