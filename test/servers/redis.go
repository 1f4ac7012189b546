// Package servers starts a Redis or a PostgreSQL for tests that flush, stop and kill it.
//
// It owns one server process and its data, which outlive each other. It refuses to own what is stored there; a place on servers that
// others use too is test/bench/servers.
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

// startWithin is for a loaded machine and a server that reads its log first.
const startWithin = 5 * time.Minute

// Redis is a server with an append-only file that evicts nothing. It is not safe for concurrent use, but for the Client.
type Redis struct {
	Client *redis.Client
	Port   int

	dir     string
	tls     bool
	more    []string
	process *program.Process // nil: it does not run
}

// StartRedis starts a server on a free port of the loopback, with its data in a folder, and more of a command line. The Client logs in as
// login says; with TLS the server listens with TLS only. What it has acknowledged survives its death, unless more says otherwise.
func StartRedis(ctx context.Context, dir string, login redis.Options, more ...string) (*Redis, error) {
	var failures []error
	for range 3 { // the port may be lost to another process
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

// Start starts the server again, with the data of the one before, and waits until it answers.
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

// Process is the one that runs, or nil.
func (r *Redis) Process() *program.Process { return r.process }

// Address is HOST:PORT.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.Port) }

// Close kills the server and closes the client.
func (r *Redis) Close() error {
	r.Kill()
	return r.Client.Close()
}

// FreePort is one of the loopback that nobody listens on just now.
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
