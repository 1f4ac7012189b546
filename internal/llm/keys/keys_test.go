package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheck(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"sk-proj-0123456789abcdef":                 "",
		"0123456789abcdef0123456789abcdef":         "", // Azure
		"AIzaSy-x_y":                               "",
		"eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln+/=": "",
		"":                            "is empty",
		`"sk-0123"`:                   "quotes",
		"'sk-0123'":                   "quotes",
		"`sk-0123`":                   "quotes",
		`sk-0123"`:                    "quotes",
		"“sk-0123”":                   "quotes",
		"Bearer sk-0123":              "whole header",
		"bearer sk-0123":              "whole header",
		"Authorization: Bearer sk-01": "whole header",
		"api-key: 0123":               "whole header",
		"$OPENAI_API_KEY":             "not replaced",
		"${OPENAI_API_KEY}":           "not replaced",
		"{{ .Values.key }}":           "not replaced",
		"OPENAI_API_KEY=sk-0123":      "whole assignment",
		"export KEY=sk-0123":          "whole assignment",
		"<!doctype html>":             "a page",
		"-----BEGIN CERTIFICATE-----": "a certificate",
		"sk-01 23":                    "copy the key again",
		"sk-01\n23":                   "copy the key again",
		"sk-0123\u200b":               "copy the key again",
		"schlüssel":                   "copy the key again",
	} {
		got := Check(key)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
		if strings.Contains(got, "0123") {
			t.Errorf("the key is in %q", got)
		}
	}
}

func writeKey(t *testing.T, path, content string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "key")
	f := NewFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	expect := func(want, problem string) {
		t.Helper()
		got, err := f.Key(t.Context())
		if got != want || (problem == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%q, %v; want %q, %q", got, err, want, problem)
		}
	}
	begin := time.Now()
	expect("", "does not exist")
	writeKey(t, path, " \n", begin)
	expect("", "is empty")
	writeKey(t, path, "sk-first-0000\r\n", begin.Add(time.Second))
	expect("sk-first-0000", "")
	writeKey(t, path, "sk-second-111\n", begin.Add(2*time.Second))
	expect("sk-second-111", "")
	// What is of no use does not replace a key.
	writeKey(t, path, `"sk-third-2222"`, begin.Add(3*time.Second))
	expect("sk-second-111", "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("sk-second-111", "")
	// Same size and time: only a refusal shows the change.
	writeKey(t, path, "sk-fourth-333", begin.Add(4*time.Second))
	expect("sk-fourth-333", "")
	writeKey(t, path, "sk-fifth-4444", begin.Add(4*time.Second))
	expect("sk-fourth-333", "")
	if !f.Refused(t.Context(), "sk-fourth-333") {
		t.Error("the new key was not found")
	}
	expect("sk-fifth-4444", "")
	if !f.Refused(t.Context(), "sk-fourth-333") {
		t.Error("a call with the old key has to be tried with the current one")
	}
	if f.Refused(t.Context(), "sk-fifth-4444") {
		t.Error("the same key was to try again")
	}
	if strings.Contains(log.String(), "sk-") {
		t.Errorf("a key is in the log: %s", &log)
	}
}

// A mounted Secret changes by a link.
func TestFileBehindLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for i, key := range []string{"sk-one-000", "sk-two-111"} {
		sub := filepath.Join(dir, fmt.Sprint("v", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		writeKey(t, filepath.Join(sub, "key"), key, time.Now().Add(time.Duration(i)*time.Minute))
	}
	if err := os.Symlink("v0/key", path); err != nil {
		t.Fatal(err)
	}
	f := NewFile(path, slog.New(slog.DiscardHandler))
	first, _ := f.Key(t.Context())
	if err := errors.Join(os.Remove(path), os.Symlink("v1/key", path)); err != nil {
		t.Fatal(err)
	}
	if second, err := f.Key(t.Context()); first != "sk-one-000" || second != "sk-two-111" {
		t.Errorf("%q, %q, %v", first, second, err)
	}
}

// token returns a JSON Web Token that ends at a time.
func token(ends time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"exp":%d}`, ends.Unix())) + "." + part([]byte("signature"))
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)
	hour := now.Add(time.Hour)
	for name, tt := range map[string]struct {
		out, key string
		ends     time.Time
		problem  string
	}{
		"a line":                         {out: "sk-0123\n", key: "sk-0123"},
		"a token":                        {out: token(hour), key: token(hour), ends: hour},
		"credential":                     {out: `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"abc","expirationTimestamp":"2026-12-01T03:00:00Z"}}`, key: "abc", ends: hour},
		"az":                             {out: `{"accessToken":"abc","expiresOn":"2026-12-01 05:00:00.000000","expires_on":` + fmt.Sprint(hour.Unix()) + `,"tokenType":"Bearer"}`, key: "abc", ends: hour},
		"OAuth":                          {out: `{"access_token":"abc","expires_in":3600,"token_type":"Bearer"}`, key: "abc", ends: hour},
		"OAuth as text":                  {out: `{"access_token":"abc","expires_in":"3600"}`, key: "abc", ends: hour},
		"milliseconds":                   {out: `{"token":"abc","expires_at":` + fmt.Sprint(hour.UnixMilli()) + `}`, key: "abc", ends: hour},
		"Expiration":                     {out: `{"key":"abc","Expiration":"2026-12-01T04:00:00+01:00"}`, key: "abc", ends: hour},
		"without an end":                 {out: `{"api_key":"abc"}`, key: "abc"},
		"a token in JSON without an end": {out: `{"token":"` + token(hour) + `"}`, key: token(hour), ends: hour},
		"expired":                        {out: `{"token":"abc","expires_at":"2026-12-01T01:59:00Z"}`, problem: "expired"},
		"nothing":                        {out: "\n", problem: "prints no key"},
		"JSON without":                   {out: `{"error":"sign in"}`, problem: "prints no key"},
		"half of JSON":                   {out: `{"token":"abc`, problem: "is JSON"},
		"a sentence":                     {out: "Please sign in first: gcloud auth login", problem: "copy the key again"},
		"quotes":                         {out: `"sk-0123"`, problem: "quotes"},
		"too much":                       {out: strings.Repeat("x", maxKeyBytes+1), problem: "too much"},
	} {
		got, err := parse([]byte(tt.out), now)
		if got.text != tt.key || !got.ends.Equal(tt.ends) || (tt.problem == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// command returns a command that prints what the function returns, and counts its runs.
func command(log *bytes.Buffer, print func(run int64) (string, error)) (*Command, *atomic.Int64) {
	var runs atomic.Int64
	c := NewCommand("print-a-key", nil, slog.New(slog.NewTextHandler(log, nil)))
	c.run = func(context.Context) ([]byte, error) {
		out, err := print(runs.Add(1))
		return []byte(out), err
	}
	return c, &runs
}

func TestCommandRunsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		broken := false
		c, runs := command(&log, func(run int64) (string, error) {
			if broken {
				return "secret words", errors.New("exit status 1")
			}
			return fmt.Sprintf(`{"token":"sk-%d","expires_in":600}`, run), nil
		})
		expect := func(want string, n int64) {
			t.Helper()
			if got, err := c.Key(t.Context()); got != want || runs.Load() != n {
				t.Errorf("%q, %v after %d runs; want %q after %d", got, err, runs.Load(), want, n)
			}
		}
		expect("sk-1", 1)
		time.Sleep(8 * time.Minute)
		expect("sk-1", 1)
		time.Sleep(90 * time.Second)
		expect("sk-2", 2) // a minute before the end
		if c.Refused(t.Context(), "sk-2") || runs.Load() != 2 {
			t.Error("the command ran twice within its interval")
		}
		time.Sleep(commandInterval)
		if !c.Refused(t.Context(), "sk-2") || runs.Load() != 3 {
			t.Error("no new key after a refusal")
		}
		if !c.Refused(t.Context(), "sk-2") || runs.Load() != 3 {
			t.Error("a call with the old key must try the new one, without another run")
		}
		broken = true
		time.Sleep(595 * time.Second)
		expect("sk-3", 4) // it fails, and the key has 5 s left
		time.Sleep(6 * time.Second)
		if key, err := c.Key(t.Context()); key != "" || err == nil || !strings.Contains(err.Error(), "run it by hand") || runs.Load() != 4 {
			t.Errorf("%q, %v: an expired key", key, err)
		}
		broken = false
		time.Sleep(5 * time.Second)
		expect("sk-5", 5)
		if s := log.String(); strings.Contains(s, "sk-") || strings.Contains(s, "secret words") || strings.Contains(s, "print-a-key") {
			t.Errorf("the log has a secret: %s", s)
		}
	})
}

// The first run is repeated once.
func TestCommandFailsAtFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c, _ := command(&log, func(run int64) (string, error) {
			if run == 1 {
				return "", errors.New("exit status 1")
			}
			return "sk-2", nil
		})
		if key, err := c.Key(t.Context()); key != "sk-2" {
			t.Errorf("%q, %v", key, err)
		}
	})
}

// Many calls at once run a command once.
func TestCommandRunsOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c, runs := command(&log, func(int64) (string, error) {
			time.Sleep(time.Second)
			return "sk-1", nil
		})
		got := make(chan string)
		for range 20 {
			go func() {
				key, _ := c.Key(t.Context())
				got <- key
			}()
		}
		for range 20 {
			if key := <-got; key != "sk-1" {
				t.Errorf("%q", key)
			}
		}
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
		c.key = printed{}
		c.ran = time.Time{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Key(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that has given up gets %v", err)
		}
	})
}

func TestShell(t *testing.T) {
	t.Parallel()
	environ := []string{"PATH=" + os.Getenv("PATH"), "TOKEN=sk-0123"}
	for line, want := range map[string]string{
		`printf '%s\n' "$TOKEN"`:                "sk-0123",
		"echo sk-0123; echo secret words >&2":   "sk-0123",
		"echo secret words; exit 3":             "failed (exit status 3)",
		"no-such-command-0123":                  "failed (exit status 127)",
		"echo secret words >&2":                 "prints no key",
		"head -c 200000 /dev/zero | tr '\\0' x": "too much",
	} {
		c := NewCommand(line, environ, slog.New(slog.DiscardHandler))
		out, err := c.shell(t.Context())
		var key printed
		if err != nil {
			err = failed(err)
		} else {
			key, err = parse(out, time.Now())
		}
		switch {
		case err == nil && key.text != want:
			t.Errorf("%s: %q, want %q", line, key.text, want)
		case err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// A command that hangs ends with its children.
func TestShellEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := NewCommand("sleep 60 & sleep 60", nil, slog.New(slog.DiscardHandler))
	begin := time.Now()
	if _, err := c.shell(ctx); err == nil || time.Since(begin) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}
