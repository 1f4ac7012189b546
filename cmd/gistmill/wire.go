package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/telemetry"
	"github.com/gistmill/gistmill/tasks"
	"github.com/gistmill/gistmill/worker"
)

// startFor is how long a program tries to reach Redis and ledger at its start.
const startFor = 15 * time.Second

// app is everything that a command is wired from. Parts that a command does not need are nil.
type app struct {
	*cli
	config   config.Config
	log      *slog.Logger
	ledger   *ledger.Ledger
	queue    *tasks.Queue       // nil without a Redis
	recovery *recovery.Recovery // nil without a queue
	// What is told of work: each is nil where nobody asks for it.
	tracing  *telemetry.Tracing
	observer *telemetry.Observer
	closes   []func() error
}

// queueNeed says what a command wants of Redis.
type queueNeed int

const (
	queueNone     queueNeed = iota
	queueViewed             // if it is set, only to look at
	queueOptional           // if it is set
	queueRequired
	queueEmbedded // embedded unless it is set
)

// settings registers a command's settings as flags, and returns what reads them.
func (c *cli) settings(command *cobra.Command, required ...string) func() (*app, error) {
	name, _, _ := strings.Cut(command.Use, " ")
	config.AddFlags(command.Flags(), config.ForCommand(name)...)
	return func() (*app, error) { return c.settingsOf(command, required...) }
}

// settingsOf reads the settings of a command whose flags are parsed.
func (c *cli) settingsOf(command *cobra.Command, required ...string) (*app, error) {
	cfg, err := config.Load(command.Flags(), c.environ, required...)
	for _, warning := range cfg.Warnings {
		c.say("warning: %s", warning)
	}
	if err != nil {
		return nil, err
	}
	return &app{cli: c, config: cfg, log: newLog(c.stderr, cfg)}, nil
}

func newLog(stderr io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && isTerminal(stderr) {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// open connects the ledger and, as needed, the queue.
func (a *app) open(ctx context.Context, need queueNeed) error {
	err := patiently(ctx, startFor, ledger.IsUnavailable, func(ctx context.Context) (err error) {
		a.ledger, err = ledger.Open(ctx, a.config.Store, ledger.Options{Connections: a.config.StoreConnections, Logger: a.log})
		return err
	})
	if err != nil {
		return fmt.Errorf("%w (--store or GISTMILL_STORE)", err)
	}
	a.closes = append(a.closes, a.ledger.Close)
	address := a.config.Redis
	switch {
	case need == queueNone, (need == queueViewed || need == queueOptional) && address == "":
		return nil
	case address == "" && need == queueEmbedded:
		embedded := miniredis.NewMiniRedis()
		if err := embedded.Start(); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		a.closes = append(a.closes, func() error { embedded.Close(); return nil })
		address = "redis://" + embedded.Addr()
	}
	// What go-redis writes to stderr by itself is said in our own words, once.
	redis.SetLogger(redisLog{a.log})
	client, err := tasks.DialTLS(address, tasks.Certificates{CA: a.config.RedisCA, Cert: a.config.RedisCert, Key: a.config.RedisKey})
	if err != nil {
		return err
	}
	a.closes = append(a.closes, client.Close)
	if err := patiently(ctx, startFor, tasks.IsUnavailable, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return fmt.Errorf("reach Redis at %s: %w; check --redis or GISTMILL_REDIS, and that it runs", config.RedactURL(address), err)
	}
	a.queue = tasks.NewQueue(client, a.config.Queue)
	a.recovery = recovery.New(a.ledger, a.queue, a.log)
	if need != queueViewed && !a.embedded() {
		if err := a.checkRedis(ctx); err != nil {
			return err
		}
	}
	return a.openTracing(ctx)
}

// embedded says that the queue is in a Redis of this process, which ends with it.
func (a *app) embedded() bool { return a.config.Redis == "" }

// checkRedis refuses one that would lose tasks, and one that has nothing to do with the ledger.
func (a *app) checkRedis(ctx context.Context) error {
	var warnings []string
	err := patiently(ctx, startFor, tasks.IsUnavailable, func(ctx context.Context) (err error) {
		warnings, err = a.queue.CheckRedis(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := patiently(ctx, startFor+recovery.OwnerTimeout, unavailable, a.recovery.ClaimQueue); err != nil {
		return err
	}
	for _, w := range warnings {
		a.log.Warn("Redis is not set as a queue needs it", "warning", w)
	}
	return nil
}

// redisLog passes the Redis client's log on.
type redisLog struct{ log *slog.Logger }

// Printf is go-redis' only method of a logger.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
}

func (a *app) close() {
	for i := len(a.closes) - 1; i >= 0; i-- {
		if err := a.closes[i](); err != nil {
			a.log.Warn("close", "error", err)
		}
	}
	a.closes = nil
}

// patiently tries for some time as long as the other side is only not there yet: a wrong password does not get better.
func patiently(ctx context.Context, within time.Duration, unavailable func(error) bool, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !unavailable(err) && ctx.Err() == nil {
			return err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return last
		}
	}
}

func unavailable(err error) bool { return ledger.IsUnavailable(err) || tasks.IsUnavailable(err) }

// sourceOptions are what a worker opens a source with; a listing adds its filters.
func (a *app) sourceOptions() source.Options {
	return source.Options{MaxBytes: a.config.MaxDocumentBytes}
}

// prices are the built-in table, or the one of a file.
func (a *app) prices() (*llm.Prices, error) {
	if a.config.Prices == "" {
		return llm.NewPrices(nil)
	}
	return llm.LoadPrices(a.config.Prices)
}

// endpoints returns the endpoints of the settings, without clients; none if no endpoint is set.
func (a *app) endpoints() llm.Endpoints {
	if a.config.APIKey == "" && a.config.BaseURL == "" {
		return nil
	}
	first := llm.Endpoint{BaseURL: a.config.BaseURL, APIKey: a.config.APIKey.Reveal(), APIVersion: a.config.APIVersion}
	return llm.NewEndpoints(first, a.config.Fallbacks...)
}

// window is what a request may take in tokens, of all models that may be asked.
func (a *app) window(prices *llm.Prices, model string) int {
	return cmp.Or(a.config.ContextTokens, prices.SmallestWindow(a.endpoints().Models(model)...))
}

// connectedEndpoints returns the endpoints, each with a client that has a limiter and a breaker of its own.
func (a *app) connectedEndpoints() (llm.Endpoints, error) {
	all := a.endpoints()
	for i, e := range all {
		limits := limiter.Config{
			Redis: a.queue.Redis(), Endpoint: e.BaseURL, Key: e.APIKey,
			MaxInFlight: a.config.Concurrency, Timeout: a.config.RequestTimeout, Logger: a.log,
		}
		if i == 0 { // the limits of the others are learned
			limits.RPM, limits.TPM = a.config.RPM, a.config.TPM
		}
		c := llm.Config{
			FailWhenDown: len(all) > 1, Timeout: a.config.RequestTimeout, MaxConnections: a.config.Concurrency,
			Limiter: limiter.New(limits), Logger: a.log,
		}
		if a.observer != nil {
			c.Observer = a.observer
		}
		client, err := e.NewClient(c)
		if err != nil {
			return nil, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
		}
		a.closes = append(a.closes, func() error { client.Close(); return nil })
		all[i].Client = client
	}
	return all, nil
}

// workerOptions are what commands want of a worker; the zero value is one that works until it is stopped.
type workerOptions struct {
	idleExit    time.Duration
	poll        time.Duration
	endWhenFull bool
	done        func(ledger.Exported) // may be nil
}

// worker is wired with everything.
func (a *app) worker(o workerOptions) (*worker.Worker, error) {
	endpoints, err := a.connectedEndpoints()
	if err != nil {
		return nil, err
	}
	prices, err := a.prices()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	reader := extract.NewReader(extract.Limits{Bytes: a.config.MaxDocumentBytes}, self, "extract")
	a.closes = append(a.closes, reader.Close)
	c := worker.Config{
		Ledger: a.ledger, Queue: a.queue, Log: a.log, Endpoints: endpoints, Prices: prices,
		Open: func(ctx context.Context, url string) (*source.Source, error) {
			return source.Open(ctx, url, a.sourceOptions())
		},
		Reader:      reader,
		Concurrency: a.config.Concurrency, Partitions: a.config.Partitions, ContextTokens: a.config.ContextTokens,
		Retry:    tasks.Retry{Base: a.config.RetryBase, Cap: a.config.RetryCap, MaxAttempts: int64(a.config.MaxAttempts)},
		Grace:    a.config.ShutdownGrace,
		IdleExit: o.idleExit, Poll: o.poll, StopOnDiskFull: o.endWhenFull, Done: o.done,
		DayCapNano: budgetNano(a.config.BudgetUSDDay),
	}
	if a.observer != nil {
		c.Observer = a.observer
	}
	return worker.New(c)
}

// outFolder is the absolute output folder, empty when it is not a folder.
func (a *app) outFolder() string {
	if a.config.Out == "" || a.config.Out == "-" {
		return ""
	}
	folder, err := filepath.Abs(a.config.Out)
	if err != nil {
		return ""
	}
	return folder
}

// ledgerFiles are the files of a SQLite ledger, which are no documents.
func (a *app) ledgerFiles() []string {
	path, ok := strings.CutPrefix(a.config.Store, "sqlite:")
	if !ok {
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	return []string{path, path + "-wal", path + "-shm"}
}
