//go:build chart

package chart

import (
	"strings"
	"testing"
)

// Values that cannot work are refused by the schema or the chart, and the message names the
// remedy.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		args []string
		want string
	}{
		{"a misspelt value", []string{"--set", "worker.maxReplicas=3"}, "additional properties 'worker' not allowed"},
		{"a misspelt setting", []string{"--set", "settings.modle=x"}, "additional properties 'modle' not allowed"},
		{"a setting of the chart", []string{"--set", "settings.listen=:1"}, "additional properties 'listen' not allowed"},
		{"a secret as setting", []string{"--set", "settings.apiKey=sk"}, "additional properties 'apiKey' not allowed"},
		{"a schedule's queue", []string{"--set", "schedules[0].settings.queue=other"}, "additional properties 'queue' not allowed"},
		{"a mode", []string{"--set", "workers.mode=statefulset"}, "value must be one of 'scaledjob', 'deployment', 'none'"},
		{"standard input", []string{"--set", "schedules[0].source=-"}, "/schedules/0/source"},
		{"a duration without unit", []string{"--set-string", "settings.requestTimeout=30"}, "/settings/requestTimeout"},
		{"no Redis", []string{"--set", "redis.url="}, "set redis.existingSecret, or redis.url, or dev.redis.enabled"},
		{"no ledger", []string{"--set", "store.url="}, "set store.existingSecret, or store.url, or dev.postgresql.enabled"},
		{"a ledger in a file", []string{"--set", "store.url=sqlite:/work/ledger.db"}, "has to be postgres://"},
		{"demand without server", []string{"--set", "server.enabled=false"}, "demand comes from the server"},
		{"a fallback of redis", []string{"--set", "workers.trigger=redis,workers.fallbackTrigger=true"}, "nothing to fall back from"},
		{
			"an address that KEDA cannot know",
			[]string{"--set", "workers.fallbackTrigger=true,redis.url=,redis.existingSecret=queue"}, "redis.trigger.address",
		},
		{"a short grace", []string{"--set", "workers.terminationGracePeriodSeconds=40"}, "not above shutdown-grace (40 s)"},
		{"a short deadline", []string{"--set", "workers.activeDeadlineSeconds=400"}, "leave a worker less than a minute"},
		{"a key as file without its Secret", []string{"--set", "llm.asFile=true"}, "need the Secret that they are about"},
		{"headers as setting", []string{"--set", "settings.headers=x"}, "additional properties 'headers' not allowed"},
		{"no token", []string{"--set", "server.auth.generate=false"}, "server.auth: set existingSecret"},
		{
			"one name twice", []string{"--set", "schedules[1].name=corpus,schedules[1].schedule=@daily,schedules[1].source=/b"},
			"the name corpus is used twice",
		},
		{
			"a long name", []string{"--set", "schedules[0].name=all-the-documents-of-the-year-twenty-six"},
			"has at most 52 characters",
		},
	}
	for _, tc := range cases {
		for _, version := range helms() {
			t.Run(tc.name+" "+version, func(t *testing.T) {
				t.Parallel()
				out, err := template(t, version, append([]string{"--values", "testdata/e2e.yaml"}, tc.args...)...)
				if err == nil {
					t.Fatalf("rendered:\n%s", out)
				}
				if !strings.Contains(err.Error(), tc.want) {
					t.Errorf("says %q, want %q in it", err, tc.want)
				}
			})
		}
	}
}
