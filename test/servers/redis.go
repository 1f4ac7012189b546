// Package servers starts a Redis or a PostgreSQL for tests that flush, stop and kill it.
//
// It owns one server process and its data; each may outlive the other. It does not own the
// contents. For a place on shared servers see test/bench/servers.
package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/program"
)

// startWithin is long enough for a loaded machine and a server that replays its log first.
const startWithin = 5 * time.Minute

// Redis is a server with an append-only file and without eviction. Only its Client is safe for
// concurrent use.
type Redis struct {
	Client *redis.Client
	Port   int

	dir     string
	tls     bool
	more    []string
	process *program.Process // nil: it does not run
}

// StartRedis starts a server on a free loopback port, with its data in a folder and further
// arguments. The Client uses the options login; with TLS the server listens with TLS only.
// Acknowledged writes survive its death unless an argument changes that.
func StartRedis(ctx context.Context, dir string, login redis.Options, more ...string) (*Redis, error) {
	var failures []error
	for range 3 { // another process may take the port first
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		login.Addr = fmt.Sprintf("127.0.0.1:%d", port)
		r := &Redis{Client: redis.NewClient(&login), Port: port, dir: dir, tls: login.TLSConfig != nil, more: more}
		if err = r.Start(ctx); err == nil {
			return r, nil
		}
		failures = append(failures, err, r.Client.Close())
	}
	return nil, errors.Join(failures...)
}

// Start starts the server again with the same data, and waits until it answers.
func (r *Redis) Start(ctx context.Context) (err error) {
	port := []string{"--port", fmt.Sprint(r.Port)}
	if r.tls {
		port = []string{"--port", "0", "--tls-port", fmt.Sprint(r.Port)}
	}
	r.process, err = program.Start(exec.Command("redis-server", slices.Concat(port, []string{
		"--bind", "127.0.0.1", "--dir", r.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
	}, r.more)...))
	if err != nil {
		return fmt.Errorf("start redis-server (apt-get install redis-server): %w", err)
	}
	err = ready(ctx, r.process, func(ctx context.Context) error { return r.Client.Ping(ctx).Err() })
	if err != nil {
		r.Kill()
	}
	return err
}

// Kill ends the server at once, if it runs.
func (r *Redis) Kill() {
	if r.process != nil {
		r.process.Kill()
	}
	r.process = nil
}

// Process returns the running process, or nil.
func (r *Redis) Process() *program.Process { return r.process }

// Address returns HOST:PORT.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.Port) }

// Close kills the server and closes the client.
func (r *Redis) Close() error {
	r.Kill()
	return r.Client.Close()
}

// FreePort returns a loopback port on which nothing listens at the moment.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until a server answers.
func ready(ctx context.Context, p *program.Process, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Ended():
			return fmt.Errorf("%s has ended\n%s%s", p.Args[0], program.Tail(p.Stdout.String()), program.Tail(p.Stderr.String()))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", p.Args[0], err, program.Tail(p.Stderr.String()))
		}
	}
}
