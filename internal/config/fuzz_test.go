package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/config"
)

// checkLoaded requires problems of one line each, or settings that have the same meaning when they
// are set to the values that Explain returns.
func checkLoaded(t *testing.T, c config.Config, err error) {
	t.Helper()
	if err != nil {
		invalid := (*config.InvalidError)(nil)
		if !errors.As(err, &invalid) || len(invalid.Problems) == 0 {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, p := range invalid.Problems {
			if strings.TrimSpace(p) == "" || strings.ContainsAny(p, "\n\r\x1b") {
				t.Fatalf("a problem reads %q", p)
			}
		}
		return
	}
	shown := c.Explain()
	if len(shown) != len(config.Settings()) {
		t.Fatalf("%d settings are shown of %d", len(shown), len(config.Settings()))
	}
	secret := map[string]bool{}
	env := map[string]string{}
	for _, s := range config.Settings() {
		secret[s.Name], env[s.Name] = s.Secret || s.FlagOrEnv, s.Env() // a command is shown as "set"
	}
	var environ []string
	for _, e := range shown {
		if !secret[e.Setting] {
			environ = append(environ, env[e.Setting]+"="+e.Value)
		}
	}
	again, err := config.Load(nil, environ)
	if err != nil {
		t.Fatalf("what is shown of legal settings is refused: %v", err)
	}
	for i, e := range again.Explain() {
		if !secret[e.Setting] && e.Value != shown[i].Value {
			t.Errorf("%s is shown as %q, and set to that as %q", e.Setting, shown[i].Value, e.Value)
		}
	}
}

// FuzzFile reads whole configuration files.
func FuzzFile(f *testing.F) {
	f.Add("rpm: 500\nstore: sqlite:x.db\nfallbacks: [a, 'b@http://h/v1']\nlog_level: debug\n")
	f.Add("max_document_bytes: 1.5GB\nretry_base: 1ms\nretry_cap: 90m\ntemperature: .5\nredis: redis://:p@h:1,h:2/0\nwords: 0x96")
	f.Add("a: &a [*a]\n")
	f.Add("rpm: [1]\napi_key: x\nqueue: {a: b}\n? [x]\n: y")
	f.Add("budget_usd: 1e309\npartition_bytes: -1\nrequest_timeout: 1h60m\n\x1b[31m: 1")
	f.Add("listen: '[::1]:0'\nconcurrency: 9223372036854775808\nallow_unauthenticated: yes")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(nil, []string{"GISTMILL_CONFIG=" + write(t, text)})
		checkLoaded(t, c, err)
	})
}

// FuzzEnvironment sets one setting by its variable. A problem with a secret must not repeat it.
func FuzzEnvironment(f *testing.F) {
	for i, s := range config.Settings() {
		f.Add(i, s.Default)
		f.Add(i, "http://u:p@h:1/x?y#z")
	}
	f.Add(0, "postgres://u:p@h:99999/d?password=x")
	f.Add(1, "\u00a0")
	f.Fuzz(func(t *testing.T, which int, value string) {
		const marked = "5ecretPa55"
		table := config.Settings()
		s := table[uint(which)%uint(len(table))]
		if strings.ContainsRune(value, 0) {
			return // impossible in an environment
		}
		if s.Secret {
			value += marked
		}
		c, err := config.Load(nil, []string{s.Env() + "=" + value})
		if s.Secret && err != nil && strings.Contains(err.Error(), marked) {
			t.Errorf("%s: %v", s.Name, err)
		}
		checkLoaded(t, c, err)
	})
}
