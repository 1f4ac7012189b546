//go:build chart

package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// metrics are what server and workers export, with the labels that queries may use.
func metrics() map[string][]string {
	return map[string][]string{
		"asynq_tasks_enqueued_total":              {"queue", "state"},
		"asynq_queue_size":                        {"queue"},
		"asynq_queue_latency_seconds":             {"queue"},
		"asynq_queue_memory_usage_approx_bytes":   {"queue"},
		"asynq_tasks_processed_total":             {"queue"},
		"asynq_tasks_failed_total":                {"queue"},
		"asynq_queue_paused_total":                {"queue"},
		"gistmill_build_info":                     {"version", "goversion"},
		"gistmill_demand":                         {"queue"},
		"gistmill_demand_uncapped":                {"queue"},
		"gistmill_oldest_pending_seconds":         {"queue"},
		"gistmill_documents_total":                {"outcome"},
		"gistmill_documents_remaining":            nil,
		"gistmill_dead_letters":                   {"class"},
		"gistmill_tokens_total":                   {"direction"},
		"gistmill_cost_usd_total":                 nil,
		"gistmill_calls_total":                    {"class"},
		"gistmill_runs":                           {"state"},
		"gistmill_last_enqueue_timestamp_seconds": {"source"},
		"gistmill_workers":                        nil,
		"gistmill_worker_runs_total":              {"result"},
		"gistmill_stale_writes_refused_total":     nil,
		"gistmill_budget_usd":                     {"scope", "run"},
		"gistmill_budget_used_ratio":              {"scope", "run"},
		"gistmill_limiter_wait_seconds":           {"model"},
		"gistmill_limiter_rate":                   {"model", "unit"},
		"gistmill_limiter_in_flight":              {"model"},
		"gistmill_scrape_errors_total":            {"part"},
		"gistmill_worker_documents_total":         {"outcome"},
		"gistmill_call_duration_seconds_bucket":   {"model", "class", "le"},
		"gistmill_call_wait_seconds_bucket":       {"model", "le"},
		"gistmill_worker_held_partitions":         nil,
	}
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

// rules gives the rendered rules as a file that Prometheus reads.
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

// Each alert fires when it is to and at no other time, with a text that helps.
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

// The age of the last enqueue that alerts is the schedules' matter.
func TestEnqueueMaxAge(t *testing.T) {
	t.Parallel()
	text, _ := rules(t, "--set", "monitoring.prometheusRule.enqueueMaxAgeSeconds=7200")
	if strings.Contains(string(text), "93600") || !strings.Contains(string(text), "> 7200") {
		t.Errorf("the age is not set in\n%s", text)
	}
}

var (
	metricName = regexp.MustCompile(`\b(gistmill|asynq)_[a-z_]+\b`)
	labelUse   = regexp.MustCompile(`\bby \(([a-z_, ]+)\)|([a-z_]+)=~?"`)
)

// Dashboard and alerts ask only for metrics that exist, by labels that these have.
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
	known := metrics()
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

// parses lets Prometheus read the queries, as rules of a file.
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
