package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/config"
)

// Passwords in the wrong place, or in the wrong setting, are not printed.
func TestMisplacedPasswordsAreHidden(t *testing.T) {
	t.Parallel()
	const password = "sesame"
	sets := []string{
		"GISTMILL_REDIS=redis://sesame@127.0.0.1:1", "GISTMILL_REDIS=rediss://sesame@127.0.0.1:1/0",
		"GISTMILL_PRICES=http://u:sesame@h/p.yaml", "GISTMILL_QUEUE=redis://:sesame@h", "GISTMILL_LISTEN=http://u:sesame@h:1",
		"GISTMILL_METRICS_LISTEN=u:sesame@h", "GISTMILL_RPM=postgres://u:sesame@h/d", "GISTMILL_MAX_DOCUMENT_BYTES=u:sesame@h",
		"GISTMILL_BUDGET_USD=http://h/?key=sesame", "GISTMILL_CONFIG=http://u:sesame@h/c.yaml", "GISTMILL_OUT=http://u:sesame@h/x",
	}
	for _, s := range config.Settings() {
		sets = append(sets, s.Env()+"=postgres://u:sesame@h")
	}
	for _, set := range sets {
		for _, command := range [][]string{{"config"}, {"run", "x"}, {"worker"}, {"server"}} {
			var out strings.Builder
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_ = run(ctx, noSignals(), command, []string{"GISTMILL_MODEL=extractive", set, "HOME=" + t.TempDir(), "GISTMILL_STORE=sqlite:" + t.TempDir() + "/l.db"}, strings.NewReader(""), &out, &out)
			cancel()
			if strings.Contains(out.String(), password) {
				t.Errorf("%s, %v: %s", set, command, out.String())
			}
		}
	}
}

// TestUnencodedPasswordsAreRefused runs commands with addresses whose random password has an
// unescaped character. They end with a usage error before anything is connected to, and print no
// four characters of the password in a row.
func TestUnencodedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	const letters, special = "QZXJKVW", "@#/?%: "
	commands := [][]string{{"run", "x"}, {"enqueue", "x"}, {"worker"}, {"status"}, {"config"}, {"config", "-o", "json"}}
	forms := []struct {
		name, before, after string
		commands            [][]string
	}{
		{"GISTMILL_STORE", "postgres://u:", "@localhost:1/db", commands},
		{"GISTMILL_REDIS", "redis://:", "@localhost:1/0", commands},
		{"GISTMILL_REDIS", "rediss://u:", "@localhost:1", commands},
		{"GISTMILL_BASE_URL", "http://u:", "@localhost:1/v1", commands},
		{"OPENAI_BASE_URL", "http://u:", "@localhost:1/v1", commands},
		{"GISTMILL_FALLBACKS", "m@http://u:", "@localhost:1/v1", commands},
		{"HTTPS_PROXY", "http://u:", "@localhost:1", commands[:3]},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:", "@localhost:1", commands[:3]},
	}
	for range 40 {
		for _, form := range forms {
			var b strings.Builder
			for i := range 10 {
				b.WriteByte(letters[r.IntN(len(letters))])
				if i == 5 || r.IntN(3) == 0 {
					b.WriteByte(special[r.IntN(len(special))])
				}
			}
			password := b.String()
			command := form.commands[r.IntN(len(form.commands))]
			var out strings.Builder
			environ := []string{form.name + "=" + form.before + password + form.after, "GISTMILL_LOG_LEVEL=debug"}
			if code := run(t.Context(), noSignals(), command, environ, strings.NewReader(""), &out, &out); code != exitUsage || !strings.Contains(out.String(), "percent-encoded") {
				t.Errorf("seed %d: %v %q: exit code %d: %s", seed, command, environ[0], code, out.String())
			}
			for i := 0; i+4 <= len(password); i++ {
				if strings.Contains(out.String(), password[i:i+4]) {
					t.Errorf("seed %d: %v %q shows %q: %s", seed, command, environ[0], password[i:i+4], out.String())
				}
			}
		}
	}
}
