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

// queue is the name in the default settings.
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
	direct   links   // of programs that are never cut off
	db       *sql.DB // for reading the ledger
	begun    time.Time
	log      io.Writer
	diary    *os.File // the same lines, kept with the programs' output

	mu         sync.Mutex
	violations []string
	notes      map[string]int // events worth a line in the result, with their number
}

// open starts the servers in a folder that then belongs to the site.
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
	err = s.run(ctx, nil, "migrate") // creates the schema
	return s, err
}

// connect creates the links of a slot.
func (s *site) connect(name string) (links, error) {
	return s.network.connect(name, map[link]string{
		toRedis: s.redis.Address(), toPostgres: s.postgres.Address(), toModel: s.model.Listener.Addr().String(),
	})
}

// close stops the servers. All programs must have ended before.
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

// say logs a line with the time since the beginning.
func (s *site) say(format string, args ...any) {
	line := fmt.Sprintf("%8s  %s\n", time.Since(s.begun).Round(100*time.Millisecond), fmt.Sprintf(format, args...))
	fmt.Fprint(s.log, line)
	if s.diary != nil {
		fmt.Fprint(s.diary, line)
	}
}

// violation records that an invariant did not hold. The first 50 are kept.
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

// note counts an event.
func (s *site) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[what]++
}

// docs returns the source folder.
func (s *site) docs() string { return filepath.Join(s.dir, "docs") }

// start starts the program over some links, with a key for the endpoint.
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

// run runs a command over the direct links until it exits, and decodes its JSON if decode is
// not nil.
func (s *site) run(ctx context.Context, decode any, args ...string) error {
	p, err := s.start(s.direct, "direct-0", args...)
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

// number returns the result of a query for one number.
func (s *site) number(ctx context.Context, query string) (n int64, err error) {
	if err = s.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		err = fmt.Errorf("%s: %w", query, err)
	}
	return n, err
}

// numbers returns the results of several queries by name.
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

// settleWithin bounds the time in which the remaining documents are done.
const settleWithin = 5 * time.Minute

// finished waits until every run is finished.
func (s *site) finished(ctx context.Context) error {
	return await(ctx, "the end of all runs", settleWithin, func(ctx context.Context) (bool, error) {
		n, err := s.number(ctx, `SELECT COUNT(*) FROM runs WHERE state <> 'finished'`)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d runs are not finished", n)
		}
		return err == nil, err
	})
}

// await polls until a condition is met.
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

// pause sleeps, and reports whether it lasted for all of d.
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
