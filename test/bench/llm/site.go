package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gistmill/gistmill/test/bench/servers"
	"github.com/gistmill/gistmill/test/program"
)

// site is where one scenario runs: a folder, a place on the servers, an endpoint, and the
// programs that it started.
type site struct {
	bench    *bench
	dir      string
	place    *servers.Place
	fake     *fake
	programs []*program.Process
}

func (b *bench) open(ctx context.Context, name string) (*site, error) {
	s := &site{bench: b, dir: filepath.Join(b.dir, "site-"+name)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.place, err = servers.Open(ctx, b.store, b.redis); err != nil {
		return nil, err
	}
	if s.fake, err = b.startFake(ctx, "-latency=300ms", "-record=false"); err != nil {
		return nil, errors.Join(err, s.place.Close(ctx))
	}
	return s, nil
}

// close ends every program and deletes what they left.
func (s *site) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, p := range s.programs {
		p.Kill()
	}
	s.fake.stop()
	return errors.Join(s.place.Close(ctx), os.RemoveAll(s.dir))
}

// start starts gistmill in the site's folder. Settings come from its environment.
func (s *site) start(settings []string, args ...string) (*program.Process, error) {
	command := exec.Command(s.bench.gistmill, args...)
	command.Dir = s.dir
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir,
		"GISTMILL_BASE_URL=" + s.fake.baseURL, "GISTMILL_MODEL=gpt-4o-mini"}, settings...)
	p, err := program.Start(command)
	if err == nil {
		s.programs = append(s.programs, p)
	}
	return p, err
}

// ask runs a command until it exits; decode, if not nil, receives its JSON.
func (s *site) ask(ctx context.Context, decode any, args ...string) error {
	r, err := s.finish(ctx, args...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("gistmill %s: exit code %d\n%s", strings.Join(args, " "), r.Code, program.Tail(r.Stderr))
	}
	if decode == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(r.Stdout), decode); err != nil {
		return fmt.Errorf("gistmill %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (s *site) finish(ctx context.Context, args ...string) (program.Result, error) {
	p, err := s.start(s.place.Environment(), args...)
	if err != nil {
		return program.Result{}, err
	}
	return p.Wait(ctx)
}

// workers starts workers with flags and waits until each works.
func (s *site) workers(ctx context.Context, n int, flags ...string) ([]*program.Process, error) {
	var started []*program.Process
	for range n {
		p, err := s.start(s.place.Environment(), append([]string{"worker"}, flags...)...)
		if err != nil {
			return nil, err
		}
		started = append(started, p)
	}
	for _, p := range started {
		for !strings.Contains(p.Stderr.String(), "worker started") {
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return nil, err
			}
			if err := alive(p); err != nil {
				return nil, err
			}
		}
	}
	return started, nil
}

// alive fails if a program has ended that should be running.
func alive(programs ...*program.Process) error {
	for _, p := range programs {
		select {
		case <-p.Ended():
			return fmt.Errorf("%s has ended\n%s", strings.Join(p.Args[1:], " "), program.Tail(p.Stderr.String()))
		default:
		}
	}
	return nil
}

// status returns the newest run's totals.
type status struct {
	State     string `json:"state"`
	Documents struct {
		Total, Done, Dead, Remaining int64
	} `json:"documents"`
	Calls    int64    `json:"calls"`
	CostUSD  *float64 `json:"cost_usd"`
	Balanced bool     `json:"balanced"`
}

func (s *site) status(ctx context.Context) (status, error) {
	var v status
	err := s.ask(ctx, &v, "status", "-o", "json")
	if err == nil && !v.Balanced {
		err = fmt.Errorf("the run does not balance: %+v", v)
	}
	return v, err
}
