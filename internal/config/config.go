// Package config owns the settings of gistmill: the table of settings (name, default, meaning,
// commands that use it), where a value comes from (flag, environment, --config file, default), and
// which values are valid.
//
// It refuses to own what a setting causes: it opens no ledger, dials no Redis, reads no prompt, and
// knows only the names of commands.
package config

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/llm"
)

// Models that are used when none is set.
const (
	// ModelExtractive is the built-in extractive engine: no network, no cost.
	ModelExtractive = "extractive"
	// ModelDefault is used if an API key or a base URL is set.
	ModelDefault = "gpt-4o-mini"
)

// Config holds the value of every setting. The zero value is not usable: [Load] returns one. Load
// is the last to write to it, so goroutines may share it.
type Config struct {
	// Store is the ledger's address: "sqlite:PATH" or "postgres://…". It may contain a password;
	// use [RedactURL] to show it.
	Store            string
	StoreConnections int // per process

	// Redis is the queue's address, or empty. It may contain a password; use [RedactURL] to show
	// it.
	Redis string
	// RedisCA, RedisCert and RedisKey are paths of PEM files for TLS to Redis. Empty means the
	// system's authorities and no client certificate.
	RedisCA, RedisCert, RedisKey string
	Queue                        string

	// Out is a local folder, or "-" for JSON lines on standard output.
	Out string

	// Model is the model to use: the one that is set, else [ModelDefault] if an API key or a base
	// URL is set, else [ModelExtractive].
	Model      string
	BaseURL    string // empty: the API of OpenAI; never with a trailing slash
	APIVersion string // empty: not an Azure endpoint
	Fallbacks  []llm.Endpoint
	APIKey     Secret
	// APIKeyFile is the path of a file with the key, and APIKeyCommand a command line that prints it.
	// At most one of the three is set.
	APIKeyFile    string
	APIKeyCommand Secret
	// FallbackAPIKeys is the value as set, separated by commas. Each of Fallbacks has its own key.
	FallbackAPIKeys Secret
	// FallbackRPM and FallbackTPM are the limits of the fallbacks, in the same order. Each of
	// Fallbacks has its own.
	FallbackRPM, FallbackTPM []int
	// LLMCA, LLMCert and LLMKey are paths of PEM files for TLS to the endpoint. Empty means the
	// system's authorities and no client certificate.
	LLMCA, LLMCert, LLMKey string
	Organization, Project  string // OpenAI's; empty: the key's
	// Headers is the value as set; see [Config.RequestHeaders].
	Headers Secret

	Prompt          string // path of a Go template; empty: built in
	PromptVersion   string // "v1" or "v2"; empty: by source
	Schema          string // path of a JSON schema; empty: built in
	Words           int
	Language        string // [LanguageSame] or a BCP 47 tag
	MaxOutputTokens int
	Temperature     float64
	ReasoningEffort string // empty: none sent, or the least that is known to be safe
	RequestExtra    string // JSON object for the body of requests; empty: none
	ContextTokens   int    // 0: by model
	MinWords        int    // of a document; 0: any

	RPM          int     // requests per minute; 0: unknown
	TPM          int     // tokens per minute; 0: unknown
	BudgetUSD    float64 // of a run; 0: none
	BudgetTokens int64   // of a run; 0: none
	BudgetUSDDay float64 // of a UTC day; 0: none
	ConfirmAbove float64 // USD of an estimate above which a run is confirmed; 0: always
	Prices       string  // path; empty: built in

	Concurrency        int   // calls in flight per process
	Partitions         int   // partitions held per process
	PartitionDocuments int   // maximum documents per partition
	PartitionBytes     int64 // approximate bytes per partition

	// Service is the tier of calls, "standard" or "flex". A run keeps its own if this is not set.
	Service      string
	FlexFallback bool // use the standard price where flex has no capacity
	FlexTimeout  time.Duration

	RequestTimeout   time.Duration
	MaxWait          time.Duration
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
	// LogFormat is "text", "json" or "auto": the command decides.
	LogFormat string

	// DefaultFile is the path of the user's configuration file, if it was read because no other was
	// named; otherwise empty. The caller says so.
	DefaultFile string

	// Warnings are lines for the user about settings that are valid but probably not intended, such
	// as an unknown GISTMILL_ variable or a password on the command line. The caller prints them.
	Warnings []string

	entries []Entry
}

// Entry is a setting with its value and origin.
type Entry struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	// Origin is "flag --rpm", "environment GISTMILL_RPM", "file gistmill.yaml" or "default".
	Origin string `json:"origin"`
}

// Explain returns all settings in the order of the table. Secrets show as "set" or "not set", and
// passwords in URLs as "xxxxx". The caller may change the slice.
func (c Config) Explain() []Entry {
	return append([]Entry(nil), c.entries...)
}

// IsSet reports whether a setting has another origin than its default.
func (c Config) IsSet(name string) bool {
	return slices.ContainsFunc(c.entries, func(e Entry) bool { return e.Setting == name && e.Origin != "default" })
}

// Secret is a value that prints as "set" or "not set" wherever it is formatted, logged or encoded.
// Only [Secret.Reveal] returns it.
type Secret string

// Reveal returns the secret. Do not log it or put it in an error.
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

// InvalidError lists all invalid settings, so that the user can correct them at once. It is a usage
// error: exit code 2.
type InvalidError struct {
	// Problems has one line for each invalid setting: the reason and what to do.
	Problems []string
}

// Error returns the problems, one per line.
func (e *InvalidError) Error() string { return strings.Join(e.Problems, "\n") }

// complete sets the values that depend on more than one setting.
func (c *Config) complete(isSet func(name string) bool) {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Model == "" {
		c.Model = ModelExtractive
		if c.HasEndpoint() {
			c.Model = ModelDefault
		}
	}
	for i, key := range c.fallbackKeys() {
		if i < len(c.Fallbacks) {
			c.Fallbacks[i].APIKey = key
		}
	}
	for i := range c.Fallbacks {
		if i < len(c.FallbackRPM) {
			c.Fallbacks[i].RPM = c.FallbackRPM[i]
		}
		if i < len(c.FallbackTPM) {
			c.Fallbacks[i].TPM = c.FallbackTPM[i]
		}
	}
	if !isSet("shutdown-grace") {
		// Enough for a call that has just begun to complete and to be stored.
		c.ShutdownGrace = c.RequestTimeout + 10*time.Second
		if c.Service == string(llm.TierFlex) {
			c.ShutdownGrace = max(c.ShutdownGrace, c.FlexTimeout+10*time.Second)
		}
	}
}

// fallbackKeys returns the keys in the order of the fallbacks. An empty key means none.
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

// problem is the reason why a setting is invalid, and what to do.
type problem struct{ setting, text string }

// cross checks what depends on more than one setting. uses reports whether the command reads a
// setting: a file that only another command needs does not have to exist.
func (c *Config) cross(uses func(name string) bool) []problem {
	var ps []problem
	if c.RetryBase > c.RetryCap {
		ps = append(ps, problem{"retry-base", "is longer than retry-cap (" + c.RetryBase.String() + " > " +
			c.RetryCap.String() + "): lower retry-base or raise retry-cap"})
	}
	if c.ContextTokens > 0 && c.ContextTokens <= c.MaxOutputTokens {
		ps = append(ps, problem{"context-tokens", "leaves no room for a document next to max-output-tokens: " +
			"raise context-tokens, or set it to 0 to use the model's window"})
	}
	if keys := c.fallbackKeys(); len(keys) > len(c.Fallbacks) && uses("fallbacks") {
		ps = append(ps, problem{"fallback-api-keys", fmt.Sprintf("has %d keys for %d fallbacks: give one key for each, in the same order, and leave it empty if none is needed",
			len(keys), len(c.Fallbacks))})
	}
	for _, f := range c.Fallbacks {
		if f.Model == ModelExtractive {
			ps = append(ps, problem{"fallbacks", "has the model " + ModelExtractive + ", which is built in: name a model of an endpoint"})
		}
	}
	if uses("listen") && c.AuthTokenFile == "" && !c.AllowUnauthenticated && !isLoopback(c.Listen) {
		ps = append(ps, problem{"listen", "is reachable from other machines without authentication: " +
			"set auth-token-file, listen on 127.0.0.1, or set allow-unauthenticated if something else protects the port"})
	}
	if uses("auth-metrics") && c.AuthMetrics && c.AuthTokenFile == "" {
		ps = append(ps, problem{"auth-metrics", "requires a token, but none is set: set auth-token-file"})
	}
	if uses("redis") {
		files := certificates.Files{For: "redis", CA: c.RedisCA, Cert: c.RedisCert, Key: c.RedisKey}
		scheme, _, _ := strings.Cut(c.Redis, "://")
		plain := c.Redis != "" && !strings.HasPrefix(scheme, "rediss")
		ps = append(ps, crossTLS(files, "Redis", c.Redis, plain, "rediss"+strings.TrimPrefix(scheme, "redis"))...)
	}
	ps = append(ps, c.crossConnection(uses)...)
	for _, f := range []struct{ name, path string }{
		{"redis-ca", c.RedisCA}, {"redis-cert", c.RedisCert}, {"redis-key", c.RedisKey},
		{"llm-ca", c.LLMCA}, {"llm-cert", c.LLMCert}, {"llm-key", c.LLMKey},
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

// advise returns warnings about settings that are valid but probably not intended. It warns only a
// command that reads them, because commands may share an environment.
func (c *Config) advise(uses func(name string) bool) []string {
	var ws []string
	if c.ShutdownGrace < c.RequestTimeout && uses("request-timeout") {
		ws = append(ws, "shutdown-grace ("+c.ShutdownGrace.String()+") is shorter than request-timeout ("+
			c.RequestTimeout.String()+"): a call in flight at SIGTERM may be paid for but lost")
	}
	if len(c.Fallbacks) > 0 && !c.HasEndpoint() && uses("fallbacks") {
		ws = append(ws, "fallbacks have no effect without a first endpoint: set base-url or OPENAI_API_KEY")
	}
	if c.Language != LanguageSame && c.Model == ModelExtractive && uses("language") {
		ws = append(ws, "language has no effect with model "+ModelExtractive+", which selects sentences of the document: set another model")
	}
	// An English word is about 4/3 of a token.
	if need := c.Words * 4 / 3; need > c.MaxOutputTokens && uses("words") {
		ws = append(ws, "max-output-tokens is too low for the number of words: raise it or lower words")
	}
	return ws
}

// endpointMissing returns why the model cannot be called, or "".
func (c *Config) endpointMissing() string {
	if c.HasEndpoint() || c.Model == ModelExtractive {
		return ""
	}
	return "model " + quote(c.Model) + " needs an API key: set OPENAI_API_KEY, or base-url for an endpoint without keys, " +
		"or model " + ModelExtractive + " for the built-in engine"
}

func unreadable(path string) string {
	f, err := os.Open(path)
	if err != nil {
		switch {
		case os.IsNotExist(err):
			return "does not exist"
		case os.IsPermission(err):
			return "cannot be read by this user"
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
