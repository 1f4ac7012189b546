package config_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/config"
)

func TestTableIsSound(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, s := range config.Settings() {
		if !name.MatchString(s.Name) || seen[s.Name] {
			t.Errorf("name %q is malformed or repeated", s.Name)
		}
		seen[s.Name] = true
		if s.Usage == "" || s.Kind == "" || len(s.Commands) == 0 {
			t.Errorf("%s has no usage, kind or commands", s.Name)
		}
		if !slices.Contains(s.Commands, "config") {
			t.Errorf("%s is not shown by gistmill config", s.Name)
		}
	}
}

func TestForCommand(t *testing.T) {
	t.Parallel()
	if got, want := config.ForCommand("export"), []string{"store", "store-connections", "log-level", "log-format"}; !slices.Equal(got, want) {
		t.Errorf("export uses %v, want %v", got, want)
	}
	if slices.Contains(config.ForCommand("worker"), "model") {
		t.Error("a worker's model comes with the task, not from its settings")
	}
	if slices.Contains(config.ForCommand("run"), "api-key") {
		t.Error("a secret has no flag")
	}
}

func TestHelpText(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(fs, "partition-bytes", "shutdown-grace", "rpm")
	help := fs.FlagUsages()
	for _, want := range []string{"--partition-bytes size", "(default 4MiB)", "(default request-timeout + 10s)", "--rpm int", "--config file"} {
		if !strings.Contains(help, want) {
			t.Errorf("help misses %q:\n%s", want, help)
		}
	}
}

func TestListFlagGrows(t *testing.T) {
	t.Parallel()
	c, err := config.Load(flags(t, "--fallbacks=a", "--fallbacks=b,c"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Fallbacks) != 3 {
		t.Errorf("got %v", c.Fallbacks)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(config.Markdown(), "\n"), "\n")
	if got, want := len(lines), len(config.Settings())+2; got != want {
		t.Fatalf("%d lines, want %d", got, want)
	}
	for _, line := range lines {
		if strings.Count(line, "|") != 4 {
			t.Errorf("not three columns: %s", line)
		}
	}
	if want := "| `partition-bytes` | `4MiB` | approximate size of a partition |"; !slices.Contains(lines, want) {
		t.Errorf("missing: %s", want)
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"sqlite:x.db":                                       "sqlite:x.db",
		"redis://h:6379":                                    "redis://h:6379",
		"redis://user@h":                                    "redis://xxxxx@h",
		"redis://:p@h/0":                                    "redis://:xxxxx@h/0",
		"postgres://u:p@a@h1:1,h2:2/db":                     "postgres://u:xxxxx@h1:1,h2:2/db",
		"postgres://u:p/q@h/db?sslmode=x":                   "postgres://u:xxxxx@h/db?sslmode=x",
		"postgres://h/db?user=u&password=p&a":               "postgres://h/db?user=u&password=xxxxx&a",
		"redis-sentinel://s:1?sentinel_password=p&master=m": "redis-sentinel://s:1?sentinel_password=xxxxx&master=m",
		"": "",
	} {
		if got := config.RedactURL(raw); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestSecretInLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	c := config.Config{APIKey: "s3cr3t"}
	log.Info("started", "key", c.APIKey, "config", c)
	if strings.Contains(out.String(), "s3cr3t") {
		t.Error(out.String())
	}
}

// Whatever a password is made of, it does not come through.
func FuzzRedactURL(f *testing.F) {
	for _, password := range []string{"plain", "a@b:c/d?e#f", "%40%2F", "://", "pass&word", " "} {
		f.Add("user", password)
	}
	f.Fuzz(func(t *testing.T, user, password string) {
		const marked = "\x01secret\x02"
		if strings.ContainsAny(user, ":@?/&") {
			return // no user name
		}
		for _, raw := range []string{
			"redis://" + user + ":" + password + marked + "@host:6379/0",
			"redis://" + user + ":" + marked + password + "@host:6379/0",
			"postgres://" + user + "@host/db?password=" + marked + "&sslmode=disable",
		} {
			if got := config.RedactURL(raw); strings.Contains(got, marked) {
				t.Errorf("%q became %q", raw, got)
			}
		}
	})
}
