//go:build chart

package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"github.com/gistmill/gistmill/internal/config"
)

// chartSets are the settings that the chart itself sets: addresses, and settings that follow
// from other values.
func chartSets() []string {
	return []string{
		"store", "redis", "listen", "auth-token-file", "allow-unauthenticated", "auth-metrics", "deadline", "metrics-listen",
	}
}

// properties returns the settings that the commands read as properties of a JSON schema, in
// camelCase, without secrets and without what the chart sets.
func properties(commands []string, without ...string) map[string]any {
	without = append(without, chartSets()...)
	found := make(map[string]any)
	for _, s := range config.Settings() {
		if s.Secret || slices.Contains(without, s.Name) || !slices.ContainsFunc(commands, func(c string) bool { return slices.Contains(s.Commands, c) }) {
			continue
		}
		form := schemaOf(s.Kind)
		form["description"] = s.Usage
		found[camel(s.Name)] = form
	}
	return found
}

func schemaOf(kind config.Kind) map[string]any {
	switch kind {
	case config.KindInt:
		return map[string]any{"type": "integer", "minimum": 0.0}
	case config.KindFloat: // helm --set makes a string of 0.5
		return map[string]any{"type": []any{"number", "string"}, "minimum": 0.0, "pattern": "^[0-9.]+$"}
	case config.KindDuration:
		return map[string]any{"type": "string", "pattern": "^([0-9.]+(ms|s|m|h))+$"}
	case config.KindBytes:
		return map[string]any{"type": []any{"integer", "string"}, "pattern": "^[0-9.]+ ?([KMGT]i?)?B?$"}
	case config.KindBool:
		return map[string]any{"type": "boolean"}
	case config.KindList:
		return map[string]any{"type": []any{"array", "string"}, "items": map[string]any{"type": "string"}}
	default:
		return map[string]any{"type": "string"}
	}
}

func camel(name string) string {
	words := strings.Split(name, "-")
	for i, w := range words[1:] {
		words[i+1] = string(unicode.ToUpper(rune(w[0]))) + w[1:]
	}
	return strings.Join(words, "")
}

// The schema of the values has exactly the program's settings and the same descriptions.
func TestSchemaHasTheSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("gistmill/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Definitions map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]any{
		"settings": properties([]string{"enqueue", "worker", "server"}),
		// A queue of its own would have no workers.
		"enqueueSettings": properties([]string{"enqueue"}, "queue"),
	} {
		if diff := cmp.Diff(want, schema.Definitions[name].Properties); diff != "" {
			whole, err := json.MarshalIndent(want, "      ", "  ")
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("$defs.%s.properties of values.schema.json must be\n%s\n(-settings +schema):\n%s", name, whole, diff)
		}
	}
}

// The program reads every pod's environment without an error or a warning.
func TestEnvironmentIsRight(t *testing.T) {
	t.Parallel()
	eachRendered(t, func(t *testing.T, all objects) {
		for key, pod := range gistmillPods(all) {
			var environ []string
			env := environment(t, all, pod)
			// Values that Secrets would provide.
			env["GISTMILL_REDIS"], env["GISTMILL_STORE"] = "redis://redis:6379/0", "postgres://u:p@db:5432/gistmill"
			if env["GISTMILL_HEADERS"] != "" {
				env["GISTMILL_HEADERS"] = `{"X-Team": "research"}`
			}
			for name, value := range env {
				if strings.HasPrefix(value, "/etc/gistmill/") {
					value = mounted(t, pod, value)
				}
				environ = append(environ, name+"="+value)
			}
			command := pod.Spec.Containers[0].Args[0]
			flags := pflag.NewFlagSet(command, pflag.ContinueOnError)
			config.AddFlags(flags, config.ForCommand(command)...)
			c, err := config.Load(flags, environ, "redis")
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
			for _, warning := range c.Warnings {
				t.Errorf("%s: %s", key, warning)
			}
		}
	})
}

// mounted returns a file with the content of one that a volume has in the pod.
func mounted(t *testing.T, pod *corev1.PodTemplateSpec, path string) string {
	t.Helper()
	if !slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return strings.HasPrefix(path, m.MountPath+"/") }) {
		t.Errorf("no volume is mounted for %s", path)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(file, []byte("0123456789012345678901234567890123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Values become variables in the form that gistmill reads.
func TestSettingsBecomeVariables(t *testing.T) {
	t.Parallel()
	all := render(t, "--values", "testdata/e2e.yaml", "--set", "settings.tpm=30000000,settings.budgetUsd=0.25,settings.fallbacks={a@http://b/v1,c}",
		"--set", "settings.partitionBytes=16777216,settings.temperature=0")
	for key, pod := range gistmillPods(all) {
		env := environment(t, all, pod)
		for name, want := range map[string]string{
			"GISTMILL_TPM": "30000000", "GISTMILL_BUDGET_USD": "0.25", "GISTMILL_FALLBACKS": "a@http://b/v1,c",
			"GISTMILL_PARTITION_BYTES": "16777216", "GISTMILL_TEMPERATURE": "0", "GISTMILL_PARTITIONS": "4", "GISTMILL_LOG_FORMAT": "json",
			"GISTMILL_REDIS": fullname + "-connections/redis", "GISTMILL_STORE": fullname + "-connections/store",
		} {
			if env[name] != want {
				t.Errorf("%s: %s is %q, want %q", key, name, env[name], want)
			}
		}
	}
}
