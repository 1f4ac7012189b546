//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Uninstalling while workers run leaves nothing behind and does not hang.
func TestUninstallLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, slow)
	s.bucket.notes("in/", 0, 40)
	before := s.objects()
	s.install(values{
		"schedules":  []values{{"name": "papers", "source": s.bucket.url("in/"), "schedule": "0 0 1 1 *"}},
		"workers":    values{"fallbackTrigger": true},
		"server":     values{"replicas": 2, "auth": values{"metrics": true}},
		"monitoring": values{"dashboard": values{"enabled": true}},
	})
	s.helm("test", release, "--timeout", "2m")
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	s.awaitWorkers(2, patience)
	s.awaitCalls(1)
	s.secretsAreInSecrets()
	s.helm("uninstall", release, "--wait", "--timeout", "2m")
	await(t, "that nothing is left", patience, func() error {
		var left []string
		for name := range s.objects() {
			if !before[name] {
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, ", "))
		}
		return nil
	})
}

// objects returns the names of all objects in the namespace except events.
func (s *site) objects() map[string]bool {
	s.t.Helper()
	all := map[string]bool{}
	s.eachObject(func(resource string, object unstructured.Unstructured) {
		if resource != "events" {
			all[resource+"/"+object.GetName()] = true
		}
	})
	return all
}

// eachObject visits all objects in the namespace.
func (s *site) eachObject(see func(resource string, object unstructured.Unstructured)) {
	s.t.Helper()
	lists, err := shared.client.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			if !strings.Contains(resource.Verbs.String(), "list") {
				continue
			}
			objects, err := shared.objects.Resource(version.WithResource(resource.Name)).Namespace(s.namespace).List(background(), metav1.ListOptions{})
			if err != nil {
				s.t.Fatalf("list %s: %v", resource.Name, err)
			}
			for _, object := range objects.Items {
				see(resource.Name, object)
			}
		}
	}
}

// secretsAreInSecrets checks that objects which any user may describe (pods, environments,
// events and others) contain neither the database's password nor the server's token.
func (s *site) secretsAreInSecrets() {
	s.t.Helper()
	store, err := url.Parse(s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	password, _ := store.User.Password()
	secret, err := shared.client.CoreV1().Secrets(s.namespace).Get(background(), serverName+"-auth", metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	kept := map[string]string{"the database's password": password, "the server's token": string(secret.Data["token"])}
	s.eachObject(func(resource string, object unstructured.Unstructured) { // a Secret has it in base64
		text, err := object.MarshalJSON()
		if err != nil {
			s.t.Fatal(err)
		}
		for what, value := range kept {
			if value == "" || bytes.Contains(text, []byte(value)) {
				s.t.Errorf("%s (%d bytes) shows in %s/%s", what, len(value), resource, object.GetName())
			}
		}
	})
}

// The real API server accepts everything that the chart's values files render, and warns of no
// pod that the restricted standard would refuse.
func TestValuesFilesAreTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	files, err := filepath.Glob(filepath.Join(chart, "values-*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found the values files %v: %v", files, err)
	}
	// Those of the chart's own tests.
	more, err := filepath.Glob(filepath.Join(chart, "..", "testdata", "*.yaml"))
	if err != nil || len(more) < 2 {
		t.Fatalf("found the values files %v: %v", more, err)
	}
	files = append(files, more...)
	for _, file := range files {
		// The test's pod is accepted only if its service account exists.
		objects := s.helm("template", release, chart, "--values", file, "--skip-tests")
		name := filepath.Join(t.TempDir(), "objects.yaml")
		if err := os.WriteFile(name, []byte(objects), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := shared.cluster.Kubectl(background(), "apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--namespace", s.namespace, "--filename", name); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}
