package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/llm"
)

// flags parses args with all settings registered.
func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

// write writes text to a new configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gistmill.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// problems loads invalid settings and returns the problems.
func problems(t *testing.T, fs *pflag.FlagSet, environ []string, required ...string) []string {
	t.Helper()
	_, err := config.Load(fs, environ, required...)
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("Load gave %v, want an InvalidError", err)
	}
	return invalid.Problems
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"store":                {got.Store, "sqlite:.gistmill/ledger.db"},
		"store-connections":    {got.StoreConnections, 4},
		"redis":                {got.Redis, ""},
		"queue":                {got.Queue, "documents"},
		"out":                  {got.Out, "./summaries"},
		"model":                {got.Model, config.ModelExtractive},
		"base-url":             {got.BaseURL, ""},
		"api-key":              {got.APIKey.Reveal(), ""},
		"words":                {got.Words, 150},
		"language":             {got.Language, "same"},
		"max-output-tokens":    {got.MaxOutputTokens, 400},
		"temperature":          {got.Temperature, 0.0},
		"context-tokens":       {got.ContextTokens, 0},
		"min-words":            {got.MinWords, 5},
		"rpm":                  {got.RPM, 0},
		"tpm":                  {got.TPM, 0},
		"budget-usd":           {got.BudgetUSD, 0.0},
		"budget-tokens":        {got.BudgetTokens, int64(0)},
		"budget-usd-day":       {got.BudgetUSDDay, 0.0},
		"concurrency":          {got.Concurrency, 16},
		"partitions":           {got.Partitions, 4},
		"partition-documents":  {got.PartitionDocuments, 50},
		"partition-bytes":      {got.PartitionBytes, int64(4 << 20)},
		"request-timeout":      {got.RequestTimeout, 2 * time.Minute},
		"shutdown-grace":       {got.ShutdownGrace, 130 * time.Second},
		"max-attempts":         {got.MaxAttempts, 8},
		"retry-base":           {got.RetryBase, time.Second},
		"retry-cap":            {got.RetryCap, 5 * time.Minute},
		"max-document-bytes":   {got.MaxDocumentBytes, int64(64 << 20)},
		"listen":               {got.Listen, "127.0.0.1:8080"},
		"log-level":            {got.LogLevel, slog.LevelInfo},
		"log-format":           {got.LogFormat, "auto"},
		"number of warnings":   {len(got.Warnings), 0},
		"settings in the list": {len(got.Explain()), len(config.Settings())},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "rpm: 1\ntpm: 1\nwords: 90\nbase_url: http://file/v1\n")
	cases := []struct {
		name    string
		args    []string
		environ []string
		want    config.Entry
	}{
		{"flag beats all", []string{"--rpm=3", "--config", file}, []string{"GISTMILL_RPM=2"},
			config.Entry{Setting: "rpm", Value: "3", Origin: "flag --rpm"}},
		{"environment beats file", []string{"--config", file}, []string{"GISTMILL_RPM=2"},
			config.Entry{Setting: "rpm", Value: "2", Origin: "environment GISTMILL_RPM"}},
		{"file beats default", nil, []string{"GISTMILL_CONFIG=" + file},
			config.Entry{Setting: "words", Value: "90", Origin: "file " + file}},
		{"default", nil, nil,
			config.Entry{Setting: "words", Value: "150", Origin: "default"}},
		{"an empty variable is not set", []string{"--config", file}, []string{"GISTMILL_RPM="},
			config.Entry{Setting: "rpm", Value: "1", Origin: "file " + file}},
		{"alias beats file", []string{"--config", file}, []string{"OPENAI_BASE_URL=http://alias/v1/"},
			config.Entry{Setting: "base-url", Value: "http://alias/v1", Origin: "environment OPENAI_BASE_URL"}},
		{"own variable beats alias", nil, []string{"OPENAI_BASE_URL=http://alias", "GISTMILL_BASE_URL=http://own"},
			config.Entry{Setting: "base-url", Value: "http://own", Origin: "environment GISTMILL_BASE_URL"}},
		{"own key beats alias", nil, []string{"OPENAI_API_KEY=a", "GISTMILL_API_KEY=b"},
			config.Entry{Setting: "api-key", Value: "set", Origin: "environment GISTMILL_API_KEY"}},
		{"grace follows the timeout", []string{"--request-timeout=30s"}, nil,
			config.Entry{Setting: "shutdown-grace", Value: "40s", Origin: "default"}},
		{"an empty flag takes the default", []string{"--words=", "--config", file}, nil,
			config.Entry{Setting: "words", Value: "150", Origin: "flag --words"}},
		{"an empty flag takes the computed default", []string{"--model="}, []string{"GISTMILL_MODEL=x"},
			config.Entry{Setting: "model", Value: "extractive", Origin: "flag --model"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(flags(t, tc.args...), tc.environ)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Explain() {
				if e.Setting == tc.want.Setting && e != tc.want {
					t.Errorf("got %+v, want %+v", e, tc.want)
				}
			}
		})
	}
}

func TestEffectiveModel(t *testing.T) {
	t.Parallel()
	cases := []struct {
		environ []string
		want    string
	}{
		{nil, "extractive"},
		{[]string{"OPENAI_API_KEY=k"}, "gpt-4o-mini"},
		{[]string{"OPENAI_BASE_URL=http://localhost:11434/v1"}, "gpt-4o-mini"},
		{[]string{"OPENAI_API_KEY=k", "GISTMILL_MODEL=extractive"}, "extractive"},
		{[]string{"GISTMILL_MODEL=llama3"}, "llama3"},
	}
	for _, tc := range cases {
		c, err := config.Load(nil, tc.environ)
		if err != nil {
			t.Fatal(err)
		}
		if c.Model != tc.want {
			t.Errorf("%v: model %q, want %q", tc.environ, c.Model, tc.want)
		}
	}
}

func TestWrongValues(t *testing.T) {
	t.Parallel()
	cases := []struct{ flag, want string }{
		{"--rpm=many", `--rpm: "many" is not a whole number; example: 500`},
		{"--rpm=-1", `--rpm is -1 and must be 0 or more`},
		{"--partitions=0", `--partitions is 0 and must be 1 or more`},
		{"--temperature=3", `--temperature is 3 and must be from 0 to 2`},
		{"--budget-usd=NaN", `--budget-usd: "NaN" is not a number; example: 2.50`},
		{"--budget-usd=-0.5", `--budget-usd is -0.5 and must be 0 or more`},
		{"--request-timeout=120", `--request-timeout: "120" is not a duration with a unit; example: 2m`},
		{"--retry-base=0s", `--retry-base is 0s and must be longer than 0s`},
		{"--shutdown-grace=-1s", `--shutdown-grace is -1s and must be longer than 0s`},
		{"--retry-base=10m", `--retry-base is longer than retry-cap (10m0s > 5m0s): lower retry-base or raise retry-cap`},
		{"--partition-bytes=lots", `--partition-bytes: "lots" is not a size in bytes or with a unit; example: 4MiB`},
		{"--partition-bytes=-4MiB", `--partition-bytes: "-4MiB" is not a size in bytes or with a unit; example: 4MiB`},
		{"--partition-bytes=9EiB", `--partition-bytes: "9EiB" is not a size in bytes or with a unit; example: 4MiB`},
		{"--context-tokens=300", `--context-tokens leaves no room for a document next to max-output-tokens: raise context-tokens, or set it to 0 to use the model's window`},
		{"--store=ledger.db", `--store is not an address of a ledger: use sqlite:PATH or postgres://user@host/database`},
		{"--store=sqlite:", `--store has no path; example: sqlite:.gistmill/ledger.db`},
		{"--store=mysql://h/db", `--store has the unknown scheme "mysql": use sqlite:PATH or postgres://user@host/database`},
		{"--store=postgres:///db", `--store has no host; example: postgres://user@db.example:5432/gistmill`},
		{"--redis=localhost:6379", `--redis has no scheme; example: redis://localhost:6379/0`},
		{"--redis=http://localhost", `--redis has the unknown scheme "http": use redis://, rediss://, redis-sentinel:// or redis-cluster://`},
		{"--redis=redis://", `--redis has no host; example: redis://localhost:6379`},
		{"--redis=redis://secret:host:6379", `--redis has an invalid port: it must be from 1 to 65535 (escape @, / and : in a password as %40, %2F and %3A); example: redis://localhost:6379`},
		{"--redis-ca=/no/such/file", `--redis-ca names "/no/such/file", which does not exist: give the path of a readable file`},
		{"--redis-cert=load_test.go", `--redis-cert has no private key: set redis-key too`},
		{"--redis-key=load_test.go", `--redis-key has no certificate: set redis-cert too`},
		{"--queue=a{b}", `--queue: "a{b}" is not a valid name: use letters, digits, dots, hyphens and underscores`},
		{"--out=s3://bucket/x", `--out is a URL, but run writes to a local folder: use a folder or -, and copy the summaries with gistmill export`},
		{"--base-url=localhost:11434", `--base-url is not an http:// or https:// URL; example: http://localhost:11434/v1`},
		{"--fallbacks=gpt-4o,m@ftp://x", `--fallbacks entry 2 is not MODEL, URL or MODEL@URL; example: gpt-4o@https://api.openai.com/v1`},
		{"--listen=8080", `--listen: "8080" is not HOST:PORT; example: 127.0.0.1:8080`},
		{"--listen=:8080", `--listen is reachable from other machines without authentication: set auth-token-file, listen on 127.0.0.1, or set allow-unauthenticated if something else protects the port`},
		{"--auth-metrics", `--auth-metrics requires a token, but none is set: set auth-token-file`},
		{"--allow-unauthenticated=maybe", `--allow-unauthenticated: "maybe" is not one of true, false`},
		{"--prompt=/no/such/file", `--prompt names "/no/such/file", which does not exist: give the path of a readable file`},
		{"--prompt=/", `--prompt names "/", which is a folder: give the path of a readable file`},
		{"--log-level=loud", `--log-level: "loud" is not one of debug, info, warn, error`},
		{"--log-format=xml", `--log-format: "xml" is not one of auto, text, json`},
		{"--config=/no/such.yaml", `config file "/no/such.yaml" does not exist: set --config to the path of a YAML file`},
	}
	for _, tc := range cases {
		t.Run(tc.flag, func(t *testing.T) {
			t.Parallel()
			got := problems(t, flags(t, tc.flag), nil)
			if len(got) != 1 || got[0] != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// Files for TLS have no effect with an address without TLS.
func TestCertificatesNeedTLS(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"redis://h":               `--redis-ca requires TLS, but the address of Redis begins with redis://; use rediss://`,
		"redis-sentinel://h":      `--redis-ca requires TLS, but the address of Redis begins with redis-sentinel://; use rediss-sentinel://`,
		"rediss://h":              "",
		"rediss-cluster://h1,h2":  "",
		"rediss-sentinel://h?m=x": "",
		"":                        "",
	} {
		_, err := config.Load(flags(t, "--redis-ca=load_test.go", "--redis="+address), nil)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, "max-attempts: 3\nconcurrency: [1, 2]\nwords: 0\nelephants: 7\napi_key: hunter2\n")
	got := problems(t, flags(t, "--rpm=x", "--retry-base=1h", "--config="+file),
		[]string{"GISTMILL_TPM=1e6", "OPENAI_API_KEY=two words"}, "redis")
	want := []string{
		file + ` has api_key, but secrets are read from the environment only: set GISTMILL_API_KEY or OPENAI_API_KEY`,
		`concurrency in ` + file + ` must be a single value`,
		file + ` has an unknown key "elephants"`,
		file + ` has an unknown key "max-attempts"; did you mean max_attempts?`,
		`OPENAI_API_KEY contains a space, a line break or another character that keys do not have: copy the key again`,
		`words in ` + file + ` is 0 and must be 1 or more`,
		`--rpm: "x" is not a whole number; example: 500`,
		`GISTMILL_TPM: "1e6" is not a whole number; example: 500`,
		`--retry-base is longer than retry-cap (1h0m0s > 5m0s): lower retry-base or raise retry-cap`,
		`redis is required: set --redis or GISTMILL_REDIS`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	file := write(t, `
store: postgres://me:pw@db/gist
rpm: 500
temperature: 0.3
partition_bytes: 1048576
request_timeout: 30s
tpm:
fallbacks: [gpt-4o, llama@http://localhost:11434/v1/, "https://other.example/v1"]
`)
	c, err := config.Load(flags(t, "--config", file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.RPM != 500 || c.Temperature != 0.3 || c.PartitionBytes != 1<<20 || c.RequestTimeout != 30*time.Second || c.TPM != 0 {
		t.Errorf("got %+v", c)
	}
	want := []llm.Endpoint{{Model: "gpt-4o"}, {Model: "llama", BaseURL: "http://localhost:11434/v1"}, {BaseURL: "https://other.example/v1"}}
	if !reflect.DeepEqual(c.Fallbacks, want) {
		t.Errorf("fallbacks %+v, want %+v", c.Fallbacks, want)
	}
}

func TestBrokenFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"rpm: 1\nrpm: 2\n", "rpm: [", "just words", "- a\n- b\n", "\x00"} {
		got := problems(t, flags(t, "--config", write(t, text)), nil)
		if len(got) != 1 || strings.Contains(got[0], "\n") || !strings.Contains(got[0], "cannot be read") {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

func TestRequiredKey(t *testing.T) {
	t.Parallel()
	got := problems(t, flags(t, "--model=gpt-4o"), nil, "api-key")
	if want := `model "gpt-4o" needs an API key: set OPENAI_API_KEY, or base-url for an endpoint without keys, or model extractive for the built-in engine`; len(got) != 1 || got[0] != want {
		t.Errorf("got %q", got)
	}
	for _, args := range [][]string{{}, {"--model=extractive"}, {"--model=llama3", "--base-url=http://localhost:11434/v1"}} {
		if _, err := config.Load(flags(t, args...), nil, "api-key"); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestUnusedFilesNeedNotExist(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("status", pflag.ContinueOnError)
	config.AddFlags(fs, config.ForCommand("status")...)
	if _, err := config.Load(fs, []string{"GISTMILL_PROMPT=/no/such/file", "GISTMILL_LISTEN=0.0.0.0:80"}); err != nil {
		t.Error(err)
	}
}

// A command prints no warnings about settings that it does not read.
func TestWarningsOfOneCommand(t *testing.T) {
	t.Parallel()
	environ := []string{"GISTMILL_WORDS=500", "GISTMILL_SHUTDOWN_GRACE=5s", "GISTMILL_FALLBACKS=m@http://h/v1"}
	for command, want := range map[string]int{"run": 3, "enqueue": 2, "worker": 2, "server": 0, "status": 0} {
		fs := pflag.NewFlagSet(command, pflag.ContinueOnError)
		config.AddFlags(fs, config.ForCommand(command)...)
		c, err := config.Load(fs, environ)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != want {
			t.Errorf("%s: got the warnings %q, want %d", command, c.Warnings, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := config.Load(flags(t, "--redis=redis://:pw@h", "--words=500", "--shutdown-grace=5s"), []string{
		"GISTMILL_RETRYBASE=1s", "GISTMILL_ELEPHANT=1", "GISTMILL_TEST_REDIS=x", "GISTMILL_CONFIG=",
		"GISTMILL_SERVER_SERVICE_HOST=10.0.0.1", "GISTMILL_SERVER_PORT_8080_TCP_ADDR=10.0.0.1", "GISTMILL_PORT=tcp://x", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"environment variable GISTMILL_ELEPHANT is not a setting and has no effect",
		"environment variable GISTMILL_RETRYBASE is not a setting and has no effect; did you mean GISTMILL_RETRY_BASE?",
		"--redis contains a password, which other users of this machine can see: set GISTMILL_REDIS instead",
		"shutdown-grace (5s) is shorter than request-timeout (2m0s): a call in flight at SIGTERM may be paid for but lost",
		"max-output-tokens is too low for the number of words: raise it or lower words",
	}
	if !reflect.DeepEqual(c.Warnings, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(c.Warnings, "\n"), strings.Join(want, "\n"))
	}
}

func TestGoodAddresses(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{
		"--store=sqlite:/var/lib/x.db", "--store=sqlite:x.db?cache=shared", "--store=postgres://h/db", "--store=postgresql://u:p@h1:5432,h2:5433/db?sslmode=require",
		"--store=postgres:///db?host=/run/postgresql", "--redis=redis://localhost", "--redis=rediss://u:p@h:6380/2", "--redis=redis://[::1]:6379", "--redis=redis://[::1]",
		"--redis=redis-sentinel://:p@s1:26379,s2:26379/0?master=m", "--redis=redis-cluster://n1:7000,n2:7001", "--listen=localhost:0", "--listen=[::1]:80",
	} {
		if _, err := config.Load(flags(t, arg), nil); err != nil {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

// Printed settings and errors contain no secret.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	environ := []string{
		"OPENAI_API_KEY=" + secret, "GISTMILL_STORE=postgres://u:" + secret + "@h/db?sslpassword=" + secret,
		"GISTMILL_REDIS=rediss://:" + secret + "@h:6379", "GISTMILL_BASE_URL=http://u:" + secret + "@h/v1",
		"GISTMILL_FALLBACKS=m@http://u:" + secret + "@h/v1",
	}
	c, err := config.Load(nil, environ)
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", c.Explain(), c.APIKey, c.APIKey); strings.Contains(shown, secret) {
		t.Error("shown: " + shown)
	}
	for _, bad := range []string{
		"GISTMILL_STORE=postgres://u:" + secret + "/x@h:port/db", "GISTMILL_STORE=" + secret, "GISTMILL_REDIS=redis://:" + secret + "@h:x",
		"GISTMILL_BASE_URL=http://u:" + secret + "@h:port", "GISTMILL_FALLBACKS=http://u:" + secret + "@h:port", "OPENAI_API_KEY=" + secret + "\t" + secret,
	} {
		if got := problems(t, nil, []string{bad}); strings.Contains(strings.Join(got, " "), secret) {
			t.Errorf("%s: %q", bad, got)
		}
	}
}
