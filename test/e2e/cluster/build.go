package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A module is a folder under modules/ that pins one project, and the programs built from it.
type module struct {
	name     string
	tags     string
	cgo      bool
	packages []string
	// definitions is the folder of custom resource definitions to copy, for the module at a path.
	from, definitions string
	// stamp is the variable for the program's version, which is that of the first package's
	// module.
	stamp string
}

// definitionFolder is in the folder of a module's binaries.
const definitionFolder = "crds"

func modules() []module {
	const kube, containerd = "k8s.io/kubernetes/cmd/", "github.com/containerd/containerd/v2/cmd/"
	return []module{
		{name: "etcd", packages: []string{"go.etcd.io/etcd/server/v3"}},
		{name: "kube", packages: []string{kube + "kube-apiserver", kube + "kube-controller-manager", kube + "kube-scheduler", kube + "kubelet", kube + "kube-proxy", kube + "kubectl"},
			stamp: "k8s.io/component-base/version.gitVersion"}, // charts need it
		{name: "containerd", tags: "no_btrfs no_devmapper no_zfs", packages: []string{containerd + "containerd", containerd + "containerd-shim-runc-v2", containerd + "ctr"}},
		// Without seccomp runc cannot start a pod with RuntimeDefault, which the restricted Pod
		// Security standard requires.
		{name: "runc", tags: "seccomp", cgo: true, packages: []string{"github.com/opencontainers/runc"}},
		{name: "coredns", packages: []string{"github.com/coredns/coredns"}},
		{name: "keda", packages: []string{"github.com/kedacore/keda/v2/cmd/operator"}, from: "github.com/kedacore/keda/v2", definitions: "config/crd/bases"},
		// The chart's monitors and alerts are custom resources too. Their operator does not run.
		{name: "monitoring", from: "github.com/prometheus-operator/prometheus-operator", definitions: "example/prometheus-operator-crd"},
	}
}

// Binaries are the built programs of a cluster.
type Binaries struct {
	folders map[string]string // by module
	pause   string            // file
}

// definitions returns the folders with definitions of custom resources.
func (b *Binaries) definitions() []string {
	var all []string
	for _, m := range modules() {
		if m.definitions != "" {
			all = append(all, filepath.Join(b.folders[m.name], definitionFolder))
		}
	}
	return all
}

// path returns PATH with the programs in front.
func (b *Binaries) path() string {
	var all []string
	for _, m := range modules() {
		all = append(all, b.folders[m.name])
	}
	return strings.Join(append(all, os.Getenv("PATH")), string(os.PathListSeparator))
}

// file returns the file of a program.
func (b *Binaries) file(module, name string) string { return filepath.Join(b.folders[module], name) }

// Kubectl returns the file of kubectl.
func (b *Binaries) Kubectl() string { return b.file("kube", "kubectl") }

// CacheFolder is the folder of binaries between runs: GISTMILL_CLUSTER_CACHE, else a folder in
// the user's cache.
func CacheFolder() (string, error) {
	if dir := os.Getenv("GISTMILL_CLUSTER_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the cluster's binaries (set GISTMILL_CLUSTER_CACHE): %w", err)
	}
	return filepath.Join(dir, "gistmill-cluster"), nil
}

// Build builds the programs that are missing in the cache, from the repository with the given
// root. A full build takes about 20 minutes on 2 cores. A module is built again when its
// versions change. progress receives one line for each step.
func Build(ctx context.Context, root, cache string, progress io.Writer) (*Binaries, error) {
	b := &Binaries{folders: make(map[string]string)}
	home := filepath.Join(root, "test", "e2e", "cluster")
	for _, m := range modules() {
		source := filepath.Join(home, "modules", m.name)
		version, err := hash(filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))
		if err != nil {
			return nil, err
		}
		folder := filepath.Join(cache, m.name+"-"+version)
		b.folders[m.name] = folder
		err = once(folder, progress, func(into string) error { return m.build(ctx, source, into) })
		if err != nil {
			return nil, err
		}
		if err := forget(cache, m.name, folder); err != nil {
			return nil, err
		}
	}
	source := filepath.Join(home, "pause", "main.go")
	version, err := hash(source)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(cache, "pause-"+version)
	b.pause = filepath.Join(folder, "pause")
	return b, once(folder, progress, func(into string) error {
		_, err := run(ctx, root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(into, "pause"), source)
		return err
	})
}

// hash returns a hash of the content of files.
func hash(files ...string) (string, error) {
	h := sha256.New()
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read what a binary is made of: %w", err)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func (m module) build(ctx context.Context, source, into string) error {
	if m.definitions != "" {
		if err := m.copyDefinitions(ctx, source, into); err != nil {
			return err
		}
	}
	if len(m.packages) == 0 {
		return nil
	}
	cgo := "CGO_ENABLED=0"
	if m.cgo {
		cgo = "CGO_ENABLED=1"
	}
	// With a folder as target go build names each command correctly. For a single command it uses
	// the last part of the import path, which for etcd is v3.
	target := into + string(filepath.Separator)
	if m.name == "etcd" {
		target = filepath.Join(into, "etcd")
	}
	flags := "-s -w"
	if m.stamp != "" {
		version, err := run(ctx, source, nil, "go", "list", "-f", "{{.Module.Version}}", m.packages[0])
		if err != nil {
			return err
		}
		flags += " -X " + m.stamp + "=" + strings.TrimSpace(version)
	}
	args := append([]string{"build", "-mod=readonly", "-tags", m.tags, "-ldflags", flags, "-o", target}, m.packages...)
	_, err := run(ctx, source, []string{cgo}, "go", args...)
	return err
}

// copyDefinitions copies the definitions of custom resources out of the module's source.
func (m module) copyDefinitions(ctx context.Context, source, into string) error {
	if _, err := run(ctx, source, nil, "go", "mod", "download", m.from); err != nil {
		return err
	}
	from, err := run(ctx, source, nil, "go", "list", "-m", "-f", "{{.Dir}}", m.from)
	if err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(into, definitionFolder), os.DirFS(filepath.Join(strings.TrimSpace(from), filepath.FromSlash(m.definitions))))
}

// once creates a folder completely or not at all.
func once(folder string, progress io.Writer, fill func(into string) error) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	fmt.Fprintf(progress, "cluster: building %s\n", filepath.Base(folder))
	begun := time.Now()
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	into, err := os.MkdirTemp(filepath.Dir(folder), "building-")
	if err != nil {
		return err
	}
	if err := fill(into); err != nil {
		return errors.Join(err, os.RemoveAll(into))
	}
	fmt.Fprintf(progress, "cluster: built %s in %s\n", filepath.Base(folder), time.Since(begun).Round(time.Second))
	return os.Rename(into, folder)
}

// forget deletes a module's binaries of other versions.
func forget(cache, name, kept string) error {
	all, err := filepath.Glob(filepath.Join(cache, name+"-*"))
	if err != nil {
		return err
	}
	for _, folder := range all {
		if folder != kept {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs a command until it exits and returns its stdout. An error contains its stderr.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), env...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}
