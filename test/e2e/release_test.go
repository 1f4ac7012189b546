//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The names of the chart's objects for a release of this name.
const (
	release    = "gistmill"
	serverName = release + "-server"
	workerName = release + "-worker"
)

// polling is KEDA's polling interval, and target the divisor of the demand.
const (
	polling = 2 * time.Second
	target  = 4
)

// values are the chart's values.
type values map[string]any

// defaults are short intervals, small partitions that take a worker a while (four calls at
// once), and one server, since two processors run all tests.
func (s *site) defaults() values {
	small := values{"requests": values{"cpu": "10m", "memory": "16Mi"}, "limits": values{"memory": "512Mi"}}
	return values{
		"image":    values{"repository": "docker.io/local/gistmill", "tag": "e2e", "pullPolicy": "Never"},
		"redis":    values{"url": s.redis.url()},
		"store":    values{"url": s.store},
		"extraEnv": []values{{"name": "AWS_ACCESS_KEY_ID", "value": "key"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "secret"}},
		"settings": values{
			"model": model, "baseUrl": s.baseURL, "partitions": target, "partitionDocuments": 5, "concurrency": 4, "retryBase": "500ms", "requestTimeout": "30s",
		},
		"enqueue": values{"resources": small},
		"workers": values{"maxReplicas": 6, "pollingInterval": int(polling.Seconds()), "exitWhenIdle": "4s", "resources": small},
		"server":  values{"replicas": 1, "resources": small},
	}
}

// over merges values into others, map by map.
func (v values) over(base values) values {
	all := maps.Clone(base)
	for name, value := range v {
		below, ok := base[name].(values)
		if above, isMap := value.(values); ok && isMap {
			all[name] = above.over(below)
		} else {
			all[name] = value
		}
	}
	return all
}

// install installs the chart. It waits until the server is ready and its Service leads to it,
// which takes kube-proxy a moment.
func (s *site) install(change values) {
	s.t.Helper()
	s.helm(append([]string{"install", release, chart, "--wait", "--timeout", "3m"}, s.file(change)...)...)
	s.t.Cleanup(func() { // before the namespace is deleted, or nothing would remove the finalizers
		if _, err := s.tryHelm("uninstall", release, "--ignore-not-found", "--wait", "--timeout", "2m"); err != nil {
			s.t.Error(err)
		}
	})
	await(s.t, "the server's Service", patience, func() error {
		code, text, err := ask(http.MethodGet, s.serverURL("/readyz"), "")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("it answers %d: %s", code, text)
		}
		return err
	})
}

// serverURL returns an address at the server's Service.
func (s *site) serverURL(path string) string {
	return fmt.Sprintf("http://%s.%s.svc.cluster.local:8080%s", serverName, s.namespace, path)
}

// ask makes one request, with the token if it is not empty.
func ask(method, url, token string) (code int, text string, err error) {
	ctx, cancel := context.WithTimeout(background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.SetBasicAuth("anyone", token)
	}
	response, err := http.DefaultClient.Do(r) //nolint:forbidigo // the context bounds it
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// upgrade changes an existing release.
func (s *site) upgrade(change values) {
	s.t.Helper()
	s.helm(append([]string{"upgrade", release, chart, "--wait", "--timeout", "3m"}, s.file(change)...)...)
}

// file writes values for Helm, merged into the defaults.
func (s *site) file(change values) []string {
	s.t.Helper()
	b, err := json.Marshal(change.over(s.defaults()))
	if err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join(s.t.TempDir(), "values.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return []string{"--values", name}
}

func (s *site) helm(args ...string) string {
	s.t.Helper()
	out, err := s.tryHelm(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *site) tryHelm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join("..", "..", "bin", "tools", "helm4"), append(args, "--namespace", s.namespace)...)
	home := os.TempDir()
	command.Env = []string{"HOME=" + home, "KUBECONFIG=" + shared.cluster.Kubeconfig(), "PATH=" + os.Getenv("PATH")}
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("helm %v: %w\n%s%s", args, err, out, exit.Stderr)
	}
	return string(out), err
}

// schedule returns the values of a schedule that is due once while the test runs, and its time.
func schedule(name, source string) (values, time.Time) {
	// With time for the installation.
	at := time.Now().UTC().Add(20 * time.Second).Truncate(time.Minute).Add(time.Minute)
	return values{"name": name, "source": source, "schedule": fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()), "timeZone": "Etc/UTC"}, at
}

// trigger starts a schedule's Job outside the schedule, as `kubectl create job
// --from=cronjob/…` does.
func (s *site) trigger(schedule, job string) {
	s.t.Helper()
	_, err := shared.cluster.Kubectl(background(), "create", "job", job, "--from=cronjob/"+release+"-enqueue-"+schedule, "--namespace", s.namespace)
	if err != nil {
		s.t.Fatal(err)
	}
}

// awaitWorkers waits until n Jobs of workers were created.
func (s *site) awaitWorkers(count int, within time.Duration) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d Jobs of workers", count), within, func() error {
		if n := len(s.record.workers()); n < count {
			return fmt.Errorf("%d were made", n)
		}
		return nil
	})
}

// awaitCalls waits until n calls are in flight at once.
func (s *site) awaitCalls(inFlight int) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d calls in flight", inFlight), patience, func() error {
		if n := s.fake.Stats().InFlight; n < inFlight {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
}

// exactly checks that n Jobs of workers were created, that all have completed, that each pod
// made a call, and that the next polls create no further Job.
func (s *site) exactly(jobs int) {
	s.t.Helper()
	s.awaitComplete(s.record.workers)
	quiet := time.NewTimer(3 * polling)
	defer quiet.Stop()
	<-quiet.C
	if n := len(s.record.workers()); n != jobs {
		s.t.Errorf("%d Jobs of workers were made, want %d", n, jobs)
	}
	if idle := s.idle(); len(idle) > 0 {
		s.t.Errorf("pods without a call: %v", idle)
	}
}

// worker returns a Job of a worker that has not ended, with its pod running.
func (s *site) worker() (jobRecord, podRecord) {
	s.t.Helper()
	var (
		found jobRecord
		in    podRecord
	)
	await(s.t, "a worker that runs", patience, func() error {
		for _, job := range s.record.workers() {
			for _, pod := range s.record.podsOf(job) {
				if _, ended := pod.exitCode(); !ended && !pod.Running.IsZero() && job.ended() == "" && !job.Deleted && !pod.Deleted {
					found, in = job, pod
					return nil
				}
			}
		}
		return errors.New("none does")
	})
	return found, in
}

// scale sets the number of servers, and waits until it is reached.
func (s *site) scale(replicas int32) {
	s.t.Helper()
	deployments := shared.client.AppsV1().Deployments(s.namespace)
	scale, err := deployments.GetScale(background(), serverName, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	scale.Spec.Replicas = replicas
	if _, err := deployments.UpdateScale(background(), serverName, scale, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, fmt.Sprintf("%d servers", replicas), patience, func() error {
		pods, err := shared.client.CoreV1().Pods(s.namespace).List(background(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=server"})
		if err != nil {
			return err
		}
		if len(pods.Items) != int(replicas) {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		d, err := deployments.Get(background(), serverName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ReadyReplicas != replicas {
			return fmt.Errorf("%d ready", d.Status.ReadyReplicas)
		}
		return nil
	})
}

// suspend suspends a schedule.
func (s *site) suspend(schedule string) {
	s.t.Helper()
	patch := []byte(`{"spec": {"suspend": true}}`)
	_, err := shared.client.BatchV1().CronJobs(s.namespace).Patch(background(), release+"-enqueue-"+schedule, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
}
