//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// tlsSite is a site whose Redis and PostgreSQL accept TLS only, with certificates of a private
// authority on both sides.
type tlsSite struct {
	*site
	keyspace       *redisServer
	postgres       *postgresServer
	server, client pair // files
}

func newTLSSite(t *testing.T, a *authority) *tlsSite {
	t.Helper()
	p := &tlsSite{server: a.newPair("server"), client: a.newPair("gistmill")}
	p.keyspace = newRedisWith(t, redis.Options{TLSConfig: p.client.login()}, p.server.redisArgs()...)
	p.postgres = newPostgres(t, p.ofServer(), []string{"hostssl all gistmill 127.0.0.1/32 trust clientcert=verify-full"},
		"ssl=on", "ssl_ca_file=ca.crt", "ssl_cert_file=tls.crt", "ssl_key_file=tls.key")
	if _, err := p.postgres.db.Exec("CREATE ROLE gistmill LOGIN; ALTER DATABASE gistmill OWNER TO gistmill"); err != nil {
		t.Fatal(err)
	}
	p.site = newSite(t, "rediss"+strings.TrimPrefix(p.keyspace.address(), "redis"), latency(t, "5ms"))
	p.redis, p.db = p.keyspace.client, p.postgres.db
	p.env["GISTMILL_STORE"] = p.storeURL(p.client, "verify-full")
	p.env["GISTMILL_REDIS_CA"], p.env["GISTMILL_REDIS_CERT"], p.env["GISTMILL_REDIS_KEY"] = p.client.ca, p.client.cert, p.client.key
	return p
}

// ofServer are the server's files. PostgreSQL accepts only files that its own user owns.
func (p *tlsSite) ofServer() map[string][]byte {
	files := map[string][]byte{}
	for name, path := range map[string]string{"ca.crt": p.server.ca, "tls.crt": p.server.cert, "tls.key": p.server.key} {
		content, err := os.ReadFile(path)
		if err != nil {
			panic(err) // written a moment ago
		}
		files[name] = content
	}
	return files
}

func (p *tlsSite) storeURL(with pair, mode string) string {
	query := "sslmode=" + mode
	if mode != "disable" {
		query += "&sslrootcert=" + with.ca
	}
	if with.cert != "" {
		query += "&sslcert=" + with.cert + "&sslkey=" + with.key
	}
	return p.postgres.url("gistmill", "gistmill", query)
}

// A whole run uses TLS with certificates of a private authority on both sides. Running
// processes use renewed certificates, even of another authority, for their next connections.
func TestPrivateAuthority(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p := newTLSSite(t, a)
	p.write("notes.jsonl", lines(0, 40))
	v, w := p.site.server(), p.worker("--concurrency", "4")
	run := p.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
	p.finish(run, patience, programtest.Totals{Total: 40, Done: 40})
	p.run("status", run).WantCode(0)
	v.awaitDemand(0)

	next := newAuthority(t)
	old := a.newPair("gistmill")
	next.renew(p.server, "server")
	next.renew(p.client, "gistmill")
	for name, content := range p.ofServer() {
		p.postgres.file(name, content)
	}
	p.keyspace.end()
	p.postgres.end()
	p.keyspace.begin()
	p.postgres.begin()
	p.db.Close()
	p.db = p.postgres.open("gistmill")
	p.env["GISTMILL_REDIS_CA"], p.env["GISTMILL_REDIS_CERT"], p.env["GISTMILL_REDIS_KEY"] = old.ca, old.cert, old.key
	p.run("enqueue", "notes.jsonl").WantCode(1).Says("unknown authority")
	p.env["GISTMILL_REDIS_CA"], p.env["GISTMILL_REDIS_CERT"], p.env["GISTMILL_REDIS_KEY"] = p.client.ca, p.client.cert, p.client.key
	p.write("notes.jsonl", lines(0, 80))
	run = p.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
	p.finish(run, patience, programtest.Totals{Total: 80, Done: 40, Skipped: 40})
	v.Until("ready", func() bool { status, _ := v.get("/readyz"); return status == http.StatusOK })
	v.Stop()
	w.Stop()
}

// A wrong TLS setting is reported at once, and nothing continues without TLS.
func TestWrongCertificates(t *testing.T) {
	t.Parallel()
	a, b := newAuthority(t), newAuthority(t)
	p := newTLSSite(t, a)
	stranger, other := b.newPair("gistmill"), a.newPair("someone")
	stranger.ca = p.client.ca // knows the server, and is unknown to it
	noPEM := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := "redis" + strings.TrimPrefix(p.env["GISTMILL_REDIS"], "rediss")
	cases := []struct {
		name string
		env  map[string]string
		code int
		says string
	}{
		{"Redis of another authority", map[string]string{"GISTMILL_REDIS_CA": b.newPair("x").ca}, 1, "certificate signed by unknown authority"},
		{"Redis, and the system's authorities", map[string]string{"GISTMILL_REDIS_CA": ""}, 1, "certificate signed by unknown authority"},
		{"Redis by a name that is not its own", map[string]string{"GISTMILL_REDIS": strings.Replace(p.env["GISTMILL_REDIS"], "127.0.0.1", "localhost", 1)}, 1, "wanted to match localhost"},
		{"no certificate for Redis", map[string]string{"GISTMILL_REDIS_CERT": "", "GISTMILL_REDIS_KEY": ""}, 1, "certificate required"},
		{"a stranger's for Redis", map[string]string{"GISTMILL_REDIS_CERT": stranger.cert, "GISTMILL_REDIS_KEY": stranger.key}, 1, "remote error: tls"},
		{"a certificate without its key", map[string]string{"GISTMILL_REDIS_KEY": ""}, 2, "GISTMILL_REDIS_CERT has no private key"},
		{"another's key", map[string]string{"GISTMILL_REDIS_KEY": stranger.key}, 1, "read redis-cert and redis-key: tls: private key does not match public key"},
		{"no PEM", map[string]string{"GISTMILL_REDIS_CA": noPEM}, 1, "has no certificate in PEM"},
		{"no file", map[string]string{"GISTMILL_REDIS_CA": noPEM + "x"}, 2, "which does not exist"},
		{"an address without TLS", map[string]string{"GISTMILL_REDIS": plain}, 2, "requires TLS, but the address of Redis begins with redis://"},
		{"Redis without TLS", map[string]string{"GISTMILL_REDIS": plain, "GISTMILL_REDIS_CA": "", "GISTMILL_REDIS_CERT": "", "GISTMILL_REDIS_KEY": ""}, 1, "connect to Redis at redis://"},
		{"PostgreSQL of another authority", map[string]string{"GISTMILL_STORE": p.storeURL(b.newPair("gistmill"), "verify-full")}, 1, "certificate signed by unknown authority"},
		{"PostgreSQL without TLS", map[string]string{"GISTMILL_STORE": p.storeURL(pair{}, "disable")}, 1, "no encryption"},
		{"no certificate for PostgreSQL", map[string]string{"GISTMILL_STORE": p.storeURL(pair{ca: p.client.ca}, "verify-full")}, 1, "client certificate is wrong"},
		{"a stranger's for PostgreSQL", map[string]string{"GISTMILL_STORE": p.storeURL(stranger, "verify-full")}, 1, "unknown certificate authority"},
		{"another user's for PostgreSQL", map[string]string{"GISTMILL_STORE": p.storeURL(other, "verify-full")}, 1, "client certificate is wrong"},
	}
	for _, tc := range cases {
		before := map[string]string{}
		for name, value := range tc.env {
			before[name], p.env[name] = p.env[name], value
		}
		t.Log(tc.name)
		r := p.run("worker", "--exit-when-idle=1s").WantCode(tc.code)
		r.Says(tc.says)
		// A refused certificate is not retried.
		if r.Took > 10*time.Second {
			t.Errorf("%s: reported after %s", tc.name, r.Took)
		}
		for name, value := range before {
			p.env[name] = value
		}
	}
	p.run("worker", "--exit-when-idle=1s").WantCode(0)
}

// Behind a sentinel and in a cluster, of one server each, every connection uses TLS too; in the
// cluster with the user of deploy/redis.
func TestPrivateAuthorityOfSentinelAndCluster(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, pair, pair) string{"sentinel": startSentinel, "cluster": startCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			server, client := a.newPair("server"), a.newPair("gistmill")
			address := start(t, server, client)
			s := newSite(t, "", latency(t, "5ms"))
			s.queue = "documents" // the queue in users.acl
			s.env["GISTMILL_QUEUE"], s.env["GISTMILL_REDIS"] = s.queue, address
			s.env["GISTMILL_REDIS_CA"], s.env["GISTMILL_REDIS_CERT"], s.env["GISTMILL_REDIS_KEY"] = client.ca, client.cert, client.key
			s.write("notes.jsonl", lines(0, 40))
			v := s.server()
			run := s.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
			v.awaitDemand(4)
			s.run("worker", "--rpm", "60000", "--exit-when-idle=2s").WantCode(0)
			if d := s.status(run).Documents; d != (programtest.Totals{Total: 40, Done: 40}) {
				t.Errorf("the run ended with %+v", d)
			}
			v.awaitDemand(0)
			v.Stop()
		})
	}
}

func startSentinel(t *testing.T, server, client pair) string {
	t.Helper()
	primary := newRedisWith(t, redis.Options{TLSConfig: client.login()}, server.redisArgs()...)
	port := freePort(t)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port 0\ntls-port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor queue 127.0.0.1 %d 1\n", port, filepath.Dir(file), primary.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("redis-server", append([]string{file, "--sentinel"}, server.redisArgs()...)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), TLSConfig: client.login()})
	t.Cleanup(func() { sentinel.Close() })
	programtest.Await(t, "the sentinel to know the primary", patience, func() bool {
		return sentinel.GetMasterAddrByName(background(), "queue").Err() == nil
	}, nil)
	return fmt.Sprintf("rediss-sentinel://127.0.0.1:%d/0?master=queue", port)
}

func startCluster(t *testing.T, server, client pair) string {
	t.Helper()
	args := slices.Concat(server.redisArgs(), []string{"--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(freePort(t)), "--aclfile", usersFile(t)})
	node := newRedisWith(t, redis.Options{Username: "admin", Password: password, TLSConfig: client.login()}, args...)
	if err := node.client.ClusterAddSlotsRange(background(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	programtest.Await(t, "the cluster to be whole", patience, func() bool {
		return strings.Contains(node.client.ClusterInfo(background()).Val(), "cluster_state:ok")
	}, nil)
	t.Cleanup(func() {
		for _, r := range node.client.ACLLog(background(), 100).Val() {
			t.Errorf("Redis refused %s %s %q in %s", r.Username, r.Reason, r.Object, r.Context)
		}
	})
	return fmt.Sprintf("rediss-cluster://gistmill:%s@127.0.0.1:%d", password, node.port)
}
