// Command command builds and runs the cluster of the end-to-end tests by hand.
//
// Build the binaries, unless they are in the cache:
//
//	go run ./test/e2e/cluster/command build
//
// Start a cluster, run CMD in it with KUBECONFIG and PATH set, and end it:
//
//	go run ./test/e2e/cluster/command run CMD...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gistmill/gistmill/test/e2e/cluster"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(args []string) (int, error) {
	switch {
	case len(args) == 1 && args[0] == "build":
		if err := cluster.Missing(); err != nil {
			return 1, err
		}
		_, err := build(context.Background())
		return 0, err
	case len(args) > 1 && args[0] == "run":
		return inCluster(args[1:])
	default:
		return 2, errors.New("usage: build, or run and a command")
	}
}

func build(ctx context.Context) (*cluster.Binaries, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	cache, err := cluster.CacheFolder()
	if err != nil {
		return nil, err
	}
	return cluster.Build(ctx, root, cache, os.Stderr)
}

func inCluster(args []string) (int, error) {
	dir := cluster.Enter(func(ctx context.Context, _ string) error {
		_, err := build(ctx)
		return err
	})
	ctx := context.Background()
	binaries, err := build(ctx) // everything is in the cache
	if err != nil {
		return 1, err
	}
	c, err := cluster.Start(ctx, dir, binaries)
	if err != nil {
		return 1, err
	}
	return cluster.Run(ctx, c, os.Stdin, args)
}
