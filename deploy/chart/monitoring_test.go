//go:build chart

package chart

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// metrics are the metrics of server and workers, with the labels that queries may use.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	known := make(map[string][]string)
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*?) \\| (.*) \\|$")
	for _, found := range row.FindAllStringSubmatch(telemetry.ServerMarkdown()+telemetry.WorkerMarkdown(), -1) {
		name, meaning := found[1], found[3]
		labels := strings.FieldsFunc(found[2], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		if strings.HasPrefix(meaning, "histogram") {
			name, labels = name+"_bucket", append(labels, "le")
		}
		known[name] = labels
	}
	if len(known) < 30 {
		t.Fatalf("found %d metrics", len(known))
	}
	return known
}

// promtool runs Prometheus' own tool.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("..", "..", "bin", "tools", "promtool"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v (make chart builds it)", err)
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	return string(out), err
}

// rules returns the rendered rules as a file for Prometheus.
func rules(t *testing.T, args ...string) ([]byte, monitoring.PrometheusRuleSpec) {
	t.Helper()
	all := render(t, append([]string{"--values", "testdata/e2e.yaml", "--set", "monitoring.prometheusRule.enabled=true"}, args...)...)
	spec := get[*monitoring.PrometheusRule](t, all, "PrometheusRule/"+fullname).Spec
	text, err := yaml.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return text, spec
}

// Each alert fires at the right time only, with a helpful text.
func TestAlerts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, spec := rules(t)
	tests, err := os.ReadFile("testdata/alerts/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"rules.yaml": text, "rules_test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := promtool(t, dir, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	if out, err := promtool(t, dir, "test", "rules", "rules_test.yaml"); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
	for _, group := range spec.Groups {
		for _, rule := range group.Rules {
			if n := strings.Count(string(tests), "alertname: "+rule.Alert+"\n"); n == 0 {
				t.Errorf("no test in which %s fires", rule.Alert)
			}
			if n := strings.Count(string(tests), "alertname: "+rule.Alert+","); n == 0 {
				t.Errorf("no test in which %s does not fire", rule.Alert)
			}
		}
	}
}

// Schedules set the maximum age of their last success. Their label is the source's URL as
// gistmill writes it.
func TestEnqueueMaxAge(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	folder := filepath.Join(t.TempDir(), "of mine")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	query := "?region=us-east-1&use_path_style=true&endpoint=" + bucket(t, "a b/c.md", "d/e.md", "f.jsonl")
	sources := []string{folder, folder + "/", "s3://bucket" + query, "s3://bucket/a b/" + query, "s3://bucket/d" + query, "s3://bucket/f.jsonl" + query + "&id_field=key"}
	for i, raw := range sources {
		const schedule = "schedules[1]."
		_, spec := rules(t, "--set", "monitoring.prometheusRule.enqueueMaxAgeSeconds=7200", "--set", schedule+"name=other", "--set", schedule+"schedule=@daily",
			"--set-string", schedule+"source="+raw, "--set", schedule+"maxAgeSeconds=3600")
		opened, err := source.Open(t.Context(), raw, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		label := opened.URL()
		opened.Close()
		if got := ages(t, spec, label); !slices.Equal(got, []string{"3600"}) {
			t.Errorf("source %d, %s: the ages are %v in %+v", i, label, got, spec)
		}
		for _, other := range []string{"s3://bucket/other?region=us-east-1", "s3://buck", "file:///documents"} {
			if got := ages(t, spec, other); !slices.Equal(got, []string{"7200"}) {
				t.Errorf("beside source %d, %s: the ages are %v", i, other, got)
			}
		}
	}

	_, spec := rules(t)
	if got := ages(t, spec, "file:///documents"); !slices.Equal(got, []string{"93600"}) {
		t.Errorf("by default the ages are %v", got)
	}
}

// bucket serves an S3 bucket with these objects, and returns its endpoint.
func bucket(t *testing.T, keys ...string) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := backend.PutObject("bucket", key, nil, strings.NewReader("{}"), 2, nil); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return server.URL
}

// ages returns the ages from which on the rules alert for the source.
func ages(t *testing.T, spec monitoring.PrometheusRuleSpec, source string) []string {
	t.Helper()
	selector := regexp.MustCompile("_seconds(?:{source(=~|!~)`(.*)`})?\\) > ([0-9]+)$")
	var found []string
	for _, rule := range spec.Groups[0].Rules {
		if rule.Alert != "GistmillEnqueueTooOld" {
			continue
		}
		part := selector.FindStringSubmatch(rule.Expr.String())
		if part == nil {
			t.Fatalf("not understood: %s", rule.Expr.String())
		}
		// Prometheus matches the whole label.
		if part[1] == "" || regexp.MustCompile("^(?:"+part[2]+")$").MatchString(source) == (part[1] == "=~") {
			found = append(found, part[3])
		}
	}
	return found
}

var (
	metricName = regexp.MustCompile(`\b(gistmill|asynq)_[a-z_]+\b`)
	labelUse   = regexp.MustCompile(`\bby \(([a-z_, ]+)\)|([a-z_]+)=~?"`)
)

// Dashboard and alerts use only existing metrics and labels.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	var queries []string
	_, spec := rules(t)
	for _, group := range spec.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule.Expr.String())
		}
	}
	all := render(t, "--values", "testdata/e2e.yaml", "--set", "monitoring.dashboard.enabled=true")
	dashboard := get[*corev1.ConfigMap](t, all, "ConfigMap/"+fullname+"-dashboard")
	if dashboard.Labels["grafana_dashboard"] != "1" {
		t.Error("Grafana's sidecar does not find the dashboard by its label")
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(dashboard.Data["gistmill.json"]), &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	if len(queries) < 25 {
		t.Fatalf("found %d queries", len(queries))
	}
	known := metrics(t)
	for _, query := range queries {
		labels := []string{"namespace"}
		names := metricName.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("no metric in %s", query)
		}
		for _, name := range names {
			own, ok := known[name]
			if !ok {
				t.Errorf("no such metric %s in %s", name, query)
			}
			labels = append(labels, own...)
		}
		for _, use := range labelUse.FindAllStringSubmatch(query, -1) {
			for label := range strings.SplitSeq(use[1]+use[2], ",") {
				if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
					t.Errorf("no such label %s in %s", label, query)
				}
			}
		}
	}
	parses(t, queries)
}

// parses makes Prometheus parse the queries, as rules of a file.
func parses(t *testing.T, queries []string) {
	t.Helper()
	var group monitoring.RuleGroup
	group.Name = "queries"
	for i, query := range queries {
		group.Rules = append(group.Rules, monitoring.Rule{Record: fmt.Sprintf("query:%d", i), Expr: intstr.FromString(query)})
	}
	text, err := yaml.Marshal(monitoring.PrometheusRuleSpec{Groups: []monitoring.RuleGroup{group}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "queries.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, dir, "check", "rules", "queries.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
