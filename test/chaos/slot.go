package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

const (
	// concurrency of a worker: calls in flight.
	concurrency = 8
	// grace of a worker is longer than any call takes.
	grace = 20 * time.Second
)

// slot is a place where a program is kept running, as a Kubernetes Deployment would: who ends there is followed by another one.
type slot struct {
	site  *site
	name  string
	links links
	args  []string
	sign  string // what it says once it works

	mu       sync.Mutex
	current  *incarnation // nil: none at the moment
	count    int
	modelCut atomic.Bool // some call was cut off
	cutting  sync.Mutex  // held while a link is cut
}

// incarnation is one process of a slot.
type incarnation struct {
	*program.Process
	key    string
	struck atomic.Bool // it was told to end
}

func (s *site) newSlot(name, sign string, args ...string) (*slot, error) {
	l, err := s.connect(name)
	return &slot{site: s, name: name, links: l, args: args, sign: sign}, err
}

func (s *site) newWorkers(n int) (all []*slot, err error) {
	for i := range n {
		w, err := s.newSlot(fmt.Sprintf("worker-%d", i), "worker started", "worker", "--concurrency", fmt.Sprint(concurrency),
			"--partitions", "2", "--shutdown-grace", grace.String(), "--request-timeout", "1m")
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	return all, nil
}

// keep keeps a program running until ctx ends; then it ends with SIGTERM, which has to be clean.
func (s *slot) keep(ctx context.Context) error {
	defer s.links.close()
	for ctx.Err() == nil {
		i, err := s.begin(s.args...)
		if err != nil {
			return err
		}
		select {
		case <-i.Ended():
		case <-ctx.Done():
			i.struck.Store(true)
			_ = i.Signal(syscall.SIGTERM)
			<-i.Ended()
			if r := i.Kill(); r.Code != 0 {
				s.site.violation("%s ended with %d after SIGTERM at the end\n%s", s.name, r.Code, program.Tail(r.Stderr))
			}
		}
		s.end(i)
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}

func (s *slot) begin(args ...string) (*incarnation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	i := &incarnation{key: fmt.Sprintf("%s-%d", s.name, s.count)}
	var err error
	if i.Process, err = s.site.start(s.links, i.key, args...); err != nil {
		return nil, err
	}
	s.current = i
	return i, nil
}

// end writes down what a process said, and judges how it ended. Its result is there.
func (s *slot) end(i *incarnation) {
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	r := i.Kill() // it has ended
	_ = os.WriteFile(filepath.Join(s.site.dir, "logs", i.key+".log"), []byte(r.Stderr), 0o600)
	switch {
	case i.struck.Load():
	case s.sign != "" && strings.Contains(r.Stderr, s.sign):
		s.site.violation("%s ended by itself with %d\n%s", i.key, r.Code, program.Tail(r.Stderr))
	case s.sign != "":
		s.site.note("a program that found its servers away at the start, and ended")
	}
	if peak := s.site.endpoint.peak(i.key); peak > concurrency && !s.modelCut.Load() {
		s.site.violation("%s had %d calls in flight, %d are allowed", i.key, peak, concurrency)
	}
}

// running is the process of the moment; it is waited for.
func (s *slot) running(ctx context.Context) *incarnation {
	for {
		s.mu.Lock()
		i := s.current
		s.mu.Unlock()
		if i != nil || !pause(ctx, 10*time.Millisecond) {
			return i
		}
	}
}

// working is a process that has said that it works.
func (s *slot) working(ctx context.Context) *incarnation {
	for {
		i := s.running(ctx)
		if i == nil || strings.Contains(i.Stderr.String(), s.sign) || !pause(ctx, 20*time.Millisecond) {
			return i
		}
	}
}

// kill kills the process of the moment, wherever it is; nil: the storm is over.
func (s *slot) kill(ctx context.Context) *incarnation {
	for {
		i := s.running(ctx)
		if i == nil {
			return nil
		}
		i.struck.Store(true)
		if i.Kill().Code == -1 {
			return i
		}
		pause(ctx, 10*time.Millisecond) // it had ended a moment before
	}
}

// stopOne ends a process that works by SIGTERM, and waits for its end.
func (s *slot) stopOne(ctx context.Context) (*incarnation, error) {
	i := s.working(ctx)
	if i == nil || ctx.Err() != nil {
		return nil, fmt.Errorf("wait for a %s that works: %w", s.name, ctx.Err())
	}
	i.struck.Store(true)
	if err := i.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	_, err := i.Wait(ctx)
	return i, err
}
