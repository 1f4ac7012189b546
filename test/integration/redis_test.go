//go:build integration

package integration

import (
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/servers"
)

// redisServer is a Redis that belongs to one test. The test may flush, stop and kill it.
type redisServer struct {
	t      *testing.T
	dir    string // with its data
	server *servers.Redis
	client *redis.Client
	port   int
	args   []string // in addition to the common ones
}

// newRedis starts a Redis on a free port. Acknowledged writes survive its death.
func newRedis(t *testing.T) *redisServer {
	t.Helper()
	return newRedisWith(t, redis.Options{})
}

// newRedisWith starts one with further arguments. With a TLS login it listens with TLS only.
func newRedisWith(t *testing.T, login redis.Options, args ...string) *redisServer {
	t.Helper()
	dir := t.TempDir()
	server, err := servers.StartRedis(background(), dir, login, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &redisServer{t: t, dir: dir, server: server, client: server.Client, port: server.Port, args: args}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// begin starts the server again with the same data.
func (s *redisServer) begin() {
	s.t.Helper()
	if err := s.server.Start(background()); err != nil {
		s.t.Fatal(err)
	}
}

// end kills the server.
func (s *redisServer) end() { s.server.Kill() }

func (s *redisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.server.Process().Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// address returns its URL.
func (s *redisServer) address() string { return "redis://" + s.server.Address() + "/0" }

// do runs a command, which must succeed.
func (s *redisServer) do(args ...any) {
	s.t.Helper()
	if err := s.client.Do(background(), args...).Err(); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
}

// ran returns how often the server has run a command, including from scripts.
func (s *redisServer) ran(command string) int64 {
	s.t.Helper()
	info, err := s.client.Info(background(), "commandstats").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			calls, _, _ := strings.Cut(rest, ",")
			n, err := strconv.ParseInt(calls, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// valve forwards connections to a server until a number of bytes has passed. Then it holds
// everything and reports it.
type valve struct {
	address string
	shut    chan struct{}
}

func newValve(t *testing.T, target string, after int64) *valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{address: l.Addr().String(), shut: make(chan struct{})}
	quota := make(chan int64, 1)
	quota <- after
	ended := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", target)
			if err != nil {
				from.Close()
				continue
			}
			go func() { _, _ = io.Copy(from, to) }()
			go func() {
				defer to.Close()
				v.pass(from, to, quota)
			}()
		}
	}()
	return v
}

func (v *valve) pass(from, to net.Conn, quota chan int64) {
	defer from.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		left := <-quota
		before := left
		left -= int64(n)
		quota <- left
		if left <= 0 {
			if before > 0 {
				close(v.shut)
			}
			continue // swallowed: the sender waits for an answer
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
