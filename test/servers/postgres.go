package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/gistmill/gistmill/test/program"
)

// Postgres is a server with a cluster of its own. It is not safe for concurrent use.
type Postgres struct {
	Port int

	bin, data string
	settings  []string
	as        *syscall.SysProcAttr
	process   *program.Process // nil: it does not run
}

// PostgresOptions are a test's own settings. The zero value accepts every local connection,
// also of the superuser postgres.
type PostgresOptions struct {
	Files    map[string][]byte // for its data folder, before the first start
	Settings []string          // name=value
}

// StartPostgres creates a cluster in a folder, which PostgreSQL's user must be able to reach,
// and starts it on a free loopback port. fsync is off, because tests kill processes and not the
// machine. Checkpoints are frequent, so that a start after a crash has little to redo.
func StartPostgres(ctx context.Context, dir string, o PostgresOptions) (*Postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, data: filepath.Join(dir, "postgres"), settings: o.Settings}
	if err := os.MkdirAll(p.data, 0o700); err != nil {
		return nil, err
	}
	if err := p.becomeOwner(); err != nil {
		return nil, err
	}
	initdb := p.Command(ctx, "initdb", "-D", p.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a PostgreSQL cluster: %w\n%s", err, out)
	}
	for name, content := range o.Files {
		if err := p.WriteFile(name, content); err != nil {
			return nil, err
		}
	}
	var failures []error
	for range 3 { // another process may take the port first
		if p.Port, err = FreePort(); err != nil {
			return nil, err
		}
		if err = p.Start(ctx); err == nil {
			return p, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// postgresPrograms returns the folder of PostgreSQL's programs. Debian keeps them out of PATH,
// in one folder for each version.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.Sort(found)
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL (apt-get install postgresql): %w", err)
	}
	return filepath.Dir(path), nil
}

// becomeOwner gives the cluster to the user of Debian's package if the test runs as root, since
// PostgreSQL refuses to run as root.
func (p *Postgres) becomeOwner() error {
	p.as = &syscall.SysProcAttr{}
	if os.Getuid() != 0 {
		return nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("find a user that PostgreSQL may run as: %w", err)
	}
	uid, errUID := strconv.ParseUint(owner.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(owner.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return err
	}
	p.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return p.own(p.data)
}

func (p *Postgres) own(path string) error {
	if p.as.Credential == nil {
		return nil
	}
	return os.Chown(path, int(p.as.Credential.Uid), int(p.as.Credential.Gid))
}

// WriteFile writes a file into the data folder that only the server may read.
func (p *Postgres) WriteFile(name string, content []byte) error {
	path := filepath.Join(p.data, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return p.own(path)
}

// Command returns a command of PostgreSQL's own programs that runs as the server's user.
func (p *Postgres) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	c.Dir, c.SysProcAttr = "/", p.as
	return c
}

// Start starts the server again with the same data, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) (err error) {
	args := []string{"-D", p.data, "-p", strconv.Itoa(p.Port)}
	for _, setting := range slices.Concat([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off", "checkpoint_timeout=30s", "max_connections=200",
	}, p.settings) {
		args = append(args, "-c", setting)
	}
	if p.process, err = program.Start(p.Command(context.WithoutCancel(ctx), "postgres", args...)); err != nil {
		return err
	}
	err = ready(ctx, p.process, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.URL())
		if err != nil {
			return err
		}
		return errors.Join(conn.Ping(ctx), conn.Close(ctx))
	})
	if err != nil {
		p.Stop()
	}
	return err
}

// Stop shuts the server down immediately, as a crash would: connections are cut, and committed
// data is recovered at the next start (postgres(1): SIGQUIT).
func (p *Postgres) Stop() {
	if p.process != nil {
		_ = p.process.Signal(syscall.SIGQUIT)
		<-p.process.Ended()
	}
	p.process = nil
}

// Log returns what the running server has logged so far.
func (p *Postgres) Log() string {
	if p.process == nil {
		return ""
	}
	return p.process.Stderr.String()
}

// Address returns HOST:PORT.
func (p *Postgres) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.Port) }

// URL returns the server's URL for programs on this machine.
func (p *Postgres) URL() string { return URL(p.Address()) }

// URL returns the URL of the database behind an address, which may be a proxy's.
func URL(address string) string {
	return "postgres://postgres@" + address + "/postgres?sslmode=disable"
}
