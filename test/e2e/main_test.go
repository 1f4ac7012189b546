//go:build e2e

// Package e2e runs gistmill on a whole real Kubernetes with KEDA, as users do: the chart
// installed by Helm, a real Redis and a real PostgreSQL, documents in a bucket, the project's
// fake endpoint. README.md explains how it works.
//
// It owns behaviour that only a cluster shows: that the right number of Jobs starts at the
// right time, and that nothing is lost when Kubernetes, KEDA, Redis or a pod fails. Processes
// alone are tested in test/integration, and the chart's templates in deploy/chart.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gistmill/gistmill/test/e2e/cluster"
	"github.com/gistmill/gistmill/test/program"
)

// atOnce is the number of tests that run at once: most of the time they wait for a poll, a
// lease or a pod.
const atOnce = "3"

// image is the pods' image, built from this repository.
const image = "docker.io/local/gistmill:e2e"

// chart is the chart under test.
var chart = filepath.Join("..", "..", "deploy", "chart", "gistmill")

// model is the model name for the fake endpoint.
const model = "gpt-4o-mini"

// suite is shared by all tests.
type suite struct {
	cluster  *cluster.Cluster
	binary   string // the program under test
	postgres *postgres
	client   kubernetes.Interface
	objects  dynamic.Interface // for resources without a typed client here
}

var shared suite

func TestMain(m *testing.M) {
	dir := cluster.Enter(prepare)
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(atOnce)
	}
	code, err := runTests(m, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// prepare builds what the tests need while there is a network.
func prepare(ctx context.Context, dir string) error {
	if err := missingServers(); err != nil {
		return err
	}
	if _, err := build(ctx); err != nil {
		return err
	}
	return program.Build(ctx, filepath.Join(dir, "gistmill"), "github.com/gistmill/gistmill/cmd/gistmill")
}

func build(ctx context.Context) (*cluster.Binaries, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return nil, err
	}
	cache, err := cluster.CacheFolder()
	if err != nil {
		return nil, err
	}
	return cluster.Build(ctx, root, cache, os.Stderr)
}

func runTests(m *testing.M, dir string) (int, error) {
	ctx := context.Background()
	binaries, err := build(ctx) // everything is in the cache by now
	if err != nil {
		return 1, err
	}
	shared.binary = filepath.Join(dir, "gistmill")
	if shared.cluster, err = cluster.Start(ctx, dir, binaries); err != nil {
		return 1, err
	}
	if err := shared.cluster.Load(ctx, cluster.Image{Ref: image, Program: shared.binary}); err != nil {
		return 1, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", shared.cluster.Kubeconfig())
	if err != nil {
		return 1, err
	}
	config.QPS, config.Burst = 200, 400 // the tests share one client
	config.WarningHandler = rest.NoWarnings{}
	if shared.client, err = kubernetes.NewForConfig(config); err != nil {
		return 1, err
	}
	if shared.objects, err = dynamic.NewForConfig(config); err != nil {
		return 1, err
	}
	if shared.postgres, err = startPostgres(ctx, dir); err != nil {
		return 1, err
	}
	code := m.Run()
	return code, measured.write()
}
