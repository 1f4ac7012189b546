package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/config"
)

// TestTemplate requires that the template has no effect, that it has the defaults when its comments
// are removed, and that it has no line for a secret.
func TestTemplate(t *testing.T) {
	t.Parallel()
	text := config.Template()
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("a line has more than 80 columns: %s", line)
		}
	}
	want, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`(?m)^#([a-z_]+:)`)
	wanted := 0
	for _, s := range config.Settings() {
		if !s.Secret && !s.FlagOrEnv {
			wanted++
		}
	}
	if got := len(setting.FindAllString(text, -1)); got != wanted {
		t.Errorf("%d settings, want the %d that a file may have", got, wanted)
	}
	for name, file := range map[string]string{"as it is": text, "without comments": setting.ReplaceAllString(text, "$1")} {
		got, err := config.Load(nil, []string{"GISTMILL_CONFIG=" + write(t, file)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, e := range got.Explain() {
			if e.Value != want.Explain()[i].Value {
				t.Errorf("%s: %s is %q, want %q", name, e.Setting, e.Value, want.Explain()[i].Value)
			}
		}
	}
}

func TestDefaultFile(t *testing.T) {
	t.Parallel()
	home, xdg := t.TempDir(), t.TempDir()
	put := func(path, text string) string {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	atHome := config.DefaultFile([]string{"HOME=" + home})
	put(atHome, "rpm: 1\n")
	atXDG := put(filepath.Join(xdg, "gistmill", "config.yaml"), "rpm: 2\n")
	named := put(filepath.Join(xdg, "named.yaml"), "tpm: 3\n")
	for name, tc := range map[string]struct {
		args, environ []string
		rpm           int
		file          string
	}{
		"home":              {nil, []string{"HOME=" + home}, 1, atHome},
		"XDG":               {nil, []string{"HOME=" + home, "XDG_CONFIG_HOME=" + xdg}, 2, atXDG},
		"XDG without home":  {nil, []string{"XDG_CONFIG_HOME=" + xdg}, 2, atXDG},
		"relative XDG":      {nil, []string{"HOME=" + home, "XDG_CONFIG_HOME=relative"}, 1, atHome},
		"relative home":     {nil, []string{"HOME=."}, 0, ""},
		"nothing":           {nil, nil, 0, ""},
		"no file there":     {nil, []string{"HOME=" + named}, 0, ""},
		"named":             {[]string{"--config", named}, []string{"HOME=" + home}, 0, ""},
		"named by variable": {nil, []string{"HOME=" + home, "GISTMILL_CONFIG=" + named}, 0, ""},
		"none":              {[]string{"--config=none"}, []string{"HOME=" + home}, 0, ""},
		"none by variable":  {nil, []string{"HOME=" + home, "GISTMILL_CONFIG=none"}, 0, ""},
		"empty flag":        {[]string{"--config="}, []string{"HOME=" + home, "GISTMILL_CONFIG=" + named}, 0, ""},
		"empty variable":    {nil, []string{"HOME=" + home, "GISTMILL_CONFIG="}, 1, atHome},
		"environment wins":  {nil, []string{"HOME=" + home, "GISTMILL_RPM=9"}, 9, atHome},
	} {
		c, err := config.Load(flags(t, tc.args...), tc.environ)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]any{tc.rpm, tc.file}, []any{c.RPM, c.DefaultFile}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
