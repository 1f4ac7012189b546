//go:build chart

package chart

import (
	"bufio"
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func newBufioReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func withoutComments(document []byte) []byte {
	var kept [][]byte
	for line := range bytes.Lines(document) {
		if !bytes.HasPrefix(line, []byte("#")) && !bytes.Equal(bytes.TrimSpace(line), []byte("---")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}

func keys(all objects) []string { return slices.Sorted(maps.Keys(all)) }

// podOf returns the pod template of an object, or nil.
func podOf(object runtime.Object) *corev1.PodTemplateSpec {
	switch o := object.(type) {
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	case *keda.ScaledJob:
		return &o.Spec.JobTargetRef.Template
	default:
		return nil
	}
}

// pods returns all pod templates by the key of their object.
func pods(all objects) map[string]*corev1.PodTemplateSpec {
	found := make(map[string]*corev1.PodTemplateSpec)
	for key, object := range all {
		if pod := podOf(object); pod != nil {
			found[key] = pod
		}
	}
	return found
}

// gistmillPods leaves out the servers of dev.
func gistmillPods(all objects) map[string]*corev1.PodTemplateSpec {
	found := pods(all)
	maps.DeleteFunc(found, func(_ string, pod *corev1.PodTemplateSpec) bool { return pod.Spec.Containers[0].Name != "gistmill" })
	return found
}

// environment returns a pod's variables as the kubelet would set them: those of the ConfigMap,
// then its own. Values from Secrets are the names of Secret and key.
func environment(t *testing.T, all objects, pod *corev1.PodTemplateSpec) map[string]string {
	t.Helper()
	env := make(map[string]string)
	container := pod.Spec.Containers[0]
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef != nil {
			maps.Copy(env, get[*corev1.ConfigMap](t, all, "ConfigMap/"+from.ConfigMapRef.Name).Data)
		}
	}
	for _, v := range container.Env {
		env[v.Name] = v.Value
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
			env[v.Name] = v.ValueFrom.SecretKeyRef.Name + "/" + v.ValueFrom.SecretKeyRef.Key
		}
	}
	return env
}
