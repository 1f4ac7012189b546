//go:build chart

package chart

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"

	"github.com/gistmill/gistmill/keda/scaledjob"
)

// like are the options that correspond to the chart's defaults and testdata/e2e.yaml.
func like(rendered *keda.ScaledJob) scaledjob.Options {
	return scaledjob.Options{
		Name: fullname + "-worker", Namespace: namespace, Server: fullname + "-server", Port: 8080,
		Partitions: 4, MaxReplicas: 8, PollingInterval: 2 * time.Second,
		Grace:          40 * time.Second, // request-timeout 30s, and 10 s
		ActiveDeadline: 6 * time.Hour, TTL: time.Hour, History: 5, Unreachable: 30 * time.Second,
		Template: rendered.Spec.JobTargetRef.Template,
	}
}

// The chart's ScaledJob equals that of package scaledjob in every field.
func TestScaledJob(t *testing.T) {
	t.Parallel()
	pending := scaledjob.RedisTrigger("10.245.0.1:6379", "documents", "pending", 4)
	cases := []struct {
		name string
		args []string
		edit func(*scaledjob.Options)
		want func(*keda.ScaledJobSpec)
	}{
		{"as it comes", nil, nil, nil},
		{
			"the target is the number of partitions",
			[]string{"--set", "settings.partitions=7"},
			func(o *scaledjob.Options) { o.Partitions = 7 }, nil,
		},
		{
			"large numbers stay whole",
			[]string{"--set", "settings.partitions=2000000"},
			func(o *scaledjob.Options) { o.Partitions = 2_000_000 }, nil,
		},
		{
			"the grace follows shutdown-grace",
			[]string{"--set", "settings.shutdownGrace=1m30.5s"},
			func(o *scaledjob.Options) { o.Grace = 91 * time.Second }, nil,
		},
		{
			"the port of the Service",
			[]string{"--set", "server.service.port=80"},
			func(o *scaledjob.Options) { o.Port = 80 }, nil,
		},
		{
			"the token", []string{"--set", "server.auth.metrics=true"}, nil,
			func(s *keda.ScaledJobSpec) {
				s.Triggers[0].Metadata["authMode"] = "bearer"
				s.Triggers[0].AuthenticationRef = &keda.AuthenticationRef{Name: fullname + "-demand"}
			},
		},
		{
			"the fallback", []string{"--set", "workers.fallbackTrigger=true"}, nil,
			func(s *keda.ScaledJobSpec) { s.Triggers = append(s.Triggers, pending) },
		},
		{
			"the fallback's password", []string{"--set", "workers.fallbackTrigger=true", "--set", "redis.url=rediss://queue:s%40crt@redis.example.org/3"}, nil,
			func(s *keda.ScaledJobSpec) {
				trigger := scaledjob.RedisTrigger("redis.example.org:6379", "documents", "pending", 4)
				trigger.Metadata["databaseIndex"] = "3"
				trigger.Metadata["enableTLS"] = "true"
				trigger.AuthenticationRef = &keda.AuthenticationRef{Name: fullname + "-redis"}
				s.Triggers = append(s.Triggers, trigger)
			},
		},
		{
			"no server", []string{"--set", "workers.trigger=redis", "--set", "server.enabled=false", "--set", "settings.queue=night"}, nil,
			func(s *keda.ScaledJobSpec) {
				s.ScalingStrategy.MultipleScalersCalculation = "sum"
				s.Triggers = nil
				for _, state := range []string{"pending", "active", "retry", "scheduled"} {
					s.Triggers = append(s.Triggers, scaledjob.RedisTrigger("10.245.0.1:6379", "night", state, 4))
				}
			},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := render(t, append([]string{"--values", "testdata/e2e.yaml"}, tc.args...)...)
			got := get[*keda.ScaledJob](t, all, "ScaledJob/"+fullname+"-worker")
			o := like(got)
			if tc.edit != nil {
				tc.edit(&o)
			}
			want := scaledjob.New(o)
			if tc.want != nil {
				tc.want(&want.Spec)
			}
			if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
				t.Errorf("-typed +chart:\n%s", diff)
			}
			if len(got.Annotations) > 0 {
				t.Errorf("annotations %v: KEDA would copy them to every Job", got.Annotations)
			}
			for _, trigger := range got.Spec.Triggers {
				if ref := trigger.AuthenticationRef; ref != nil {
					get[*keda.TriggerAuthentication](t, all, "TriggerAuthentication/"+ref.Name)
				}
			}
		})
	}
}

// A worker exits before its Job's deadline would end it, with its grace before that.
func TestWorkerDeadline(t *testing.T) {
	t.Parallel()
	for _, grace := range []string{"10s", "2m", "15m"} {
		t.Run(grace, func(t *testing.T) {
			t.Parallel()
			all := render(t, "--values", "testdata/e2e.yaml", "--set", "settings.shutdownGrace="+grace, "--set", "workers.activeDeadlineSeconds=7200")
			job := get[*keda.ScaledJob](t, all, "ScaledJob/"+fullname+"-worker").Spec.JobTargetRef
			pod := job.Template
			deadline, err := time.ParseDuration(environment(t, all, &pod)["GISTMILL_DEADLINE"])
			if err != nil {
				t.Fatal(err)
			}
			want, err := time.ParseDuration(grace)
			if err != nil {
				t.Fatal(err)
			}
			termination := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
			if termination <= want {
				t.Errorf("the pod is killed %s after SIGTERM, shutdown-grace is %s", termination, want)
			}
			if end := deadline + termination; end >= 2*time.Hour {
				t.Errorf("deadline %s and %s to end leave nothing of the Job's two hours to start in", deadline, termination)
			}
			if deadline < time.Hour {
				t.Errorf("deadline %s is much below the Job's", deadline)
			}
		})
	}
}

// The values that KEDA needs to reach Redis with a password are in Secrets, unchanged.
func TestRedisTriggerAuthentication(t *testing.T) {
	t.Parallel()
	const own = fullname + "-connections"
	cases := []struct {
		name string
		args []string
		want string
	}{
		{"from the URL", []string{"--set", "redis.url=redis://queue:s%40crt@redis:6379/0"}, "username " + own + "/redis-username, password " + own + "/redis-password"},
		{"no user name", []string{"--set", "redis.url=redis://:s%40crt@redis:6379/0"}, "password " + own + "/redis-password"},
		{
			"an existing Secret",
			[]string{
				"--set", "redis.url=", "--set", "redis.existingSecret=queue", "--set", "redis.trigger.address=redis:6379",
				"--set", "redis.trigger.existingSecret=queue", "--set", "redis.trigger.passwordKey=word",
			},
			"password queue/word",
		},
		{
			"files for TLS",
			[]string{
				"--set", "redis.url=rediss://:s%40crt@redis:6379/0", "--set", "redis.trigger.tls.existingSecret=redis-tls",
				"--set", "redis.trigger.tls.certKey=tls.crt", "--set", "redis.trigger.tls.keyKey=tls.key",
			},
			"password " + own + "/redis-password, ca redis-tls/ca.crt, cert redis-tls/tls.crt, key redis-tls/tls.key",
		},
		{
			"an authority and no password", []string{"--set", "redis.url=rediss://redis:6379/0", "--set", "redis.trigger.tls.existingSecret=redis-tls"},
			"ca redis-tls/ca.crt",
		},
		{"the chart's own Redis", []string{"--set", "redis.url=", "--set", "dev.redis.enabled=true"}, "password " + own + "/redis-password"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--values", "testdata/e2e.yaml", "--set", "workers.fallbackTrigger=true"}, tc.args...)
			auth := get[*keda.TriggerAuthentication](t, render(t, args...), "TriggerAuthentication/"+fullname+"-redis")
			var got []string
			for _, ref := range auth.Spec.SecretTargetRef {
				got = append(got, fmt.Sprintf("%s %s/%s", ref.Parameter, ref.Name, ref.Key))
			}
			if text := strings.Join(got, ", "); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}
