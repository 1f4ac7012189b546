//go:build chart

package chart

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// Every values file renders the same objects with either Helm, and the API servers of the
// oldest and the newest supported version know them.
func TestObjectsAreValid(t *testing.T) {
	t.Parallel()
	for name, file := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first objects
			for _, version := range helms() {
				text, err := template(t, version, "--values", file)
				if err != nil {
					t.Fatalf("%s: %v", version, err)
				}
				all := decode(t, text)
				if secret, ok := all["Secret/"+fullname+"-server-auth"].(*corev1.Secret); ok {
					if len(secret.Data["token"]) != 40 {
						t.Errorf("%s: the token that is made has %d letters, want 40", version, len(secret.Data["token"]))
					}
					secret.Data["token"] = nil // generated each time
				}
				if first == nil {
					first = all
				}
				if diff := cmp.Diff(first, all); diff != "" {
					t.Errorf("%s gives something else than %s (-first +%s):\n%s", version, helms()[0], version, diff)
				}
			}
		})
	}
}

// helm lint finds nothing, warnings included.
func TestLint(t *testing.T) {
	t.Parallel()
	for name, file := range valuesFiles(t) {
		for _, version := range helms() {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				if out, err := helm(t, version, "lint", "gistmill", "--strict", "--kube-version", "1.36.0", "--values", file); err != nil {
					t.Errorf("%v%s", err, out)
				}
			})
		}
	}
}
