package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program"
)

// fake is the endpoint in a process of its own.
type fake struct {
	baseURL string // as for --base-url
	control string // …/_fake
	process *program.Process
	client  *http.Client
}

func (b *bench) startFake(ctx context.Context, flags ...string) (*fake, error) {
	p, err := program.Start(exec.Command(b.fakellm, append([]string{"-listen", "127.0.0.1:0"}, flags...)...))
	if err != nil {
		return nil, err
	}
	address := regexp.MustCompile(`http://(\S+)/v1\n`)
	for {
		if found := address.FindStringSubmatch(p.Stderr.String()); found != nil {
			f := &fake{baseURL: "http://" + found[1] + "/v1", control: "http://" + found[1] + "/_fake", process: p}
			f.client = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
			return f, nil
		}
		if err := errors.Join(pause(ctx, 5*time.Millisecond), alive(p)); err != nil {
			p.Kill()
			return nil, err
		}
	}
}

func (f *fake) stop() {
	f.client.CloseIdleConnections()
	f.process.Kill()
}

// set changes the endpoint's configuration.
func (f *fake) set(ctx context.Context, settings map[string]any) error {
	body, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return f.ask(ctx, http.MethodPost, "/config", body, nil)
}

// interval returns the counts between two times, in Unix seconds.
func (f *fake) interval(ctx context.Context, from, to int64) (fakellm.Interval, error) {
	var v fakellm.Interval
	err := f.ask(ctx, http.MethodGet, fmt.Sprintf("/stats?from=%d&to=%d", from, to), nil, &v)
	return v, err
}

func (f *fake) seconds(ctx context.Context, from, to int64) ([]fakellm.Second, error) {
	var v []fakellm.Second
	err := f.ask(ctx, http.MethodGet, fmt.Sprintf("/seconds?from=%d&to=%d", from, to), nil, &v)
	return v, err
}

func (f *fake) stats(ctx context.Context) (fakellm.Stats, error) {
	var v fakellm.Stats
	err := f.ask(ctx, http.MethodGet, "/stats", nil, &v)
	return v, err
}

func (f *fake) ask(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, f.control+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the endpoint for %s: %w", path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the endpoint answers %s with %s: %s", path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
