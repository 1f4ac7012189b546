//go:build integration

package integration

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a Redis that belongs to one test, which may flush, stop and kill it.
type redisServer struct {
	t       *testing.T
	dir     string
	port    int
	args    []string      // beside the common ones
	login   redis.Options // how the test itself logs in
	command *exec.Cmd
	client  *redis.Client
}

// newRedis starts a Redis on a free port. What it acknowledged survives its death.
func newRedis(t *testing.T) *redisServer {
	t.Helper()
	return newRedisWith(t, redis.Options{})
}

// newRedisWith starts one with further arguments. With a TLS login it listens with TLS only.
func newRedisWith(t *testing.T, login redis.Options, args ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, dir: t.TempDir(), login: login, args: args}
	t.Cleanup(func() {
		s.end()
		s.client.Close()
	})
	for range 3 { // the port may be lost to another process
		s.port = freePort(t)
		s.connect()
		if s.begin() {
			return s
		}
		s.client.Close()
	}
	t.Fatal("redis-server does not start")
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// begin starts the server, with the data of the one before, and says whether it answers.
func (s *redisServer) begin() bool {
	s.t.Helper()
	port := []string{"--port", fmt.Sprint(s.port)}
	if s.login.TLSConfig != nil {
		port = []string{"--port", "0", "--tls-port", fmt.Sprint(s.port)}
	}
	s.command = exec.Command("redis-server", slices.Concat(port, []string{"--bind", "127.0.0.1", "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"}, s.args)...)
	return s.await()
}

// connect makes the test's own client.
func (s *redisServer) connect() {
	options := s.login
	options.Addr = fmt.Sprintf("127.0.0.1:%d", s.port)
	s.client = redis.NewClient(&options)
}

// await starts the command, and says whether it answers.
func (s *redisServer) await() bool {
	s.t.Helper()
	if err := s.command.Start(); err != nil {
		s.t.Fatalf("start redis-server (apt-get install redis-server): %v", err)
	}
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.client.Ping(background()).Err() != nil {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.end()
			return false
		}
	}
	return true
}

// end kills the server.
func (s *redisServer) end() {
	if s.command != nil && s.command.Process != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
	}
	s.command = nil
}

func (s *redisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// address is its URL.
func (s *redisServer) address() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

// do runs a command, which has to succeed.
func (s *redisServer) do(args ...any) {
	s.t.Helper()
	if err := s.client.Do(background(), args...).Err(); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
}

// ran is how often it has run a command, scripts' own included.
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

// valve passes on connections to a server until so many bytes have gone there; then it holds everything, and says so.
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
