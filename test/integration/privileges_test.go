//go:build integration

package integration

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// password is that of every user in these tests.
const password = "a-long-password"

// restrictedSite is a site whose servers have the users of deploy/redis and the roles of
// deploy/postgresql.
type restrictedSite struct {
	*site
	keyspace *redisServer
	postgres *postgresServer
	expected int // bytes of PostgreSQL's log that were read
}

// usersFile returns the users file of deploy/redis with the test's password for every user.
func usersFile(t *testing.T) string {
	t.Helper()
	users, err := os.ReadFile("../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("#%x", sha256.Sum256([]byte(password)))
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, regexp.MustCompile(`#PASSWORD-OF-\w+`).ReplaceAll(users, []byte(hash)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newRestrictedSite(t *testing.T) *restrictedSite {
	t.Helper()
	g := &restrictedSite{
		keyspace: newRedisWith(t, redis.Options{Username: "admin", Password: password}, "--aclfile", usersFile(t)),
		postgres: newPostgres(t, nil, []string{"host all all 127.0.0.1/32 scram-sha-256"}),
	}
	g.postgres.psql("../../deploy/postgresql/roles.sql", "OWNER_PASSWORD="+password, "GISTMILL_PASSWORD="+password, "READER_PASSWORD="+password)
	g.site = newSite(t, g.redisURL("admin"), latency(t, "5ms"))
	g.queue = "documents" // the queue in users.acl
	g.env["GISTMILL_QUEUE"] = g.queue
	var err error
	if g.db, err = sql.Open("pgx", g.postgres.url("postgres", "gistmill", "sslmode=disable&search_path=gistmill")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.db.Close() })
	g.as("gistmill", "gistmill")
	return g
}

func (g *restrictedSite) redisURL(user string) string {
	return fmt.Sprintf("redis://%s:%s@127.0.0.1:%d/0", user, password, g.keyspace.port)
}

func (g *restrictedSite) storeURL(role string) string {
	return g.postgres.url(role+":"+password, "gistmill", "sslmode=disable")
}

// as sets the Redis user and the PostgreSQL role for the site's programs.
func (g *restrictedSite) as(user, role string) {
	g.env["GISTMILL_REDIS"], g.env["GISTMILL_STORE"] = g.redisURL(user), g.storeURL(role)
}

// noRefusals fails if Redis or PostgreSQL has refused anything since the last call.
func (g *restrictedSite) noRefusals(what string) {
	g.t.Helper()
	refused, err := g.keyspace.client.ACLLog(background(), 100).Result()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, r := range refused {
		g.t.Errorf("%s: Redis refused %s %s %q in %s", what, r.Username, r.Reason, r.Object, r.Context)
	}
	for line := range strings.Lines(g.postgres.log()[g.expected:]) {
		if strings.Contains(line, "permission denied") {
			g.t.Errorf("%s: PostgreSQL reported %s", what, line)
		}
	}
}

// Everything works with the users and roles of deploy/ and without a single refusal. Actions
// outside a user's work are refused.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	g := newRestrictedSite(t)

	g.run("runs").WantCode(1).Says("has no tables yet")
	g.run("migrate").WantCode(1).Says("run this version once as the role that owns them")
	g.as("gistmill", "gistmill_owner")
	g.run("migrate").WantCode(0)
	g.as("gistmill", "gistmill")
	denied := g.postgres.log() // the refusal above
	if !strings.Contains(denied, "permission denied") {
		t.Fatal(denied)
	}
	g.expected = len(denied)

	g.wholeRun()
	g.noRefusals("a whole run")
	g.as("reader", "gistmill_reader")
	for _, args := range [][]string{{"status"}, {"runs"}, {"dead", "list"}, {"show", "notes.jsonl#3"}, {"export", "out.jsonl"}} {
		g.run(args...).WantCode(0)
	}
	g.noRefusals("looking as a reader")

	g.refusedByRedis()
	g.refusedByPostgres()
	g.schemas()
}

// wholeRun uses every command that talks to Redis or the ledger.
func (g *restrictedSite) wholeRun() {
	g.t.Helper()
	data := lines(0, 60)
	for _, id := range []string{"x", "y"} {
		data = append(data, line(id, note(len(id))+" FAKELLM-REFUSE "+id)...)
	}
	g.write("notes.jsonl", data)
	v := g.server()
	run := g.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
	v.awaitDemand(7)
	g.run("pause", run).WantCode(0)
	v.awaitDemand(0)
	g.run("resume", run).WantCode(0)
	// With a limit the limiters' keys are used too.
	w := g.worker("--rpm", "60000", "--concurrency", "4")
	g.finish(run, patience, programtest.Totals{Total: 62, Done: 60, Dead: 2})
	g.set(func(c *fakellm.Config) { c.RefuseMarker = "" })
	g.run("dead", "list").WantCode(0)
	g.run("dead", "retry", "--class", "refused").WantCode(0)
	programtest.Await(g.t, "dead letters are done", patience, func() bool { return g.done() == 62 }, nil)
	w.Stop()
	g.run("worker", "--exit-when-idle=1s").WantCode(0)
	other := g.enqueue("notes.jsonl", "--words", "20")[0].Run
	g.run("cancel", other).WantCode(0)
	g.run("status", run).WantCode(0)
	g.run("dead", "export", "dead.jsonl").WantCode(0)
	g.run("export", "all.jsonl").WantCode(0)
	g.run("prune", "--older-than", "0s").WantCode(0)
	for _, path := range []string{"/readyz", "/metrics", "/queues/", "/queues/api/queues", "/queues/api/queues/documents", "/queues/api/servers", "/queues/api/queue_stats"} {
		if status, body := v.get(path); status != http.StatusOK {
			g.t.Errorf("%s answers %d: %s", path, status, body)
		}
	}
	if _, body := v.get("/metrics"); !strings.Contains(string(body), `gistmill_scrape_errors_total{part="redis"} 0`) {
		g.t.Errorf("the metrics could not all be read:\n%s", body)
	}
	v.Stop()
}

// noPermission matches Redis' refusals: of a command, and of a script in 7.0 and later.
var noPermission = regexp.MustCompile(`NOPERM|user executing the script can't|ACL failure in script`)

// refusedByRedis tries forbidden commands as each user.
func (g *restrictedSite) refusedByRedis() {
	g.t.Helper()
	admin := g.keyspace.client
	ctx := background()
	admin.Set(ctx, "theirs", "1", 0)
	admin.LPush(ctx, "asynq:{others}:pending", "1")
	admin.LPush(ctx, "asynq:{documents}:pending", "1")
	every := []string{
		"FLUSHALL", "FLUSHDB", "CONFIG SET maxmemory 1", "CONFIG GET *", "KEYS *", "SCAN 0", "SHUTDOWN NOSAVE", "ACL LIST", "ACL SETUSER x on",
		"SCRIPT FLUSH", "FUNCTION FLUSH", "REPLICAOF NO ONE", "MONITOR", "CLIENT LIST", "CLIENT KILL TYPE normal", "SAVE", "MODULE LIST", "SWAPDB 0 1",
		"GET theirs", "SET theirs 2", "DEL theirs", "RENAME theirs gistmill:x", "COPY theirs gistmill:x", "LRANGE asynq:{others}:pending 0 -1", "RPOP asynq:{others}:pending",
		"PUBLISH others 1", "SUBSCRIBE others",
		"EVAL return(redis.call('GET','theirs')) 0", "EVAL return(redis.call('SET','theirs','2')) 0", "EVAL return(redis.call('FLUSHALL')) 0",
		"EVAL return(redis.call('RPOP','asynq:{others}:pending')) 0",
	}
	writes := []string{
		"LPUSH asynq:{documents}:pending 2", "RPOP asynq:{documents}:pending", "DEL asynq:{documents}:pending", "SET gistmill:x 1", "EXPIRE asynq:{documents}:pending 1",
		"EVAL return(redis.call('RPOP','asynq:{documents}:pending')) 0", "EVAL return(redis.call('DEL',KEYS[1])) 1 asynq:{documents}:pending",
		"PUBLISH asynq:cancel 1",
	}
	reads := []string{"LRANGE asynq:{documents}:pending 0 -1", "HGETALL gistmill:limiters", "LLEN asynq:{documents}:lease"}
	for user, refused := range map[string][][]string{"gistmill": {every}, "keda": {every, writes, reads}, "reader": {every, writes}} {
		client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", g.keyspace.port), Username: user, Password: password})
		for _, list := range refused {
			for _, text := range list {
				var args []any
				for _, word := range strings.Fields(text) {
					args = append(args, word)
				}
				if err := client.Do(ctx, args...).Err(); err == nil || !noPermission.MatchString(err.Error()) {
					g.t.Errorf("as %s, %s: %v", user, text, err)
				}
			}
		}
		client.Close()
	}
	// KEDA's requests (pkg/scalers/redis_scaler.go of KEDA 2.21): the type, then a length.
	keda := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", g.keyspace.port), Username: "keda", Password: password})
	defer keda.Close()
	admin.ZAdd(ctx, "asynq:{documents}:retry", redis.Z{Score: 1, Member: "1"})
	const lengths = `local of = {list = 'llen', none = 'llen', zset = 'zcard', set = 'scard', hash = 'hlen'}
		return redis.call(of[redis.call('type', KEYS[1]).ok], KEYS[1])`
	for state, want := range map[string]int64{"pending": 1, "active": 0, "retry": 1, "scheduled": 0} {
		if n, err := keda.Eval(ctx, lengths, []string{"asynq:{documents}:" + state}).Int64(); err != nil || n != want {
			g.t.Errorf("KEDA reads %d, %v of %s, want %d", n, err, state, want)
		}
	}
	if err := keda.Ping(ctx).Err(); err != nil {
		g.t.Error(err)
	}
	anonymous := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", g.keyspace.port)})
	defer anonymous.Close()
	if err := anonymous.Ping(ctx).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		g.t.Errorf("without a login: %v", err)
	}
	if n := admin.Exists(ctx, "theirs", "asynq:{others}:pending", "asynq:{documents}:pending").Val(); n != 3 {
		g.t.Errorf("of three keys %d are left", n)
	}
}

// refusedByPostgres tries forbidden statements as each role.
func (g *restrictedSite) refusedByPostgres() {
	g.t.Helper()
	schema := []string{
		"DROP TABLE runs", "ALTER TABLE runs ADD COLUMN x BIGINT", "TRUNCATE runs", "CREATE TABLE x (n BIGINT)", "CREATE TABLE public.x (n BIGINT)", "CREATE INDEX x ON runs (num)",
		"CREATE SCHEMA x", "DROP SCHEMA gistmill CASCADE", "CREATE FUNCTION x() RETURNS BIGINT LANGUAGE sql AS 'SELECT 1'", "CREATE ROLE x", "CREATE DATABASE x",
		"COPY runs TO PROGRAM 'true'", "COPY runs TO '/tmp/gistmill-x'", "SELECT pg_read_file('PG_VERSION')", "SET ROLE gistmill_owner", "CREATE EXTENSION file_fdw",
	}
	rows := []string{
		"INSERT INTO days VALUES (1, 1)", "UPDATE runs SET message = 'x'", "DELETE FROM runs", "SELECT * FROM runs FOR UPDATE", "CREATE TEMP TABLE x (n BIGINT)",
	}
	for role, refused := range map[string][][]string{"gistmill": {schema}, "gistmill_reader": {schema, rows}} {
		db, err := sql.Open("pgx", g.storeURL(role))
		if err != nil {
			g.t.Fatal(err)
		}
		for _, list := range refused {
			for _, statement := range list {
				_, err := db.Exec(statement)
				var e *pgconn.PgError
				if !errors.As(err, &e) || e.Code != "42501" { // insufficient privilege
					g.t.Errorf("as %s, %s: %v", role, statement, err)
				}
			}
		}
		db.Close()
	}
	if g.count("SELECT count(*) FROM runs WHERE message <> 'x'") == 0 {
		g.t.Error("the runs are gone")
	}
}

// schemas runs the program with an older and a newer schema than its own.
func (g *restrictedSite) schemas() {
	g.t.Helper()
	g.as("gistmill", "gistmill")
	newest := g.count("SELECT max(version) FROM schema_version")
	if _, err := g.db.Exec("DELETE FROM schema_version WHERE version = $1", newest); err != nil {
		g.t.Fatal(err)
	}
	for _, args := range [][]string{{"worker", "--exit-when-idle=1s"}, {"status"}} {
		r := g.run(args...).WantCode(1)
		r.Says(fmt.Sprintf("schema from %d to %d", newest-1, newest))
		r.Says("run this version once as the role that owns them")
	}
	if _, err := g.db.Exec("INSERT INTO schema_version VALUES ($1)", newest+1); err != nil {
		g.t.Fatal(err)
	}
	g.run("status").WantCode(1).Says("the ledger was written by a newer gistmill")
}
