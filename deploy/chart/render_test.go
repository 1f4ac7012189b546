//go:build chart

package chart

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	namespace = "documents"
	release   = "press"
	fullname  = "press-gistmill"
)

// helms are the versions that the chart supports.
func helms() []string { return []string{"helm3", "helm4"} }

// eachRendered runs a test on the objects of every values file.
func eachRendered(t *testing.T, test func(t *testing.T, all objects)) {
	t.Helper()
	for name, file := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, render(t, "--values", file))
		})
	}
}

// valuesFiles returns the values files of the chart and of the tests, by name without .yaml.
func valuesFiles(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, pattern := range []string{"gistmill/values-*.yaml", "testdata/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			files[strings.TrimSuffix(filepath.Base(name), ".yaml")] = name
		}
	}
	if len(files) < 3 {
		t.Fatalf("found only the values files %v", files)
	}
	return files
}

// helm runs one of the Helms that make builds. It returns stdout, or an error with stderr.
func helm(t *testing.T, version string, args ...string) (string, error) {
	t.Helper()
	program := filepath.Join("..", "..", "bin", "tools", version)
	command := exec.CommandContext(t.Context(), program, args...)
	// Nothing from the user's own environment.
	home := t.TempDir()
	command.Env = []string{"HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "none")}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v (make chart builds it)", err)
	}
	if err != nil {
		return "", errors.New(stderr.String())
	}
	return stdout.String(), nil
}

// template renders the chart without a cluster.
func template(t *testing.T, version string, args ...string) (string, error) {
	t.Helper()
	return helm(t, version, append([]string{"template", release, "gistmill", "--namespace", namespace, "--kube-version", "1.36.0"}, args...)...)
}

// objects are the objects of a rendering, by kind and name.
type objects map[string]runtime.Object

// render returns the objects of a rendering with Helm 4, each decoded strictly.
func render(t *testing.T, args ...string) objects {
	t.Helper()
	text, err := template(t, "helm4", args...)
	if err != nil {
		t.Fatalf("helm template %s: %v", strings.Join(args, " "), err)
	}
	return decode(t, text)
}

// decode decodes every object into its real type; an unknown field is an error.
func decode(t *testing.T, text string) objects {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, batchv1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme,
		keda.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	found := make(objects)
	documents := yaml.NewYAMLReader(newBufioReader(text))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(withoutComments(document))) == 0 {
			continue
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Errorf("decode: %v in\n%s", err, document)
			continue
		}
		key := kind.Kind + "/" + object.(metav1.Object).GetName()
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = object
	}
}

// get returns the object of a kind and name as its type.
func get[T runtime.Object](t *testing.T, all objects, key string) T {
	t.Helper()
	object, ok := all[key].(T)
	if !ok {
		t.Fatalf("no %s among %v", key, keys(all))
	}
	return object
}
