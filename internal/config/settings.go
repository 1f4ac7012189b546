package config

import (
	"slices"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/keys"
	"github.com/gistmill/gistmill/internal/usage"
)

// Kind is the type of a setting's value.
type Kind string

// The kinds of settings, named as the help text shows them.
const (
	KindString   Kind = "string"
	KindInt      Kind = "int"
	KindFloat    Kind = "float"
	KindDuration Kind = "duration"
	KindBytes    Kind = "size"
	KindURL      Kind = "url"
	KindFile     Kind = "file" // must be readable
	KindPath     Kind = "path"
	KindList     Kind = "list"
	KindBool     Kind = "bool"
)

// Setting is one row of the table that code, documents, chart and tests share.
type Setting struct {
	// Name is the flag without its dashes. The environment variable is GISTMILL_ and the name in
	// capitals. The key in the file is the name. Both have underscores instead of hyphens.
	Name string
	// Group is the heading of the help text under which the flag is listed, one of [usage.Groups].
	Group string
	// Default is the value if none is set. It is parsed like any other.
	Default string
	// DefaultText describes a default that depends on something else; otherwise it is empty.
	DefaultText string
	// DefaultByCommand marks a DefaultText that compares commands. The help text of a command leaves
	// it out, because a command shows whether it requires the setting.
	DefaultByCommand bool
	// Usage describes the setting in one line.
	Usage string
	Kind  Kind
	// Secret settings are read from the environment only: they have no flag and no key in the file.
	Secret bool
	// FlagOrEnv settings are not read from a file, because a file from elsewhere could do harm with
	// them: a command would run.
	FlagOrEnv bool
	// Aliases are environment variables of other tools. They are read in this order if the
	// setting's own variable is not set.
	Aliases []string
	// Commands are the commands that read the setting.
	Commands []string

	bind  func(*Config) any  // returns a pointer to the field
	check func(v any) string // returns the problem of a parsed value and what to do, or ""
}

// Env returns the setting's own environment variable.
func (s Setting) Env() string { return "GISTMILL_" + upperSnake(s.Name) }

// Key returns the setting's key in the --config file.
func (s Setting) Key() string { return snake(s.Name) }

// ForCommand returns the names of the settings that a command reads, without secrets, in the order
// of the table. They are the names for [AddFlags].
func ForCommand(command string) []string {
	var names []string
	for _, s := range Settings() {
		if !s.Secret && slices.Contains(s.Commands, command) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Settings returns the table of settings. The caller may change it.
func Settings() []Setting {
	var (
		everyone = []string{"run", "enqueue", "worker", "server", "status", "runs", "pause", "resume", "cancel",
			"show", "dead", "export", "prune", "migrate", "config", "check"}
		queueing = []string{"run", "enqueue", "worker", "server", "status", "runs", "pause", "resume", "cancel",
			"dead", "config", "check"}
		profile  = []string{"run", "enqueue", "config", "check"}
		planning = []string{"run", "enqueue", "config"}
		calling  = []string{"run", "worker", "config", "check"}
		limits   = []string{"run", "enqueue", "worker", "server", "config", "check"}
		budget   = []string{"run", "enqueue", "resume", "config", "check"}
		serving  = []string{"server", "config"}
	)
	return []Setting{
		{
			Name: "store", Group: usage.Connection, Kind: KindURL, Default: "sqlite:.gistmill/ledger.db", Commands: everyone,
			Usage: "address of the ledger: `sqlite:PATH` or `postgres://…`",
			bind:  func(c *Config) any { return &c.Store }, check: stringCheck(checkStore),
		},
		{
			Name: "store-connections", Group: usage.Advanced, Kind: KindInt, Default: "4", Commands: everyone,
			Usage: "database connections per process; works behind a transaction pooler",
			bind:  func(c *Config) any { return &c.StoreConnections }, check: atLeast(1),
		},
		{
			Name: "redis", Group: usage.Connection, Kind: KindURL, Commands: queueing,
			DefaultText: "embedded in `run`; required by `enqueue`, `worker`, `server`; optional elsewhere", DefaultByCommand: true,
			Usage: "address of the queue: `redis://`, `rediss://` (TLS), `redis-sentinel://` or `redis-cluster://`, with user and password",
			bind:  func(c *Config) any { return &c.Redis }, check: stringCheck(checkRedis),
		},
		{
			Name: "redis-ca", Group: usage.Connection, Kind: KindFile, DefaultText: "the system's", Commands: queueing,
			Usage: "PEM file of the certificate authorities for Redis; needs `rediss://`; all three PEM files are read again for each connection",
			bind:  func(c *Config) any { return &c.RedisCA },
		},
		{
			Name: "redis-cert", Group: usage.Connection, Kind: KindFile, DefaultText: "none", Commands: queueing,
			Usage: "PEM file of the client certificate for Redis",
			bind:  func(c *Config) any { return &c.RedisCert },
		},
		{
			Name: "redis-key", Group: usage.Connection, Kind: KindFile, DefaultText: "none", Commands: queueing,
			Usage: "PEM file of the private key of `redis-cert`",
			bind:  func(c *Config) any { return &c.RedisKey },
		},
		{
			Name: "queue", Group: usage.Connection, Kind: KindString, Default: "documents", Commands: queueing,
			Usage: "name of the queue",
			bind:  func(c *Config) any { return &c.Queue }, check: stringCheck(checkQueue),
		},
		{
			Name: "out", Group: usage.Output, Kind: KindPath, Default: "./summaries", Commands: []string{"run", "config", "check"},
			Usage: "folder for the summaries, `-` for JSON lines on standard output, or `none`",
			bind:  func(c *Config) any { return &c.Out }, check: stringCheck(checkOut),
		},
		{
			Name: "model", Group: usage.Model, Kind: KindString, Commands: profile,
			DefaultText: ModelDefault + " with an API key or base URL, otherwise " + ModelExtractive,
			Usage:       "model that summarizes; `extractive` is built in and needs no network; part of the profile",
			bind:        func(c *Config) any { return &c.Model },
		},
		{
			Name: "base-url", Group: usage.Model, Kind: KindURL, DefaultText: "OpenAI", Aliases: []string{"OPENAI_BASE_URL"},
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "URL of an OpenAI-compatible endpoint, such as `http://localhost:11434/v1`",
			bind:     func(c *Config) any { return &c.BaseURL }, check: stringCheck(checkHTTP),
		},
		{
			Name: "api-version", Group: usage.Model, Kind: KindString, Commands: calling,
			Usage: "API version of an Azure OpenAI endpoint; set it for Azure only",
			bind:  func(c *Config) any { return &c.APIVersion },
		},
		{
			Name: "fallbacks", Group: usage.Model, Kind: KindList, Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage: "endpoints or models to try, in order, when the first is down, halted or refuses a document: `MODEL`, `URL` or `MODEL@URL`, separated by commas",
			bind:  func(c *Config) any { return &c.Fallbacks },
		},
		{
			Name: "fallback-api-keys", Group: usage.Model, Kind: KindList, Secret: true,
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "API keys of the fallbacks, in the same order, separated by commas; leave one empty if none is needed; `api-key` is sent to the first endpoint's host only",
			bind:     func(c *Config) any { return &c.FallbackAPIKeys }, check: stringCheck(checkKeys),
		},
		{
			Name: "api-key", Group: usage.Model, Kind: KindString, Secret: true, Aliases: []string{"OPENAI_API_KEY"},
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "API key of the endpoint",
			bind:     func(c *Config) any { return &c.APIKey }, check: stringCheck(keys.Check),
		},
		{
			Name: "api-key-file", Group: usage.Model, Kind: KindFile, DefaultText: "none",
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "file with the API key of the endpoint; read again when it changes and after a refusal",
			bind:     func(c *Config) any { return &c.APIKeyFile },
		},
		{
			Name: "api-key-command", Group: usage.Model, Kind: KindString, DefaultText: "none", FlagOrEnv: true,
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "command of the shell that prints the API key, or JSON with token and expiry; run again before it expires and after a refusal",
			bind:     func(c *Config) any { return &c.APIKeyCommand },
		},
		{
			Name: "organization", Group: usage.Model, Kind: KindString, Aliases: []string{"OPENAI_ORG_ID"}, Commands: calling,
			Usage: "organization at OpenAI that pays; sent to the first endpoint's host only",
			bind:  func(c *Config) any { return &c.Organization }, check: stringCheck(checkHeaderValue),
		},
		{
			Name: "project", Group: usage.Model, Kind: KindString, Aliases: []string{"OPENAI_PROJECT_ID"}, Commands: calling,
			Usage: "project at OpenAI; sent to the first endpoint's host only",
			bind:  func(c *Config) any { return &c.Project }, check: stringCheck(checkHeaderValue),
		},
		{
			Name: "headers", Group: usage.Model, Kind: KindString, Secret: true, Commands: calling,
			Usage: "JSON object of further HTTP headers, sent to the first endpoint's host only, such as `{\"X-Team\": \"research\"}`",
			bind:  func(c *Config) any { return &c.Headers }, check: stringCheck(checkHeaders),
		},
		{
			Name: "llm-ca", Group: usage.Connection, Kind: KindFile, DefaultText: "the system's", Commands: calling,
			Usage: "PEM file of the certificate authorities for the first endpoint's host; needs `https://`; all three PEM files are read again when they change",
			bind:  func(c *Config) any { return &c.LLMCA },
		},
		{
			Name: "llm-cert", Group: usage.Connection, Kind: KindFile, DefaultText: "none", Commands: calling,
			Usage: "PEM file of the client certificate for the endpoint",
			bind:  func(c *Config) any { return &c.LLMCert },
		},
		{
			Name: "llm-key", Group: usage.Connection, Kind: KindFile, DefaultText: "none", Commands: calling,
			Usage: "PEM file of the private key of `llm-cert`",
			bind:  func(c *Config) any { return &c.LLMKey },
		},
		{
			Name: "prompt", Group: usage.Model, Kind: KindFile, DefaultText: "built in", Commands: profile,
			Usage: "file with the prompt, a Go template with `.Text`, `.Title` and `.URI`; part of the profile",
			bind:  func(c *Config) any { return &c.Prompt },
		},
		{
			Name: "prompt-version", Group: usage.Model, Kind: KindString, Commands: profile,
			DefaultText: "`v2`; a source with summaries of `v1` stays on `v1`",
			Usage:       "version of the built-in prompts, `v1` or `v2`; part of the profile",
			bind:        func(c *Config) any { return &c.PromptVersion }, check: stringCheck(oneOf("v1", "v2")),
		},
		{
			Name: "schema", Group: usage.Model, Kind: KindFile, DefaultText: "built in", Commands: profile,
			Usage: "file with the JSON schema of the answer; part of the profile",
			bind:  func(c *Config) any { return &c.Schema },
		},
		{
			Name: "words", Group: usage.Model, Kind: KindInt, Default: "150", Commands: profile,
			Usage: "approximate length of a summary in words; part of the profile",
			bind:  func(c *Config) any { return &c.Words }, check: atLeast(1),
		},
		{
			Name: "language", Group: usage.Model, Kind: KindString, Default: "same", Commands: profile,
			Usage: "language of summaries: `same` as the document, or a BCP 47 tag such as `de` or `pt-BR`; needs prompt version `v2`; part of the profile",
			bind:  func(c *Config) any { return &c.Language }, check: stringCheck(checkLanguage),
		},
		{
			Name: "max-output-tokens", Group: usage.Model, Kind: KindInt, Default: "400", Commands: profile,
			Usage: "maximum tokens of an answer; providers may count them against the rate limit in advance; part of the profile",
			bind:  func(c *Config) any { return &c.MaxOutputTokens }, check: atLeast(1),
		},
		{
			Name: "temperature", Group: usage.Model, Kind: KindFloat, Default: "0", Commands: profile,
			Usage: "sampling temperature, from 0 to 2; part of the profile",
			bind:  func(c *Config) any { return &c.Temperature }, check: between(0, 2),
		},
		{
			Name: "reasoning-effort", Group: usage.Model, Kind: KindString, DefaultText: "`low` for OpenAI's reasoning models, otherwise none sent", Commands: profile,
			Usage: "how much a model that thinks thinks: `none`, `minimal`, `low`, `medium` or `high`; left out where the endpoint refuses it; part of the profile",
			bind:  func(c *Config) any { return &c.ReasoningEffort }, check: stringCheck(orEmpty(oneOf("none", "minimal", "low", "medium", "high"))),
		},
		{
			Name: "request-extra", Group: usage.Model, Kind: KindString, DefaultText: "none", Commands: profile,
			Usage: "JSON object that is merged into the body of each request, such as `{\"chat_template_kwargs\": {\"enable_thinking\": false}}`; part of the profile",
			bind:  func(c *Config) any { return &c.RequestExtra }, check: stringCheck(llm.CheckExtra),
		},
		{
			Name: "context-tokens", Group: usage.Model, Kind: KindInt, Default: "0", Commands: limits,
			Usage: "context window of the model; 0: known by model, otherwise 8192",
			bind:  func(c *Config) any { return &c.ContextTokens }, check: atLeast(0),
		},
		{
			Name: "min-words", Group: usage.Limits, Kind: KindInt, Default: "5",
			Commands: []string{"run", "enqueue", "worker", "resume", "dead", "config", "check"},
			Usage:    "documents with fewer words after extraction become dead letters of class `input` before any call; not for `extractive`; 0: none",
			bind:     func(c *Config) any { return &c.MinWords }, check: atLeast(0),
		},
		{
			Name: "rpm", Group: usage.Limits, Kind: KindInt, Default: "0", Commands: limits,
			Usage: "requests per minute that the endpoint allows, shared by all workers on the same Redis; 0: unknown, learned from responses",
			bind:  func(c *Config) any { return &c.RPM }, check: atLeast(0),
		},
		{
			Name: "tpm", Group: usage.Limits, Kind: KindInt, Default: "0", Commands: limits,
			Usage: "tokens per minute that the endpoint allows, shared by all workers on the same Redis; 0: unknown, learned from responses",
			bind:  func(c *Config) any { return &c.TPM }, check: atLeast(0),
		},
		{
			Name: "fallback-rpm", Group: usage.Limits, Kind: KindList, DefaultText: "none", Commands: calling,
			Usage: "requests per minute that each of the `fallbacks` allows, in the same order, separated by commas; leave one empty if it is unknown",
			bind:  func(c *Config) any { return &c.FallbackRPM },
		},
		{
			Name: "fallback-tpm", Group: usage.Limits, Kind: KindList, DefaultText: "none", Commands: calling,
			Usage: "tokens per minute that each of the `fallbacks` allows, like `fallback-rpm`",
			bind:  func(c *Config) any { return &c.FallbackTPM },
		},
		{
			Name: "budget-usd", Group: usage.Limits, Kind: KindFloat, Default: "0", Commands: budget,
			Usage: "budget of a run in US dollars, including calls in flight; 0: none",
			bind:  func(c *Config) any { return &c.BudgetUSD }, check: atLeast(0),
		},
		{
			Name: "budget-tokens", Group: usage.Limits, Kind: KindInt, Default: "0", Commands: budget,
			Usage: "budget of a run in tokens, including calls in flight; 0: none",
			bind:  func(c *Config) any { return &c.BudgetTokens }, check: atLeast(0),
		},
		{
			Name: "budget-usd-day", Group: usage.Limits, Kind: KindFloat, Default: "0", Commands: append([]string{"status"}, limits...),
			Usage: "budget of all runs of the ledger for a UTC day in US dollars; 0: none",
			bind:  func(c *Config) any { return &c.BudgetUSDDay }, check: atLeast(0),
		},
		{
			Name: "confirm-above", Group: usage.Limits, Kind: KindFloat, Default: "5", Commands: []string{"run", "resume", "dead", "config"},
			Usage: "estimate in US dollars above which `run`, `resume` and `dead retry` ask before the first call, or need `--yes` without a terminal; a model without a known price is asked about on a terminal, unless its endpoint is local; 0: ask always",
			bind:  func(c *Config) any { return &c.ConfirmAbove }, check: atLeast(0),
		},
		{
			Name: "prices", Group: usage.Model, Kind: KindFile, DefaultText: "built in", Commands: append([]string{"resume"}, limits...),
			Usage: "YAML file with prices by model",
			bind:  func(c *Config) any { return &c.Prices },
		},
		{
			Name: "concurrency", Group: usage.Limits, Kind: KindInt, Default: "16", Commands: limits,
			Usage: "calls in flight per process",
			bind:  func(c *Config) any { return &c.Concurrency }, check: atLeast(1),
		},
		{
			Name: "partitions", Group: usage.Advanced, Kind: KindInt, Default: "4", Commands: []string{"run", "worker", "server", "config"},
			Usage: "partitions that a process works on at once (the target value for KEDA)",
			bind:  func(c *Config) any { return &c.Partitions }, check: atLeast(1),
		},
		{
			Name: "partition-documents", Group: usage.Advanced, Kind: KindInt, Default: "50", Commands: planning,
			Usage: "maximum number of documents in a partition",
			bind:  func(c *Config) any { return &c.PartitionDocuments }, check: atLeast(1),
		},
		{
			Name: "partition-bytes", Group: usage.Advanced, Kind: KindBytes, Default: "4MiB", Commands: planning,
			Usage: "approximate size of a partition",
			bind:  func(c *Config) any { return &c.PartitionBytes }, check: atLeast(1),
		},
		{
			Name: "request-timeout", Group: usage.Limits, Kind: KindDuration, Default: "2m", Commands: calling,
			Usage: "maximum duration of a call",
			bind:  func(c *Config) any { return &c.RequestTimeout }, check: positive(),
		},
		{
			Name: "service", Group: usage.Model, Kind: KindString, Default: string(llm.TierStandard), Commands: budget,
			Usage: "service tier of the calls: `standard`, or `flex`, which costs about half and waits for free capacity; a run keeps the tier until another one is set",
			bind:  func(c *Config) any { return &c.Service }, check: stringCheck(checkService),
		},
		{
			Name: "flex-fallback", Group: usage.Model, Kind: KindBool, Default: "false", Commands: budget,
			Usage: "use the standard price after the endpoint refused flex calls for want of capacity; a run keeps it until it is set again",
			bind:  func(c *Config) any { return &c.FlexFallback },
		},
		{
			Name: "flex-timeout", Group: usage.Limits, Kind: KindDuration, Default: "15m", Commands: calling,
			Usage: "maximum duration of a call at the flex tier",
			bind:  func(c *Config) any { return &c.FlexTimeout }, check: positive(),
		},
		{
			Name: "max-wait", Group: usage.Limits, Kind: KindDuration, Default: "1h", Commands: calling,
			Usage: "how long the endpoint may give no answer, or a quota may take to reset, before `run` stops and workers end",
			bind:  func(c *Config) any { return &c.MaxWait }, check: positive(),
		},
		{
			Name: "shutdown-grace", Group: usage.Advanced, Kind: KindDuration, DefaultText: "request-timeout + 10s",
			Commands: []string{"run", "worker", "server", "config"},
			Usage:    "maximum time to complete calls in flight after SIGTERM; with `service` flex the default is flex-timeout + 10s",
			bind:     func(c *Config) any { return &c.ShutdownGrace }, check: positive(),
		},
		{
			Name: "deadline", Group: usage.Limits, Kind: KindDuration, Default: "0s", Commands: []string{"worker", "config"},
			Usage: "maximum running time of a worker, which then shuts down as after SIGTERM; set it to the Job's activeDeadlineSeconds minus shutdown-grace; 0: none",
			bind:  func(c *Config) any { return &c.Deadline }, check: notNegative(),
		},
		{
			Name: "max-attempts", Group: usage.Limits, Kind: KindInt, Default: "8", Commands: calling,
			Usage: "attempts at a document before it becomes a dead letter",
			bind:  func(c *Config) any { return &c.MaxAttempts }, check: atLeast(1),
		},
		{
			Name: "retry-base", Group: usage.Advanced, Kind: KindDuration, Default: "1s", Commands: calling,
			Usage: "backoff before the second attempt; doubles each time, with full jitter",
			bind:  func(c *Config) any { return &c.RetryBase }, check: positive(),
		},
		{
			Name: "retry-cap", Group: usage.Advanced, Kind: KindDuration, Default: "5m", Commands: calling,
			Usage: "maximum backoff before another attempt",
			bind:  func(c *Config) any { return &c.RetryCap }, check: positive(),
		},
		{
			Name: "max-document-bytes", Group: usage.Limits, Kind: KindBytes, Default: "64MiB",
			Commands: []string{"run", "enqueue", "worker", "config", "check"},
			Usage:    "maximum size of a document; larger ones become dead letters of class `input`",
			bind:     func(c *Config) any { return &c.MaxDocumentBytes }, check: atLeast(1),
		},
		{
			Name: "listen", Group: usage.Connection, Kind: KindString, Default: "127.0.0.1:8080", Commands: serving,
			Usage: "address that the server listens on, `HOST:PORT`",
			bind:  func(c *Config) any { return &c.Listen }, check: stringCheck(checkListen),
		},
		{
			Name: "auth-token-file", Group: usage.Connection, Kind: KindFile, DefaultText: "none", Commands: serving,
			Usage: "file with the token that clients must present; required to listen beyond loopback, unless `allow-unauthenticated` is set",
			bind:  func(c *Config) any { return &c.AuthTokenFile },
		},
		{
			Name: "auth-metrics", Group: usage.Connection, Kind: KindBool, Default: "false", Commands: serving,
			Usage: "require the token for `/demand` and `/metrics` too",
			bind:  func(c *Config) any { return &c.AuthMetrics },
		},
		{
			Name: "allow-unauthenticated", Group: usage.Connection, Kind: KindBool, Default: "false", Commands: serving,
			Usage: "listen beyond loopback without a token; everyone who can reach the port has access",
			bind:  func(c *Config) any { return &c.AllowUnauthenticated },
		},
		{
			Name: "metrics-listen", Group: usage.Connection, Kind: KindString, DefaultText: "none", Commands: []string{"worker", "config"},
			Usage: "address of a worker's own `/metrics`, `/healthz` and `/readyz`, `HOST:PORT`; they need no token",
			bind:  func(c *Config) any { return &c.MetricsListen }, check: stringCheck(orEmpty(checkListen)),
		},
		{
			Name: "log-level", Group: usage.Output, Kind: KindString, Default: "info", Commands: everyone,
			Usage: "log level: `debug`, `info`, `warn` or `error`",
			bind:  func(c *Config) any { return &c.LogLevel },
		},
		{
			Name: "log-format", Group: usage.Output, Kind: KindString, Default: "auto", Commands: everyone,
			Usage: "`text`, `json`, or `auto`: sentences for people, and json of `worker`, `server` and `enqueue` without a terminal",
			bind:  func(c *Config) any { return &c.LogFormat }, check: stringCheck(oneOf("auto", "text", "json")),
		},
	}
}
