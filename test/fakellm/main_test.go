package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRun starts the command on a free port, makes a call, and stops it.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	go func() {
		defer w.Close()
		done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-words", "3"}, w)
	}()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://\S+`).FindString(string(line[:n]))
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Post(url+"/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"one two three four"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), `"content":"one two three"`) {
		t.Errorf("%s, %v", body, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-rate-500 2", "-limit-mode leaky", "-nonsense", "extra", "-listen nowhere:x"} {
		var out bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, &help); err != nil || !strings.Contains(help.String(), "-rate-truncate") {
		t.Errorf("help: %v\n%s", err, help.String())
	}
}
