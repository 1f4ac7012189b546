// Package cluster runs a whole Kubernetes on one Linux machine with the real programs: etcd,
// API server, controller-manager, scheduler, kubelet, kube-proxy, containerd, runc, CoreDNS and
// KEDA's operator, built from their Go modules at the versions that modules/ pins. They run in
// namespaces of their own, so that nothing leaves them and one kill ends everything.
//
// It owns the life of the cluster: building, starting, stopping, loading images, and logs. It
// does not own what runs on it.
package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// configs are the components' settings; the flags are in components.
//
//go:embed config
var configs embed.FS

const (
	server     = "https://" + NodeIP + ":6443"
	nodeName   = "node1"
	pauseImage = "docker.io/local/pause:1"
	kedaHealth = "127.0.0.1:18081"
)

// patience bounds the start, which takes about ten seconds on an idle machine.
const patience = 3 * time.Minute

// A Cluster is a running cluster. It is safe for concurrent use.
type Cluster struct {
	Etcd, APIServer, Controllers, Scheduler, Containerd, Kubelet, Proxy, DNS, KEDA *Component

	dir      string
	binaries *Binaries
	api      *http.Client
}

// Start starts a cluster in an empty folder and returns when it can run pods. The caller must
// be inside (see [Enter]). There is nothing to call at the end: the components end with the
// namespaces.
func Start(ctx context.Context, dir string, binaries *Binaries) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &Cluster{dir: dir, binaries: binaries}
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("prepare the cluster: %w", err)
	}
	c.components()
	for _, step := range []func(context.Context) error{c.startAPI, c.startRest, c.startKEDA, c.ready} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// prepare writes all files that the components read.
func (c *Cluster) prepare() error {
	for _, folder := range []string{logFolder, "network", "kubelet", "containerd", "certificates"} {
		if err := os.MkdirAll(filepath.Join(c.dir, folder), 0o755); err != nil {
			return err
		}
	}
	if err := writeCertificates(filepath.Join(c.dir, "certificates")); err != nil {
		return err
	}
	pem, err := os.ReadFile(filepath.Join(c.dir, "certificates", "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c.api = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	for _, name := range []string{"containerd.toml", "kubelet.yaml", "proxy.yaml", "Corefile", "dns.yaml", "tokens.csv"} {
		if err := c.write(name, name, ""); err != nil {
			return err
		}
	}
	for _, user := range []string{"admin", "controllers", "scheduler", "proxy", "node"} {
		if err := c.write("kubeconfig.yaml", user+".kubeconfig", user); err != nil {
			return err
		}
	}
	return c.write("pods.conflist", filepath.Join("network", "10-pods.conflist"), "")
}

// write renders a template of config/.
func (c *Cluster) write(name, target, user string) error {
	t, err := template.ParseFS(configs, "config/"+name)
	if err != nil {
		return err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]string{
		"Dir": c.dir, "NodeIP": NodeIP, "PodRange": podRange, "DNSServiceIP": dnsServiceIP, "Server": server, "User": user,
		"PauseImage": pauseImage, "PluginFolder": pluginFolder, "Runc": c.binaries.file("runc", "runc"),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, target), []byte(text.String()), 0o644)
}

// components returns the command line of each program.
func (c *Cluster) components() {
	at := func(name string) string { return filepath.Join(c.dir, name) }
	certificate := func(name string) string { return filepath.Join(c.dir, "certificates", name) }
	component := func(name, module, program string, args ...string) *Component {
		return &Component{
			Name: name, file: c.binaries.file(module, program), log: at(filepath.Join(logFolder, name+".log")), args: args,
			env: []string{"PATH=" + c.binaries.path(), "HOME=" + c.dir},
		}
	}
	const etcd = "http://127.0.0.1:2379"
	// etcd's data need not survive a crash of the machine.
	c.Etcd = component("etcd", "etcd", "etcd", "--data-dir", at("etcd"), "--unsafe-no-fsync", "--listen-client-urls", etcd, "--advertise-client-urls", etcd)
	c.APIServer = component("apiserver", "kube", "kube-apiserver",
		"--etcd-servers="+etcd, "--bind-address="+NodeIP, "--advertise-address="+NodeIP, "--secure-port=6443",
		"--tls-cert-file="+certificate("tls.crt"), "--tls-private-key-file="+certificate("tls.key"),
		"--token-auth-file="+at("tokens.csv"), "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--service-account-key-file="+certificate("sa.pub"), "--service-account-signing-key-file="+certificate("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range="+serviceRange,
		"--kubelet-preferred-address-types=InternalIP")
	config := func(user string) []string {
		file := at(user + ".kubeconfig")
		return []string{"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file, "--leader-elect=false"}
	}
	c.Controllers = component("controller-manager", "kube", "kube-controller-manager", append(config("controllers"),
		"--service-account-private-key-file="+certificate("sa.key"), "--root-ca-file="+certificate("ca.crt"), "--use-service-account-credentials=true")...)
	c.Scheduler = component("scheduler", "kube", "kube-scheduler", config("scheduler")...)
	c.Containerd = component("containerd", "containerd", "containerd", "-c", at("containerd.toml"))
	c.Kubelet = component("kubelet", "kube", "kubelet", "--config="+at("kubelet.yaml"), "--kubeconfig="+at("node.kubeconfig"),
		"--hostname-override="+nodeName, "--root-dir="+at("kubelet"), "--cert-dir="+at("kubelet/pki"), "--node-ip="+NodeIP)
	c.Proxy = component("kube-proxy", "kube", "kube-proxy", "--config="+at("proxy.yaml"), "--hostname-override="+nodeName)
	c.DNS = component("coredns", "coredns", "coredns", "-conf", at("Corefile"))
	c.KEDA = component("keda", "keda", "operator", "--cert-dir="+at("certificates"), "--metrics-bind-address=127.0.0.1:18080",
		"--health-probe-bind-address="+kedaHealth, "--metrics-service-bind-address=127.0.0.1:19666")
	c.KEDA.env = append(c.KEDA.env, "KUBECONFIG="+c.Kubeconfig(), "WATCH_NAMESPACE=", "KEDA_CLUSTER_OBJECT_NAMESPACE=keda", "POD_NAMESPACE=keda")
}

func (c *Cluster) all() []*Component {
	return []*Component{c.Etcd, c.APIServer, c.Controllers, c.Scheduler, c.Containerd, c.Kubelet, c.Proxy, c.DNS, c.KEDA}
}

// Failed reports a component that has ended unexpectedly.
func (c *Cluster) Failed() error {
	var errs []error
	for _, component := range c.all() {
		errs = append(errs, component.failed())
	}
	return errors.Join(errs...)
}

// startAPI starts the components that all others need.
func (c *Cluster) startAPI(ctx context.Context) error {
	if err := errors.Join(c.Etcd.start(), c.APIServer.start(), c.Containerd.start()); err != nil {
		return err
	}
	return c.await(ctx, "the API server", func(ctx context.Context) error { return c.get(ctx, server+"/readyz", nil) })
}

func (c *Cluster) startRest(ctx context.Context) error {
	err := c.await(ctx, "containerd", func(context.Context) error {
		_, err := os.Stat(c.containerdSocket())
		return err
	})
	if err != nil {
		return err
	}
	if err := c.loadPause(ctx); err != nil {
		return err
	}
	if err := errors.Join(c.Controllers.start(), c.Scheduler.start(), c.Kubelet.start(), c.Proxy.start(), c.DNS.start()); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "apply", "-f", filepath.Join(c.dir, "dns.yaml"))
	return err
}

func (c *Cluster) startKEDA(ctx context.Context) error {
	// As one annotation the definition of the ScaledJob would be too large, so it is applied on
	// the server's side.
	for _, folder := range c.binaries.definitions() {
		if _, err := c.Kubectl(ctx, "apply", "--server-side", "--filename", folder); err != nil {
			return err
		}
	}
	if _, err := c.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"); err != nil {
		return err
	}
	if err := c.KEDA.start(); err != nil {
		return err
	}
	return c.AwaitKEDA(ctx)
}

// AwaitKEDA waits until the operator reports that it is ready.
func (c *Cluster) AwaitKEDA(ctx context.Context) error {
	return c.await(ctx, "KEDA's operator", func(ctx context.Context) error { return c.get(ctx, "http://"+kedaHealth+"/readyz", nil) })
}

// ready waits until pods can run and names can be looked up.
func (c *Cluster) ready(ctx context.Context) error {
	err := c.await(ctx, "the node", func(ctx context.Context) error {
		var node struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := c.get(ctx, server+"/api/v1/nodes/"+nodeName, &node); err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				return nil
			}
		}
		return fmt.Errorf("not ready: %+v", node.Status.Conditions)
	})
	if err != nil {
		return err
	}
	err = c.await(ctx, "DNS", func(ctx context.Context) error {
		_, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, "kubernetes.default.svc.cluster.local")
		return err
	})
	if err != nil {
		return err
	}
	return c.await(ctx, "the default service account", func(ctx context.Context) error {
		return c.get(ctx, server+"/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// get requests a page as the administrator and decodes it into v unless v is nil.
func (c *Cluster) get(ctx context.Context, url string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer admintoken")
	response, err := c.api.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
	case v != nil:
		return json.Unmarshal(body, v)
	}
	return nil
}

// Kubeconfig returns the administrator's file.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "admin.kubeconfig") }

// Environment returns the variables for kubectl and similar programs.
func (c *Cluster) Environment() []string {
	return append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "PATH="+c.binaries.path())
}

// Kubectl runs kubectl as the administrator and returns what it prints.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, c.dir, []string{"KUBECONFIG=" + c.Kubeconfig()}, c.binaries.Kubectl(), args...)
}

// Dir returns the cluster's folder. Callers create folders of their own in it.
func (c *Cluster) Dir() string { return c.dir }

// Logs returns the folder that is kept after a failure.
func (c *Cluster) Logs() string { return filepath.Join(c.dir, logFolder) }
