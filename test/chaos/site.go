package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/program"
	"github.com/gistmill/gistmill/test/servers"
)

// queue is its name: that of the default settings.
const queue = "documents"

// site is one deployment with servers of its own, all on this machine.
type site struct {
	dir      string
	binary   string
	redis    *servers.Redis
	postgres *servers.Postgres
	endpoint *endpoint
	model    *httptest.Server
	network  *network
	direct   links   // of programs that no cut is for
	db       *sql.DB // for looking into the ledger
	begun    time.Time
	log      io.Writer
	diary    *os.File // the same, kept with what the programs said

	mu         sync.Mutex
	violations []string
	notes      map[string]int // what is worth a line, and how often
}

// open starts the servers in a folder that is then the site's.
func open(ctx context.Context, dir, binary, latency string, log io.Writer) (s *site, err error) {
	s = &site{dir: dir, binary: binary, network: newNetwork(), begun: time.Now(), log: log, notes: map[string]int{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, name := range []string{"docs", "redis", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return s, err
		}
	}
	if s.diary, err = os.Create(filepath.Join(dir, "logs", "diary.txt")); err != nil {
		return s, err
	}
	if s.redis, err = servers.StartRedis(ctx, filepath.Join(dir, "redis"), redis.Options{}, "--appendfsync", "everysec"); err != nil {
		return s, err
	}
	if s.postgres, err = servers.StartPostgres(ctx, dir, servers.PostgresOptions{}); err != nil {
		return s, err
	}
	if s.endpoint, err = newEndpoint(latency); err != nil {
		return s, err
	}
	s.model = httptest.NewServer(s.endpoint)
	if s.direct, err = s.connect("direct"); err != nil {
		return s, err
	}
	if s.db, err = sql.Open("pgx", s.postgres.URL()); err != nil {
		return s, err
	}
	s.db.SetMaxOpenConns(4)
	err = s.run(ctx, nil, "runs") // makes the schema
	return s, err
}

// connect makes the links of a slot.
func (s *site) connect(name string) (links, error) {
	return s.network.connect(name, map[link]string{
		toRedis: s.redis.Address(), toPostgres: s.postgres.Address(), toModel: s.model.Listener.Addr().String(),
	})
}

// close ends the servers. Programs have ended before.
func (s *site) close() {
	if s.db != nil {
		_ = s.db.Close()
	}
	if s.direct != nil {
		s.direct.close()
	}
	if s.model != nil {
		s.model.CloseClientConnections()
		s.model.Close()
	}
	if s.postgres != nil {
		s.postgres.Stop()
	}
	if s.redis != nil {
		_ = s.redis.Close()
	}
	if s.diary != nil {
		_ = s.diary.Close()
	}
}

// say tells what is going on, with the time since the beginning.
func (s *site) say(format string, args ...any) {
	line := fmt.Sprintf("%8s  %s\n", time.Since(s.begun).Round(100*time.Millisecond), fmt.Sprintf(format, args...))
	fmt.Fprint(s.log, line)
	if s.diary != nil {
		fmt.Fprint(s.diary, line)
	}
}

// violation is something that must not be. The first ones are kept.
func (s *site) violation(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.violations) < 50 {
		s.violations = append(s.violations, fmt.Sprintf(format, args...))
		s.say("VIOLATION: "+format, args...)
	}
}

func (s *site) found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.violations
}

// note counts something.
func (s *site) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[what]++
}

// docs is the folder that is the source.
func (s *site) docs() string { return filepath.Join(s.dir, "docs") }

// start starts the program over some links, for the endpoint by a key.
func (s *site) start(l links, key string, args ...string) (*program.Process, error) {
	command := exec.Command(s.binary, args...)
	command.Dir = s.dir
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "OPENAI_API_KEY=" + key,
		"GISTMILL_STORE=" + servers.URL(l[toPostgres].Listen), "GISTMILL_REDIS=redis://" + l[toRedis].Listen + "/0",
		"GISTMILL_BASE_URL=http://" + l[toModel].Listen + "/v1",
	}
	return program.Start(command)
}

// run runs a command that is not cut off to its end, and reads its JSON where decode is not nil.
func (s *site) run(ctx context.Context, decode any, args ...string) error {
	p, err := s.start(s.direct, "nobody", args...)
	if err != nil {
		return err
	}
	r, err := p.Wait(ctx)
	if err != nil {
		p.Kill()
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("gistmill %s: exit code %d\n%s", strings.Join(args, " "), r.Code, program.Tail(r.Stderr))
	}
	if decode != nil {
		return json.Unmarshal([]byte(r.Stdout), decode)
	}
	return nil
}

// number asks the ledger for one.
func (s *site) number(ctx context.Context, query string) (n int64, err error) {
	if err = s.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		err = fmt.Errorf("%s: %w", query, err)
	}
	return n, err
}

// numbers asks for several, by their names.
func (s *site) numbers(ctx context.Context, queries map[string]string) (map[string]int64, error) {
	all := map[string]int64{}
	var errs []error
	for name, query := range queries {
		n, err := s.number(ctx, query)
		all[name] = n
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// settleWithin bounds the time in which what is left is done.
const settleWithin = 5 * time.Minute

// finished waits until no run goes on.
func (s *site) finished(ctx context.Context) error {
	return await(ctx, "the end of all runs", settleWithin, func(ctx context.Context) (bool, error) {
		n, err := s.number(ctx, `SELECT COUNT(*) FROM runs WHERE state <> 'finished'`)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d runs go on", n)
		}
		return err == nil, err
	})
}

// await looks until a condition is met.
func await(ctx context.Context, what string, within time.Duration, met func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		ok, err := met(ctx)
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		if !pause(ctx, 100*time.Millisecond) {
			return errors.Join(fmt.Errorf("not within %s: %s", within, what), last)
		}
	}
}

// pause says whether it lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
