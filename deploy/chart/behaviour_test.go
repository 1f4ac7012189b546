//go:build chart

package chart

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// A schedule is a CronJob that runs one Job at a time and catches up missed runs. Its Job fails
// at once where another attempt would not help.
func TestSchedules(t *testing.T) {
	t.Parallel()
	all := render(t, "--values", "testdata/all.yaml")
	first := get[*batchv1.CronJob](t, all, "CronJob/"+fullname+"-enqueue-a")
	second := get[*batchv1.CronJob](t, all, "CronJob/"+fullname+"-enqueue-b")
	for _, job := range []*batchv1.CronJob{first, second} {
		if job.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
			t.Errorf("%s: concurrencyPolicy %s", job.Name, job.Spec.ConcurrencyPolicy)
		}
		if job.Spec.StartingDeadlineSeconds == nil || job.Spec.SuccessfulJobsHistoryLimit == nil || job.Spec.FailedJobsHistoryLimit == nil {
			t.Errorf("%s: no starting deadline, or no history limits", job.Name)
		}
		spec := job.Spec.JobTemplate.Spec
		if spec.ActiveDeadlineSeconds == nil || spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: no end, or restarts in place, which podFailurePolicy does not see", job.Name)
		}
		var failed []int32
		for _, rule := range spec.PodFailurePolicy.Rules {
			if rule.Action == batchv1.PodFailurePolicyActionFailJob {
				failed = rule.OnExitCodes.Values
				if name := *rule.OnExitCodes.ContainerName; name != spec.Template.Spec.Containers[0].Name {
					t.Errorf("%s: the rule is for container %s", job.Name, name)
				}
			}
		}
		if !slices.Equal(failed, []int32{2, 4}) {
			t.Errorf("%s: fails at once on the exit codes %v", job.Name, failed)
		}
	}
	if first.Spec.TimeZone != nil || *second.Spec.TimeZone != "Asia/Kolkata" || *first.Spec.Suspend || !*second.Spec.Suspend {
		t.Errorf("time zone or suspend is not the schedule's own: %v, %v", first.Spec, second.Spec)
	}
	pod := second.Spec.JobTemplate.Spec.Template
	if diff := cmp.Diff([]string{"enqueue", "/b", "--include", "*.md", "--limit", "10"}, pod.Spec.Containers[0].Args); diff != "" {
		t.Error(diff)
	}
	env := environment(t, all, &first.Spec.JobTemplate.Spec.Template)
	if env["GISTMILL_WORDS"] != "80" || env["GISTMILL_BUDGET_USD"] != "0.5" || env["GISTMILL_MODEL"] != "gpt-4o-mini" {
		t.Errorf("the first schedule's settings are %v", env)
	}
	if _, ok := environment(t, all, &pod)["GISTMILL_WORDS"]; ok {
		t.Error("one schedule's settings are another's too")
	}
}

// Secrets are references, and only pods that need them have them.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const redis, store = "redis://user:s3cr3t@redis:6379/0", "postgres://user:s3cr3t@db/gistmill"
	text, err := template(t, "helm4", "--values", "testdata/e2e.yaml", "--set", "llm.existingSecret=llm", "--set", "redis.url="+redis, "--set", "store.url="+store)
	if err != nil {
		t.Fatal(err)
	}
	all := decode(t, text)
	for key, object := range all {
		if _, ok := object.(*corev1.Secret); ok {
			continue
		}
		if shown := fmt.Sprintf("%+v", object); strings.Contains(shown, "s3cr3t") {
			t.Errorf("%s shows a password", key)
		}
	}
	for key, pod := range gistmillPods(all) {
		env := environment(t, all, pod)
		want := map[string]string{"GISTMILL_REDIS": fullname + "-connections/redis", "GISTMILL_STORE": fullname + "-connections/store"}
		if strings.HasPrefix(key, "CronJob/") || strings.HasPrefix(key, "ScaledJob/") {
			want["GISTMILL_API_KEY"] = "llm/api-key"
		}
		for _, name := range []string{"GISTMILL_REDIS", "GISTMILL_STORE", "GISTMILL_API_KEY"} {
			if env[name] != want[name] {
				t.Errorf("%s: %s comes from %q, want %q", key, name, env[name], want[name])
			}
		}
	}

	// The key as a file, which is read again, and headers: for the same pods alone.
	all = render(t, "--values", "testdata/e2e.yaml", "--set", "llm.existingSecret=llm,llm.key=token,llm.headersKey=headers,llm.asFile=true")
	for key, pod := range gistmillPods(all) {
		env := environment(t, all, pod)
		want := map[string]string{}
		mounts := 0
		if strings.HasPrefix(key, "CronJob/") || strings.HasPrefix(key, "ScaledJob/") {
			want["GISTMILL_API_KEY_FILE"], want["GISTMILL_HEADERS"], mounts = "/etc/gistmill/llm/token", "llm/headers", 1
		}
		for _, name := range []string{"GISTMILL_API_KEY", "GISTMILL_API_KEY_FILE", "GISTMILL_HEADERS"} {
			if env[name] != want[name] {
				t.Errorf("%s: %s is %q, want %q", key, name, env[name], want[name])
			}
		}
		for _, v := range pod.Spec.Volumes {
			if v.Secret != nil && v.Secret.SecretName == "llm" {
				mounts--
			}
		}
		if mounts != 0 {
			t.Errorf("%s: the Secret is not mounted where it is needed", key)
		}
	}

	all = render(t, "--values", "gistmill/values-production.yaml")
	for key := range all {
		if strings.HasPrefix(key, "Secret/") {
			t.Errorf("production has %s of its own", key)
		}
	}
	env := environment(t, all, podOf(all["Deployment/"+fullname+"-server"]))
	if env["GISTMILL_REDIS"] != "gistmill-redis/redis" || env["GISTMILL_STORE"] != "gistmill-store/store" {
		t.Errorf("production's addresses come from %s and %s", env["GISTMILL_REDIS"], env["GISTMILL_STORE"])
	}
}

// The server listens for other pods only with a token, or where the values allow it without.
func TestServerAuthentication(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		args []string
		want map[string]string
		from string // Secret and key
	}{
		{"generated", nil, map[string]string{"GISTMILL_AUTH_TOKEN_FILE": "/etc/gistmill/auth/token"}, fullname + "-server-auth/token"},
		{
			"existing", []string{"--set", "server.auth.existingSecret=own,server.auth.key=word"},
			map[string]string{"GISTMILL_AUTH_TOKEN_FILE": "/etc/gistmill/auth/token"}, "own/word",
		},
		{
			"metrics too", []string{"--set", "server.auth.metrics=true"},
			map[string]string{"GISTMILL_AUTH_TOKEN_FILE": "/etc/gistmill/auth/token", "GISTMILL_AUTH_METRICS": "true"}, fullname + "-server-auth/token",
		},
		{"none", []string{"--set", "server.auth.enabled=false"}, map[string]string{"GISTMILL_ALLOW_UNAUTHENTICATED": "true"}, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := render(t, append([]string{"--values", "testdata/e2e.yaml"}, tc.args...)...)
			pod := podOf(all["Deployment/"+fullname+"-server"])
			env := environment(t, all, pod)
			for _, name := range []string{"GISTMILL_AUTH_TOKEN_FILE", "GISTMILL_AUTH_METRICS", "GISTMILL_ALLOW_UNAUTHENTICATED"} {
				if env[name] != tc.want[name] {
					t.Errorf("%s is %q, want %q", name, env[name], tc.want[name])
				}
			}
			var from string
			for _, volume := range pod.Spec.Volumes {
				if volume.Secret != nil {
					from = volume.Secret.SecretName + "/" + volume.Secret.Items[0].Key
				}
			}
			if from != tc.from {
				t.Errorf("the token comes from %q, want %q", from, tc.from)
			}
			_, made := all["Secret/"+fullname+"-server-auth"]
			if want := strings.HasPrefix(tc.from, fullname); made != want {
				t.Errorf("a Secret with a token is made: %t, want %t", made, want)
			}
		})
	}
}

// Probes use paths and ports that the server serves. Each Service, policy and budget selects
// exactly its own pods.
func TestSelectors(t *testing.T) {
	t.Parallel()
	eachRendered(t, func(t *testing.T, all objects) {
		for key, object := range all {
			var selector *metav1.LabelSelector
			switch o := object.(type) {
			case *corev1.Service:
				selector = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
				port := o.Spec.Ports[0].TargetPort.StrVal
				if !hasPort(podOf(all["Deployment/"+o.Name]), port) {
					t.Errorf("%s: its pods have no port %s", key, port)
				}
			case *appsv1.Deployment:
				selector = o.Spec.Selector
			case *policyv1.PodDisruptionBudget:
				selector = o.Spec.Selector
			case *networkingv1.NetworkPolicy:
				selector = &o.Spec.PodSelector
			default:
				continue
			}
			if got := selected(t, all, selector); len(got) == 0 || slices.ContainsFunc(got, func(k string) bool { return !strings.Contains(k, strings.TrimPrefix(keyName(key), fullname)) }) {
				t.Errorf("%s selects the pods of %v", key, got)
			}
		}
	})
}

func keyName(key string) string {
	_, name, _ := strings.Cut(key, "/")
	return name
}

func hasPort(pod *corev1.PodTemplateSpec, name string) bool {
	return slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// selected returns the keys of the objects whose pods the selector matches.
func selected(t *testing.T, all objects, selector *metav1.LabelSelector) []string {
	t.Helper()
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for key, pod := range pods(all) {
		if matches.Matches(labels.Set(pod.Labels)) {
			found = append(found, key)
		}
	}
	return found
}

// Probes and monitors use ports that programs listen on.
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/all.yaml", "testdata/deployment.yaml"} {
		all := render(t, "--values", file, "--set", "monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true")
		for key, pod := range gistmillPods(all) {
			container := pod.Spec.Containers[0]
			variable := map[string]string{"server": "GISTMILL_LISTEN", "worker": "GISTMILL_METRICS_LISTEN"}[container.Args[0]]
			if variable == "" {
				if len(container.Ports) > 0 {
					t.Errorf("%s has ports", key)
				}
				continue
			}
			port := container.Ports[0]
			if listen := environment(t, all, pod)[variable]; listen != fmt.Sprintf(":%d", port.ContainerPort) {
				t.Errorf("%s listens at %s, its port is %d", key, listen, port.ContainerPort)
			}
			if probe := container.LivenessProbe; probe == nil || probe.HTTPGet.Path != "/healthz" || probe.HTTPGet.Port.StrVal != port.Name {
				t.Errorf("%s: liveness %+v", key, probe)
			}
		}
		worker := get[*monitoring.PodMonitor](t, all, "PodMonitor/"+fullname+"-worker")
		server := get[*monitoring.ServiceMonitor](t, all, "ServiceMonitor/"+fullname+"-server")
		if found := selected(t, all, &worker.Spec.Selector); len(found) != 1 || !hasPort(podOf(all[found[0]]), *worker.Spec.PodMetricsEndpoints[0].Port) {
			t.Errorf("%s: the PodMonitor is for %v", file, found)
		}
		service := get[*corev1.Service](t, all, "Service/"+fullname+"-server")
		matches, err := metav1.LabelSelectorAsSelector(&server.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		if !matches.Matches(labels.Set(service.Labels)) || service.Spec.Ports[0].Name != server.Spec.Endpoints[0].Port {
			t.Errorf("%s: the ServiceMonitor is not for the server's Service", file)
		}
		if asks := server.Spec.Endpoints[0].Authorization != nil; asks != strings.Contains(file, "all") {
			t.Errorf("%s: the monitor shows a token: %t", file, asks)
		}
	}
}

// Values for all pods reach all of them, and a component's own values take precedence.
func TestCommonAndOwn(t *testing.T) {
	t.Parallel()
	all := render(t, "--values", "testdata/all.yaml")
	for key, pod := range gistmillPods(all) {
		container := pod.Spec.Containers[0]
		if want := "registry.example.org/gistmill@sha256:" + strings.Repeat("a", 64); container.Image != want {
			t.Errorf("%s: image %s", key, container.Image)
		}
		if pod.Spec.ImagePullSecrets[0].Name != "registry" || *pod.Spec.SecurityContext.RunAsUser != 70000 || pod.Spec.NodeSelector["kubernetes.io/arch"] != "amd64" {
			t.Errorf("%s: pull secret, user or node selector are not what all are to have", key)
		}
		if environment(t, all, pod)["A"] != "1" || pod.Spec.InitContainers[0].Name != "proxy" {
			t.Errorf("%s: extraEnv or extraInitContainers are missing", key)
		}
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/b" }) ||
			!slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/etc/gistmill/files" }) {
			t.Errorf("%s: documents or files are not mounted", key)
		}
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(o corev1.Toleration) bool { return o.Key == "batch" }) {
			t.Errorf("%s: the toleration of all is missing", key)
		}
		if key != "Pod/"+fullname+"-test" && (pod.Labels["common"] != "yes" || pod.Annotations["common"] != "yes") {
			t.Errorf("%s: label or annotation of all is missing", key)
		}
	}
	worker := podOf(all["ScaledJob/"+fullname+"-worker"])
	if worker.Spec.PriorityClassName != "low" || worker.Spec.NodeSelector["disk"] != "ssd" || worker.Labels["pod"] != "worker" ||
		len(worker.Spec.Tolerations) != 4 || worker.Spec.Affinity == nil || worker.Spec.TopologySpreadConstraints[0].TopologyKey != "zone" ||
		environment(t, all, worker)["B"] != "2" || len(worker.Spec.Containers[0].EnvFrom) != 3 {
		t.Errorf("the workers' own values are not all there: %+v", worker)
	}
	server := podOf(all["Deployment/"+fullname+"-server"])
	if server.Spec.PriorityClassName != "normal" || len(server.Spec.TopologySpreadConstraints) != 0 {
		t.Errorf("the server's are %+v", server.Spec)
	}
	account := get[*corev1.ServiceAccount](t, all, "ServiceAccount/"+fullname+"-worker")
	if account.Annotations["eks.amazonaws.com/role-arn"] == "" {
		t.Error("the workers' account has no identity")
	}
	if _, ok := all["ServiceAccount/"+fullname+"-enqueue"]; ok {
		t.Error("an account is made beside the one that is named")
	}
	paused := all["ScaledJob/"+fullname+"-worker"].(metav1.Object).GetAnnotations()
	if diff := cmp.Diff(map[string]string{"team": "a", "autoscaling.keda.sh/paused": "true"}, paused); diff != "" {
		t.Error(diff)
	}
}

// Policies admit the necessary peers only: KEDA to the server, and to the chart's own Redis
// where it counts there; Prometheus to the workers; no peer to the enqueuer.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	base := []string{"--values", "testdata/e2e.yaml", "--set", "networkPolicy.enabled=true,redis.url=,dev.redis.enabled=true"}
	keda := []string{"--set", "networkPolicy.serverFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=keda"}
	peers := func(all objects, component string) []string {
		var found []string
		for _, rule := range get[*networkingv1.NetworkPolicy](t, all, "NetworkPolicy/"+fullname+"-"+component).Spec.Ingress {
			for _, peer := range rule.From {
				switch {
				case peer.PodSelector != nil:
					found = append(found, "own pods")
				case len(peer.NamespaceSelector.MatchLabels) == 0:
					found = append(found, "all")
				default:
					found = append(found, peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
				}
			}
		}
		return found
	}
	fallback := []string{"--set", "workers.fallbackTrigger=true"}
	for _, tc := range []struct {
		name string
		args []string
		want map[string][]string
	}{
		{"no peers are named", nil, map[string][]string{"server": {"all"}, "worker": {"all"}, "enqueue": nil, "redis": {"own pods"}}},
		{"KEDA is", keda, map[string][]string{"server": {"keda"}, "worker": {"all"}, "redis": {"own pods"}}},
		{"no peers, and KEDA counts in Redis", fallback, map[string][]string{"redis": {"own pods", "all"}}},
		{"KEDA, and it counts in Redis", slices.Concat(keda, fallback), map[string][]string{"server": {"keda"}, "redis": {"own pods", "keda"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := render(t, slices.Concat(base, tc.args)...)
			for component, want := range tc.want {
				if got := peers(all, component); !slices.Equal(got, want) {
					t.Errorf("%s is reached by %v, want %v", component, got, want)
				}
			}
		})
	}
	closed := get[*networkingv1.NetworkPolicy](t, render(t, "--values", "testdata/all.yaml"), "NetworkPolicy/"+fullname+"-worker")
	// DNS, Redis, PostgreSQL, the rule.
	if !slices.Contains(closed.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) || len(closed.Spec.Egress) != 4 {
		t.Errorf("workers may reach %+v", closed.Spec.Egress)
	}
}

// Every account that a pod runs under exists, or is another one's by name.
func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	eachRendered(t, func(t *testing.T, all objects) {
		for key, pod := range gistmillPods(all) {
			account := pod.Spec.ServiceAccountName
			if _, ok := all["ServiceAccount/"+account]; !ok && account != "planner" {
				t.Errorf("%s: there is no account %s", key, account)
			}
		}
	})
}

// Changed settings restart servers, and workers of a Deployment. The ScaledJob does not change
// with them, and nothing changes without a change.
func TestChangedSettings(t *testing.T) {
	t.Parallel()
	const server, worker = "Deployment/" + fullname + "-server", "Deployment/" + fullname + "-worker"
	hash := func(all objects, key string) string { return podOf(all[key]).Annotations["gistmill.io/settings"] }
	deployment := []string{"--values", "testdata/deployment.yaml"}
	before, again := render(t, deployment...), render(t, deployment...)
	after := render(t, append(deployment, "--set", "settings.rpm=5")...)
	for _, key := range []string{server, worker} {
		if hash(before, key) == "" || hash(before, key) != hash(again, key) || hash(before, key) == hash(after, key) {
			t.Errorf("%s: %q, again %q, changed %q", key, hash(before, key), hash(again, key), hash(after, key))
		}
	}
	jobs := []string{"--values", "testdata/e2e.yaml"}
	scaled := func(args ...string) runtime.Object {
		return render(t, append(jobs, args...)...)["ScaledJob/"+fullname+"-worker"]
	}
	if diff := cmp.Diff(scaled(), scaled("--set", "settings.rpm=5")); diff != "" {
		t.Errorf("the ScaledJob changes with a setting:\n%s", diff)
	}
}

// Without KEDA or workers there are no objects of KEDA; without a server there are none of the
// server.
func TestModes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		args   []string
		absent []string
	}{
		{"deployment", []string{"--values", "testdata/deployment.yaml"}, []string{"ScaledJob/", "TriggerAuthentication/"}},
		{"no workers", []string{"--values", "testdata/e2e.yaml", "--set", "workers.mode=none"}, []string{"ScaledJob/", "TriggerAuthentication/", "ServiceAccount/" + fullname + "-worker"}},
		{"no server", []string{"--values", "testdata/redis.yaml"}, []string{"Deployment/", "Service/", "PodDisruptionBudget/", "Secret/", "ServiceAccount/" + fullname + "-server"}},
		{"one server", []string{"--values", "testdata/e2e.yaml", "--set", "server.replicas=1"}, []string{"PodDisruptionBudget/"}},
		{"as it comes", []string{"--values", "testdata/e2e.yaml"}, []string{"NetworkPolicy/", "ServiceMonitor/", "PodMonitor/", "PrometheusRule/", "PersistentVolumeClaim/", "Service/" + fullname + "-redis"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for key := range render(t, tc.args...) {
				if slices.ContainsFunc(tc.absent, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
					t.Errorf("there is %s", key)
				}
			}
		})
	}
}

// The notes name the commands for the modes in use.
func TestNotes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"e2e":        {"create job --from=cronjob/" + fullname + "-enqueue-corpus", "get secret " + fullname + "-server-auth", "helm -n " + namespace + " test"},
		"all":        {"get secret server -o", "fallbackTrigger is on", "for a first try", "Asia/Kolkata"},
		"redis":      {"retries that are not due yet"},
		"deployment": {"every client that reaches the server sees the queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := helm(t, "helm4", "install", release, "gistmill", "--namespace", namespace, "--dry-run=client", "--kube-apiserver", apiServer(t), "--values", "testdata/"+name+".yaml")
			if err != nil {
				t.Fatal(err)
			}
			_, notes, _ := strings.Cut(out, "\nNOTES:\n")
			for _, part := range want {
				if !strings.Contains(notes, part) {
					t.Errorf("no %q in\n%s", part, notes)
				}
			}
		})
	}
}

// apiServer reports its version and no further resources: all that Helm requests before it
// renders notes.
func apiServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]string{
			"/version": `{"major": "1", "minor": "36", "gitVersion": "v1.36.0"}`,
			"/api":     `{"kind": "APIVersions", "versions": ["v1"]}`,
			"/api/v1":  `{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}`,
			"/apis":    `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`,
		}[r.URL.Path]
		if answer == "" {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`
		}
		w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL
}
