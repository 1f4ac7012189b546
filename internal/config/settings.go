package config

import "slices"

// Kind is the form of a setting's value.
type Kind string

// The kinds of settings, named as the help text shows them.
const (
	KindString   Kind = "string"
	KindInt      Kind = "int"
	KindFloat    Kind = "float"
	KindDuration Kind = "duration"
	KindBytes    Kind = "size"
	KindURL      Kind = "url"
	KindFile     Kind = "file"
	KindList     Kind = "list"
	KindBool     Kind = "bool"
)

// Setting is one row of the table that code, documents, chart and tests share.
type Setting struct {
	// Name is the flag without its dashes. The environment variable is
	// GISTMILL_ and the name in capitals, the key of the file the name, both
	// with underscores for the hyphens.
	Name string
	// Default is the value taken when nobody sets one; it is parsed like any other.
	Default string
	// DefaultText describes a default that depends on other things, else "".
	DefaultText string
	// Usage is one line on what the setting does.
	Usage string
	Kind  Kind
	// Secret settings come from the environment only: no flag, no key of the file.
	Secret bool
	// Aliases are environment variables of other tools that are read when
	// GISTMILL_ has none, first one first.
	Aliases []string
	// Commands that read the setting.
	Commands []string

	bind  func(*Config) any  // pointer to the field
	check func(v any) string // what is wrong with a parsed value and what to do, or ""
}

// Env is the setting's own environment variable.
func (s Setting) Env() string { return "GISTMILL_" + upperSnake(s.Name) }

// Key is the setting's key in the --config file.
func (s Setting) Key() string { return snake(s.Name) }

// ForCommand lists the names of the settings that a command reads, secrets
// left out, in the order of the table: what to give [AddFlags].
func ForCommand(command string) []string {
	var names []string
	for _, s := range Settings() {
		if !s.Secret && slices.Contains(s.Commands, command) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Settings is the table. Every call gives a fresh copy.
func Settings() []Setting {
	var (
		everyone = []string{"run", "enqueue", "worker", "server", "status", "runs", "pause", "resume", "cancel",
			"show", "dead", "export", "prune", "config"}
		queueing = []string{"run", "enqueue", "worker", "server", "status", "runs", "pause", "resume", "cancel",
			"dead", "config"}
		profile  = []string{"run", "enqueue", "config"}
		planning = []string{"run", "enqueue", "config"}
		calling  = []string{"run", "worker", "config"}
		limits   = []string{"run", "enqueue", "worker", "server", "config"}
		budget   = []string{"run", "enqueue", "resume", "config"}
		serving  = []string{"server", "config"}
	)
	return []Setting{
		{
			Name: "store", Kind: KindURL, Default: "sqlite:.gistmill/ledger.db", Commands: everyone,
			Usage: "ledger: `sqlite:PATH` or `postgres://…`",
			bind:  func(c *Config) any { return &c.Store }, check: text(checkStore),
		},
		{
			Name: "store-connections", Kind: KindInt, Default: "4", Commands: everyone,
			Usage: "connections to the ledger per process; no session state, works behind a transaction pooler",
			bind:  func(c *Config) any { return &c.StoreConnections }, check: atLeast(1),
		},
		{
			Name: "redis", Kind: KindURL, Commands: queueing,
			DefaultText: "embedded in `run`; required by enqueue, worker, server; optional elsewhere",
			Usage:       "queue: `redis://`, `rediss://` (TLS), `redis-sentinel://` or `redis-cluster://` address, with user and password",
			bind:        func(c *Config) any { return &c.Redis }, check: text(checkRedis),
		},
		{
			Name: "redis-ca", Kind: KindFile, DefaultText: "the system's", Commands: queueing,
			Usage: "certificates (PEM) of the authorities that sign Redis' own, with `rediss://`; read at each new connection, as the next two",
			bind:  func(c *Config) any { return &c.RedisCA },
		},
		{
			Name: "redis-cert", Kind: KindFile, DefaultText: "none", Commands: queueing,
			Usage: "certificate (PEM) to show to a Redis that asks for one",
			bind:  func(c *Config) any { return &c.RedisCert },
		},
		{
			Name: "redis-key", Kind: KindFile, DefaultText: "none", Commands: queueing,
			Usage: "private key (PEM) of `redis-cert`",
			bind:  func(c *Config) any { return &c.RedisKey },
		},
		{
			Name: "queue", Kind: KindString, Default: "documents", Commands: queueing,
			Usage: "queue name",
			bind:  func(c *Config) any { return &c.Queue }, check: text(checkQueue),
		},
		{
			Name: "out", Kind: KindString, Default: "./summaries", Commands: []string{"run", "config"},
			Usage: "folder for the summaries; `-` is JSON lines on standard output",
			bind:  func(c *Config) any { return &c.Out }, check: text(checkOut),
		},
		{
			Name: "model", Kind: KindString, Commands: profile,
			DefaultText: ModelDefault + " with a key or base URL, else " + ModelExtractive,
			Usage:       "model that summarizes; `extractive` is built in and needs no network; part of the profile",
			bind:        func(c *Config) any { return &c.Model },
		},
		{
			Name: "base-url", Kind: KindURL, DefaultText: "OpenAI", Aliases: []string{"OPENAI_BASE_URL"},
			Commands: []string{"run", "enqueue", "worker", "config"},
			Usage:    "OpenAI-compatible endpoint, e.g. `http://localhost:11434/v1`",
			bind:     func(c *Config) any { return &c.BaseURL }, check: text(checkHTTP),
		},
		{
			Name: "api-version", Kind: KindString, Commands: calling,
			Usage: "version of Azure's API; set it for an Azure endpoint only",
			bind:  func(c *Config) any { return &c.APIVersion },
		},
		{
			Name: "fallbacks", Kind: KindList, Commands: []string{"run", "enqueue", "worker", "config"},
			Usage: "further endpoints to ask, in order, when one is down or refuses: `MODEL`, `URL` or `MODEL@URL`, separated by commas",
			bind:  func(c *Config) any { return &c.Fallbacks },
		},
		{
			Name: "fallback-api-keys", Kind: KindList, Secret: true,
			Commands: []string{"run", "enqueue", "worker", "config"},
			Usage:    "keys of the fallbacks in their order, separated by commas, an empty one for none; `api-key` goes to the first endpoint's host only",
			bind:     func(c *Config) any { return &c.FallbackAPIKeys }, check: text(checkKeys),
		},
		{
			Name: "api-key", Kind: KindString, Secret: true, Aliases: []string{"OPENAI_API_KEY"},
			Commands: []string{"run", "enqueue", "worker", "config"},
			Usage:    "key of the endpoint",
			bind:     func(c *Config) any { return &c.APIKey }, check: text(checkKey),
		},
		{
			Name: "prompt", Kind: KindFile, DefaultText: "built in", Commands: profile,
			Usage: "Go template with `.Text`, `.Title`, `.URI`; part of the profile",
			bind:  func(c *Config) any { return &c.Prompt },
		},
		{
			Name: "prompt-version", Kind: KindString, Commands: profile,
			DefaultText: "`v2`; a source with summaries of `v1` stays on `v1`",
			Usage:       "version of the built-in prompts, `v1` or `v2`; part of the profile",
			bind:        func(c *Config) any { return &c.PromptVersion }, check: text(oneOf("v1", "v2")),
		},
		{
			Name: "schema", Kind: KindFile, DefaultText: "built in", Commands: profile,
			Usage: "JSON schema of the answer; part of the profile",
			bind:  func(c *Config) any { return &c.Schema },
		},
		{
			Name: "words", Kind: KindInt, Default: "150", Commands: profile,
			Usage: "length of a summary, about; part of the profile",
			bind:  func(c *Config) any { return &c.Words }, check: atLeast(1),
		},
		{
			Name: "max-output-tokens", Kind: KindInt, Default: "400", Commands: profile,
			Usage: "cap on an answer; low is cheap where the provider charges the cap to the limit; part of the profile",
			bind:  func(c *Config) any { return &c.MaxOutputTokens }, check: atLeast(1),
		},
		{
			Name: "temperature", Kind: KindFloat, Default: "0", Commands: profile,
			Usage: "from 0 to 2; part of the profile",
			bind:  func(c *Config) any { return &c.Temperature }, check: between(0, 2),
		},
		{
			Name: "context-tokens", Kind: KindInt, Default: "0", Commands: limits,
			Usage: "window of the model; 0: by model, else 8192",
			bind:  func(c *Config) any { return &c.ContextTokens }, check: atLeast(0),
		},
		{
			Name: "rpm", Kind: KindInt, Default: "0", Commands: limits,
			Usage: "requests a minute the endpoint allows, shared by all workers on the same Redis; 0: unknown, learn it",
			bind:  func(c *Config) any { return &c.RPM }, check: atLeast(0),
		},
		{
			Name: "tpm", Kind: KindInt, Default: "0", Commands: limits,
			Usage: "tokens a minute the endpoint allows, shared by all workers on the same Redis; 0: unknown, learn it",
			bind:  func(c *Config) any { return &c.TPM }, check: atLeast(0),
		},
		{
			Name: "budget-usd", Kind: KindFloat, Default: "0", Commands: budget,
			Usage: "cap on a run in US dollars, reservations in flight included; 0: none",
			bind:  func(c *Config) any { return &c.BudgetUSD }, check: atLeast(0),
		},
		{
			Name: "budget-tokens", Kind: KindInt, Default: "0", Commands: budget,
			Usage: "cap on a run in tokens, reservations in flight included; 0: none",
			bind:  func(c *Config) any { return &c.BudgetTokens }, check: atLeast(0),
		},
		{
			Name: "budget-usd-day", Kind: KindFloat, Default: "0", Commands: append([]string{"status"}, limits...),
			Usage: "cap on a day (UTC) in US dollars, all runs of the ledger; 0: none",
			bind:  func(c *Config) any { return &c.BudgetUSDDay }, check: atLeast(0),
		},
		{
			Name: "prices", Kind: KindFile, DefaultText: "built in", Commands: limits,
			Usage: "file of prices by model",
			bind:  func(c *Config) any { return &c.Prices },
		},
		{
			Name: "concurrency", Kind: KindInt, Default: "16", Commands: limits,
			Usage: "calls in flight per process",
			bind:  func(c *Config) any { return &c.Concurrency }, check: atLeast(1),
		},
		{
			Name: "partitions", Kind: KindInt, Default: "4", Commands: []string{"run", "worker", "server", "config"},
			Usage: "partitions a process works on at once (the KEDA target)",
			bind:  func(c *Config) any { return &c.Partitions }, check: atLeast(1),
		},
		{
			Name: "partition-documents", Kind: KindInt, Default: "50", Commands: planning,
			Usage: "documents in a partition at most",
			bind:  func(c *Config) any { return &c.PartitionDocuments }, check: atLeast(1),
		},
		{
			Name: "partition-bytes", Kind: KindBytes, Default: "4MiB", Commands: planning,
			Usage: "size of a partition, about",
			bind:  func(c *Config) any { return &c.PartitionBytes }, check: atLeast(1),
		},
		{
			Name: "request-timeout", Kind: KindDuration, Default: "2m", Commands: calling,
			Usage: "time for one call",
			bind:  func(c *Config) any { return &c.RequestTimeout }, check: positive(),
		},
		{
			Name: "shutdown-grace", Kind: KindDuration, DefaultText: "request-timeout + 10s",
			Commands: []string{"run", "worker", "server", "config"},
			Usage:    "time to end in after SIGTERM",
			bind:     func(c *Config) any { return &c.ShutdownGrace }, check: positive(),
		},
		{
			Name: "deadline", Kind: KindDuration, Default: "0s", Commands: []string{"worker", "config"},
			Usage: "a worker ends, as after SIGTERM, when it has run so long; below the Job's activeDeadlineSeconds by the grace; 0: never",
			bind:  func(c *Config) any { return &c.Deadline }, check: notNegative(),
		},
		{
			Name: "max-attempts", Kind: KindInt, Default: "8", Commands: calling,
			Usage: "attempts of a document before it is dead",
			bind:  func(c *Config) any { return &c.MaxAttempts }, check: atLeast(1),
		},
		{
			Name: "retry-base", Kind: KindDuration, Default: "1s", Commands: calling,
			Usage: "first wait before another attempt; doubles each time, with full jitter",
			bind:  func(c *Config) any { return &c.RetryBase }, check: positive(),
		},
		{
			Name: "retry-cap", Kind: KindDuration, Default: "5m", Commands: calling,
			Usage: "longest wait before another attempt",
			bind:  func(c *Config) any { return &c.RetryCap }, check: positive(),
		},
		{
			Name: "max-document-bytes", Kind: KindBytes, Default: "64MiB",
			Commands: []string{"run", "enqueue", "worker", "config"},
			Usage:    "larger documents are dead with class `input`",
			bind:     func(c *Config) any { return &c.MaxDocumentBytes }, check: atLeast(1),
		},
		{
			Name: "listen", Kind: KindString, Default: "127.0.0.1:8080", Commands: serving,
			Usage: "address of the server, `HOST:PORT`",
			bind:  func(c *Config) any { return &c.Listen }, check: text(checkListen),
		},
		{
			Name: "auth-token-file", Kind: KindFile, DefaultText: "none", Commands: serving,
			Usage: "file with the token that callers present; needed to listen beyond loopback",
			bind:  func(c *Config) any { return &c.AuthTokenFile },
		},
		{
			Name: "auth-metrics", Kind: KindBool, Default: "false", Commands: serving,
			Usage: "ask for the token on `/demand` and `/metrics` too",
			bind:  func(c *Config) any { return &c.AuthMetrics },
		},
		{
			Name: "allow-unauthenticated", Kind: KindBool, Default: "false", Commands: serving,
			Usage: "listen beyond loopback without a token, for everyone who can reach the port",
			bind:  func(c *Config) any { return &c.AllowUnauthenticated },
		},
		{
			Name: "metrics-listen", Kind: KindString, DefaultText: "none", Commands: []string{"worker", "config"},
			Usage: "address of a worker's own `/metrics`, `/healthz` and `/readyz`, `HOST:PORT`; open to everyone who can reach it",
			bind:  func(c *Config) any { return &c.MetricsListen }, check: text(orEmpty(checkListen)),
		},
		{
			Name: "log-level", Kind: KindString, Default: "info", Commands: everyone,
			Usage: "`debug`, `info`, `warn` or `error`",
			bind:  func(c *Config) any { return &c.LogLevel },
		},
		{
			Name: "log-format", Kind: KindString, Default: "auto", Commands: everyone,
			Usage: "`text`, `json`, or `auto`: text on a terminal, else json",
			bind:  func(c *Config) any { return &c.LogFormat }, check: text(oneOf("auto", "text", "json")),
		},
	}
}
