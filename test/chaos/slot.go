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
	// concurrency is the number of calls in flight of a worker.
	concurrency = 8
	// grace of a worker is longer than any call takes.
	grace = 20 * time.Second
)

// slot keeps one program running, as a Kubernetes Deployment does: it replaces a process that
// ends.
type slot struct {
	site         *site
	name         string
	links        links
	args         []string
	readyMessage string // part of its log once it works

	mu       sync.Mutex
	current  *instance // nil: none at the moment
	count    int
	modelCut atomic.Bool // a call may have been cut off
	cutting  sync.Mutex  // held while a link is cut
}

// instance is one process of a slot.
type instance struct {
	*program.Process
	key          string
	stopExpected atomic.Bool // the test ends it
}

func (s *site) newSlot(name, readyMessage string, args ...string) (*slot, error) {
	l, err := s.connect(name)
	return &slot{site: s, name: name, links: l, args: args, readyMessage: readyMessage}, err
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

// keepRunning keeps a program running until ctx ends. Then it ends the program by SIGTERM and
// checks that the exit is clean.
func (s *slot) keepRunning(ctx context.Context) error {
	defer s.links.close()
	for ctx.Err() == nil {
		i, err := s.begin(s.args...)
		if err != nil {
			return err
		}
		select {
		case <-i.Ended():
		case <-ctx.Done():
			i.stopExpected.Store(true)
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

func (s *slot) begin(args ...string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	i := &instance{key: fmt.Sprintf("%s-%d", s.name, s.count)}
	var err error
	if i.Process, err = s.site.start(s.links, i.key, args...); err != nil {
		return nil, err
	}
	s.current = i
	return i, nil
}

// end stores the log of a process that has ended, and judges how it ended.
func (s *slot) end(i *instance) {
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	r := i.Kill() // it has ended: this returns the result
	_ = os.WriteFile(filepath.Join(s.site.dir, "logs", i.key+".log"), []byte(r.Stderr), 0o600)
	switch {
	case i.stopExpected.Load():
	case s.readyMessage != "" && strings.Contains(r.Stderr, s.readyMessage):
		s.site.violation("%s ended unexpectedly with %d\n%s", i.key, r.Code, program.Tail(r.Stderr))
	case s.readyMessage != "":
		s.site.note("a program exited at its start because a server was unavailable")
	}
	if peak := s.site.endpoint.peak(i.key); peak > concurrency && !s.modelCut.Load() {
		s.site.violation("%s had %d calls in flight, %d are allowed", i.key, peak, concurrency)
	}
}

// running waits for the current process and returns it. It returns nil when ctx ends.
func (s *slot) running(ctx context.Context) *instance {
	for {
		s.mu.Lock()
		i := s.current
		s.mu.Unlock()
		if i != nil || !pause(ctx, 10*time.Millisecond) {
			return i
		}
	}
}

// working waits for a process that has logged that it works.
func (s *slot) working(ctx context.Context) *instance {
	for {
		i := s.running(ctx)
		if i == nil || strings.Contains(i.Stderr.String(), s.readyMessage) || !pause(ctx, 20*time.Millisecond) {
			return i
		}
	}
}

// kill kills the current process, whatever it is doing. It returns nil when ctx ends.
func (s *slot) kill(ctx context.Context) *instance {
	for {
		i := s.running(ctx)
		if i == nil {
			return nil
		}
		i.stopExpected.Store(true)
		if i.Kill().Code == -1 {
			return i
		}
		pause(ctx, 10*time.Millisecond) // it ended a moment before
	}
}

// terminate ends a working process by SIGTERM and waits for its end.
func (s *slot) terminate(ctx context.Context) (*instance, error) {
	i := s.working(ctx)
	if i == nil || ctx.Err() != nil {
		return nil, fmt.Errorf("wait for a working %s: %w", s.name, ctx.Err())
	}
	i.stopExpected.Store(true)
	if err := i.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	_, err := i.Wait(ctx)
	return i, err
}
