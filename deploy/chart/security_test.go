//go:build chart

package chart

import (
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Every pod may run in a namespace that enforces the newest Pod Security `restricted`, writes
// to no root file system, and gets no token that it does not need.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	for name, file := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
			if err != nil {
				t.Fatal(err)
			}
			restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
			all := pods(render(t, "--values", file))
			if len(all) < 2 {
				t.Fatalf("found %d pods", len(all))
			}
			for key, pod := range all {
				verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
				if !verdict.Allowed {
					t.Errorf("%s is refused: %s", key, verdict.ForbiddenDetail())
				}
				if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
					t.Errorf("%s gets the token of its account", key)
				}
				for _, container := range pod.Spec.Containers {
					if root := container.SecurityContext.ReadOnlyRootFilesystem; root == nil || !*root {
						t.Errorf("%s: container %s may write to its root", key, container.Name)
					}
				}
			}
		})
	}
}

// The check of Pod Security finds violations.
func TestPodSecurityRefuses(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := pods(render(t, "--values", "testdata/e2e.yaml"))["Deployment/"+fullname+"-server"]
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)).Allowed {
		t.Error("a container that keeps its capabilities is allowed")
	}
}
