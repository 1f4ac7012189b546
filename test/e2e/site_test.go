//go:build e2e

package e2e

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program"
)

// site is one complete deployment: a namespace, a Redis, a database, an endpoint and a bucket
// of its own.
type site struct {
	t         *testing.T
	namespace string
	redis     *redisServer
	store     string
	db        *sql.DB // for reading the ledger
	fake      *fakellm.Server
	baseURL   string
	bucket    *bucket
	record    *record
}

// newSite creates everything but the release. change, if not nil, changes the endpoint.
func newSite(t *testing.T, change func(*fakellm.Config)) *site {
	t.Helper()
	s := &site{t: t, namespace: "e2e-" + strings.ToLower(rand.Text()[:10]), redis: startRedis(t), bucket: newBucket(t)}
	s.openStore()
	cfg := fakellm.Defaults()
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.fake, err = fakellm.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.baseURL = serve(t, s.fake) + "/v1"
	s.makeNamespace()
	s.record = newRecord(t, s.namespace)
	return s
}

func (s *site) openStore() {
	s.t.Helper()
	name := strings.ReplaceAll(s.namespace, "-", "_")
	if _, err := shared.postgres.admin.Exec(`CREATE DATABASE ` + name); err != nil {
		s.t.Fatalf("make a database: %v", err)
	}
	s.store = shared.postgres.url(name)
	var err error
	if s.db, err = sql.Open("pgx", s.store); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.db.Close()
		if _, err := shared.postgres.admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			s.t.Error(err)
		}
	})
}

// makeNamespace creates a namespace that accepts pods of the restricted standard only. It is
// deleted with all its objects.
func (s *site) makeNamespace() {
	s.t.Helper()
	const standard = "pod-security.kubernetes.io/"
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: s.namespace, Labels: map[string]string{standard + "enforce": "restricted", standard + "warn": "restricted"},
	}}
	if _, err := shared.client.CoreV1().Namespaces().Create(background(), namespace, metav1.CreateOptions{}); err != nil {
		s.t.Fatalf("make a namespace: %v", err)
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("namespace %s:\n%s", s.namespace, shared.cluster.Diagnose(s.namespace))
		}
		now := int64(0) // pods need not wait for their grace
		everything := metav1.DeleteOptions{GracePeriodSeconds: &now}
		if err := shared.client.CoreV1().Namespaces().Delete(background(), s.namespace, everything); err != nil {
			s.t.Error(err)
		}
		if err := shared.client.CoreV1().Pods(s.namespace).DeleteCollection(background(), everything, metav1.ListOptions{}); err != nil {
			s.t.Error(err)
		}
		await(s.t, "the end of namespace "+s.namespace, patience, func() error {
			_, err := shared.client.CoreV1().Namespaces().Get(background(), s.namespace, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
				return nil
			case err != nil:
				return err
			}
			return errors.New("it is there")
		})
	})
}

// environment returns the variables of every program of the site, in a pod or here.
func (s *site) environment() map[string]string {
	return map[string]string{
		"GISTMILL_STORE": s.store, "GISTMILL_REDIS": s.redis.url(), "GISTMILL_BASE_URL": s.baseURL, "GISTMILL_MODEL": model,
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
	}
}

// run runs the program outside of any pod, as a user at a terminal does, and decodes the JSON
// that it prints into v.
func (s *site) run(v any, args ...string) {
	s.t.Helper()
	command := exec.Command(shared.binary, append(args, "-o", "json")...)
	command.Dir = s.t.TempDir()
	command.Env = []string{"HOME=" + command.Dir, "PATH=" + os.Getenv("PATH")}
	for name, value := range s.environment() {
		command.Env = append(command.Env, name+"="+value)
	}
	p, err := program.Start(command)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := p.Wait(s.t.Context())
	if err != nil {
		p.Kill()
		s.t.Fatal(err)
	}
	if r.Code != 0 {
		s.t.Fatalf("gistmill %s: exit code %d\n%s", strings.Join(args, " "), r.Code, program.Tail(r.Stderr))
	}
	if err := json.Unmarshal([]byte(r.Stdout), v); err != nil {
		s.t.Fatalf("gistmill %s: %v\n%s", strings.Join(args, " "), err, program.Tail(r.Stdout))
	}
}

// planned is a row of `enqueue -o json`.
type planned struct {
	Tasks int64 `json:"tasks"`
}

// enqueue plans a source from here, outside the schedule.
func (s *site) enqueue(args ...string) {
	s.t.Helper()
	var rows []planned
	s.run(&rows, append([]string{"enqueue"}, args...)...)
	if len(rows) != 1 || rows[0].Tasks == 0 {
		s.t.Fatalf("enqueue planned %+v", rows)
	}
}

// status is what the program prints about a run.
type status struct {
	Run       string  `json:"run"`
	State     string  `json:"state"`
	Reason    *string `json:"reason"`
	Documents struct {
		Total     int64 `json:"total"`
		Done      int64 `json:"done"`
		Dead      int64 `json:"dead"`
		Skipped   int64 `json:"skipped"`
		Remaining int64 `json:"remaining"`
	} `json:"documents"`
	Queue struct {
		Pending, Active, Retry, Scheduled, Archived int64
	} `json:"queue"`
	Balanced bool `json:"balanced"`
}

// runs returns what `runs -o json` prints, newest first. Each run must balance.
func (s *site) runs() []status {
	s.t.Helper()
	var all []status
	s.run(&all, "runs")
	for _, v := range all {
		if !v.Balanced {
			s.t.Errorf("run %s does not balance: %+v", v.Run, v.Documents)
		}
	}
	return all
}

// count returns the result of a query for a number.
func (s *site) count(query string, args ...any) int64 {
	s.t.Helper()
	n, err := s.ask(query, args...)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (s *site) ask(query string, args ...any) (n int64, err error) {
	return n, s.db.QueryRow(query, args...).Scan(&n)
}

// done returns the number of documents that are done in all runs: none if the ledger was never
// opened.
func (s *site) done() int64 {
	n, err := s.ask(`SELECT count(*) FROM run_documents WHERE state = 'done'`)
	if err != nil {
		return 0
	}
	return n
}

// finish waits until all runs have ended. It checks that each document has its summary, and
// that at most `twice` calls were paid for twice.
func (s *site) finish(documents int64, twice int64) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d documents done", documents), patience, func() error {
		if n := s.done(); n < documents {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	await(s.t, "the end of all runs", patience, func() error {
		if n := s.count(`SELECT count(*) FROM runs WHERE state <> 'finished'`); n > 0 {
			return fmt.Errorf("%d are unfinished", n)
		}
		return nil
	})
	var total, done int64
	for _, run := range s.runs() {
		total += run.Documents.Total - run.Documents.Skipped
		done += run.Documents.Done
	}
	if done != documents || total != documents {
		s.t.Errorf("%d of %d documents are done, want %d", done, total, documents)
	}
	if n := s.count(`SELECT count(*) FROM results WHERE state = 'done' AND summary IS NOT NULL`); n != documents {
		s.t.Errorf("%d summaries are in the ledger, want %d", n, documents)
	}
	if n := s.fake.Stats().Duplicates; n > twice {
		s.t.Errorf("%d calls were paid for a second time, want at most %d", n, twice)
	}
}
