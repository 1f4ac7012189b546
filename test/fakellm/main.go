// Command fakellm serves an OpenAI-compatible endpoint that costs nothing and fails on demand,
// for trying gistmill, for tests and for benchmarks:
//
//	go run ./test/fakellm -latency 300ms -rpm 1200 -rate-500 0.05
//	gistmill run ./docs --base-url http://127.0.0.1:8089/v1
//
// Every setting is a flag (see -help) and can be changed at run time:
//
//	curl -X POST http://127.0.0.1:8089/_fake/config -d '{"rpm": 600}'
//	curl http://127.0.0.1:8089/_fake/stats
//	# admitted and admissible in the last minute
//	curl "http://127.0.0.1:8089/_fake/stats?from=$(($(date +%s) - 60))"
//	curl http://127.0.0.1:8089/_fake/seconds # second by second
//	curl http://127.0.0.1:8089/_fake/calls?after=1000
//	curl -X DELETE http://127.0.0.1:8089/_fake/calls
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The process holds little memory, so Go would collect garbage many times a second, which
	// would cost a quarter of each call.
	debug.SetGCPercent(800)
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "fakellm:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints the base URL once it listens.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	fs := flag.NewFlagSet("fakellm", flag.ContinueOnError)
	fs.SetOutput(stderr)
	listen := fs.String("listen", "127.0.0.1:8089", "address; port 0 takes a free one")
	cfg := fakellm.Defaults()
	cfg.Flags(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	handler, err := fakellm.New(cfg)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stderr, "fakellm: base URL http://%s/v1\n", l.Addr())

	// Hangs end with the server; Shutdown would wait for them.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	err = server.Close()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
