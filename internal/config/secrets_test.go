package config_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/config"
)

// addressForms are settings with an address, as a function of the password in it.
func addressForms() map[string]func(password string) []string {
	at := func(name, before, after string) func(string) []string {
		return func(password string) []string { return []string{name + "=" + before + password + after} }
	}
	return map[string]func(string) []string{
		"postgres":            at("GISTMILL_STORE", "postgres://u:", "@localhost:1/db?sslmode=disable"),
		"postgresql":          at("GISTMILL_STORE", "postgresql://u:", "@h1:1,h2:2/db"),
		"postgres parameter":  at("GISTMILL_STORE", "postgres://u@localhost:1/db?password=", "&sslmode=disable"),
		"postgres last":       at("GISTMILL_STORE", "postgres://u@localhost:1/db?sslmode=disable&password=", ""),
		"postgres keywords":   at("GISTMILL_STORE", "host=localhost user=u password=", " dbname=d"),
		"no scheme":           at("GISTMILL_STORE", "u:", "@localhost:1/db"),
		"misspelled":          at("GISTMILL_STORE", "postgers://u:", "@localhost:1/db"),
		"a path":              at("GISTMILL_STORE", "sqlite:postgres://u:", "@localhost:1/db"),
		"redis":               at("GISTMILL_REDIS", "redis://:", "@localhost:1/0"),
		"redis with TLS":      at("GISTMILL_REDIS", "rediss://u:", "@localhost:1"),
		"sentinels":           at("GISTMILL_REDIS", "redis-sentinel://:", "@s1:1,s2:2/0?master=m"),
		"sentinel's password": at("GISTMILL_REDIS", "redis-sentinel://s1:1?master=m&sentinel_password=", ""),
		"redis no scheme":     at("GISTMILL_REDIS", ":", "@localhost:1"),
		"endpoint":            at("GISTMILL_BASE_URL", "http://u:", "@localhost:1/v1"),
		"endpoint's token":    at("OPENAI_BASE_URL", "https://", "@localhost:1/v1"),
		"endpoint's key":      at("GISTMILL_BASE_URL", "http://localhost:1/v1?key=", ""),
		"fallback":            at("GISTMILL_FALLBACKS", "m@http://u:", "@localhost:1/v1,other"),
		"proxy":               at("HTTPS_PROXY", "http://u:", "@localhost:1"),
		"proxy no scheme":     at("http_proxy", "u:", "@localhost:1"),
		"traces":              at("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:", "@localhost:1"),
	}
}

// randomPassword has no four characters in a row that occur in a message: letters that are rare,
// and characters that URLs give a meaning.
func randomPassword(r *rand.Rand) string {
	const letters, special = "QZXJKVW", `@#/?%: &=;,[]\"'<>{}|^~!$*()+` + "`\t"
	var b strings.Builder
	for range 4 + r.IntN(8) {
		b.WriteByte(letters[r.IntN(len(letters))])
		if r.IntN(2) == 0 {
			b.WriteByte(special[r.IntN(len(special))])
		} else {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
	}
	return b.String()
}

// leak returns four characters of a secret that occur in a text, or "".
func leak(text, secret string) string {
	for i := 0; i+4 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+4]) {
			return secret[i : i+4]
		}
	}
	return ""
}

// TestNoPartOfAPasswordIsShown puts random passwords into every address, as a person would who does
// not know about percent-encoding. Nothing that a user sees has a part of it, and the hosts of an
// accepted address have none.
func TestNoPartOfAPasswordIsShown(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	accepted := 0
	for name, form := range addressForms() {
		for range 300 {
			password := randomPassword(r)
			environ := form(password)
			c, err := config.Load(nil, environ)
			shown := fmt.Sprintf("%v %v %+v", err, c.Warnings, c.Explain())
			if part := leak(shown, password); part != "" {
				t.Errorf("seed %d: %s: %q shows %q: %s", seed, name, environ, part, shown)
			}
			if err != nil {
				continue
			}
			accepted++
			for _, address := range []string{c.Store, c.Redis, c.BaseURL} {
				u, err := url.Parse(address)
				if err != nil || leak(u.Host, password) != "" {
					t.Errorf("seed %d: %s: %q leads to the host %q, %v", seed, name, environ, u.Host, err)
				}
			}
			for _, f := range c.Fallbacks {
				if u, err := url.Parse(f.BaseURL); err != nil || leak(u.Host+f.Model, password) != "" {
					t.Errorf("seed %d: %s: %q leads to %+v, %v", seed, name, environ, f, err)
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("no address was accepted")
	}
}

// A password that is encoded is accepted whatever it consists of.
func TestEncodedPasswordsAreAccepted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		password := randomPassword(r)
		for _, environ := range []string{
			"GISTMILL_STORE=postgres://u:" + url.QueryEscape(password) + "@h/db",
			"GISTMILL_REDIS=redis://:" + url.QueryEscape(password) + "@h",
			"GISTMILL_BASE_URL=http://" + url.UserPassword("u", password).String() + "@h/v1",
		} {
			if _, err := config.Load(nil, []string{environ}); err != nil {
				t.Errorf("%s: %v", environ, err)
			}
		}
	}
}

func TestUnencodedPasswordsAreExplained(t *testing.T) {
	t.Parallel()
	const why = `: the password contains characters that must be percent-encoded: @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25, & as %26, a space as %20`
	for _, c := range []string{"@", "#", "/", "?", "%", ":", " "} {
		for _, form := range []string{"GISTMILL_STORE=postgres://u:pa%sss@localhost:1/db", "GISTMILL_REDIS=redis://:pa%sss@localhost:1/0", "GISTMILL_BASE_URL=http://u:pa%sss@localhost:1/v1"} {
			got := problems(t, nil, []string{fmt.Sprintf(form, c)})
			name, _, _ := strings.Cut(form, "=")
			if len(got) != 1 || got[0] != name+why {
				t.Errorf(form+": got %q", c, got)
			}
		}
	}
}

func TestBrokenFileIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"store: *QZXJ-KVWQ\n", "QZXJ-KVWQ\n", "store: a\nstore: QZXJ-KVWQ: x: y\n", "- QZXJ-KVWQ\n", "redis: {QZXJ-KVWQ\n", "redis: \"\\QZXJ-KVWQ\"\n"} {
		got := strings.Join(problems(t, flags(t, "--config", write(t, content)), nil), "\n")
		if leak(got, "QZXJ-KVWQ") != "" || !strings.Contains(got, "cannot be read") {
			t.Errorf("%q: got %q", content, got)
		}
	}
}

func TestPathsInTheHomeFolder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ setting, raw, want string }{
		{"store", "sqlite:~/l.db", "sqlite:/home/me/l.db"},
		{"store", "sqlite:///var/lib/l.db", "sqlite:/var/lib/l.db"},
		{"store", "sqlite:////var/lib/l.db", "sqlite:/var/lib/l.db"},
		{"store", "sqlite:l~.db", "sqlite:l~.db"},
		{"out", "~/summaries", "/home/me/summaries"},
		{"out", "~", "/home/me"},
		{"out", "~other/x", "~other/x"},
		{"out", "./~/x", "./~/x"},
	} {
		c, err := config.Load(nil, []string{"HOME=/home/me", "GISTMILL_" + strings.ToUpper(tc.setting) + "=" + tc.raw})
		if err != nil {
			t.Errorf("%s: %v", tc.raw, err)
			continue
		}
		for _, e := range c.Explain() {
			if e.Setting == tc.setting && e.Value != tc.want {
				t.Errorf("%s: got %s, want %s", tc.raw, e.Value, tc.want)
			}
		}
	}
	for _, name := range []string{"PROMPT", "SCHEMA", "PRICES", "REDIS_CA", "AUTH_TOKEN_FILE"} {
		got := problems(t, nil, []string{"HOME=/home/me", "GISTMILL_" + name + "=~/no-such-file"})
		if !strings.Contains(got[0], `"/home/me/no-such-file"`) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for raw, want := range map[string]string{
		"sqlite:~/l.db":    "GISTMILL_STORE begins with ~, but HOME is not set: write the whole path",
		"sqlite://rel/l":   "GISTMILL_STORE has a host: write sqlite:PATH, or sqlite:///PATH for an absolute path",
		"sqlite:///":       "GISTMILL_STORE has no path; example: sqlite:.gistmill/ledger.db",
		"sqlite://~/l.db":  "GISTMILL_STORE has a host: write sqlite:PATH, or sqlite:///PATH for an absolute path",
		"sqlite:http://x/": "GISTMILL_STORE is not an address of a ledger: use sqlite:PATH or postgres://user@host/database",
	} {
		if got := problems(t, nil, []string{"GISTMILL_STORE=" + raw}); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
