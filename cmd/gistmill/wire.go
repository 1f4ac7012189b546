package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/corpus"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/tasks"
	"github.com/gistmill/gistmill/worker"
)

// startFor is how long a program tries to reach Redis and ledger at its start.
const startFor = 15 * time.Second

// app is everything that a command is wired from. Parts that a command does not need are nil.
type app struct {
	*cli
	config config.Config
	log    *slog.Logger
	ledger *ledger.Ledger
	queue  *tasks.Queue // nil without a Redis
	closes []func() error
}

// queueNeed says what a command wants of Redis.
type queueNeed int

const (
	queueNone     queueNeed = iota
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
	if problems := notYet(cfg); len(problems) > 0 {
		return nil, &config.InvalidError{Problems: problems}
	}
	return &app{cli: c, config: cfg, log: newLog(c.stderr, cfg)}, nil
}

// notYet refuses settings that nothing obeys: somebody would rely on them.
func notYet(cfg config.Config) (problems []string) {
	if len(cfg.Fallbacks) > 0 {
		problems = append(problems, "--fallbacks is not there yet: give one endpoint with --base-url")
	}
	return problems
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
	err := patiently(ctx, func(ctx context.Context) (err error) {
		a.ledger, err = ledger.Open(ctx, a.config.Store, ledger.Options{Connections: a.config.StoreConnections, Logger: a.log})
		return err
	})
	if err != nil {
		return fmt.Errorf("%w (--store or GISTMILL_STORE)", err)
	}
	a.closes = append(a.closes, a.ledger.Close)
	address := a.config.Redis
	switch {
	case need == queueNone, need == queueOptional && address == "":
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
	client, err := tasks.Dial(address)
	if err != nil {
		return err
	}
	a.closes = append(a.closes, client.Close)
	if err := patiently(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return fmt.Errorf("reach Redis at %s: %w; check --redis or GISTMILL_REDIS, and that it runs", config.RedactURL(address), err)
	}
	a.queue = tasks.NewQueue(client, a.config.Queue)
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

// patiently tries for startFor as long as the other side is only not there yet: a wrong password does not get better.
func patiently(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startFor)
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
		if !notThereYet(err) && ctx.Err() == nil {
			return err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return last
		}
	}
}

func notThereYet(err error) bool {
	var network *net.OpError
	var starting *pgconn.PgError
	switch {
	case errors.As(err, &starting):
		return starting.Code == "57P03" // the database system is starting up
	case errors.As(err, &network):
		return true
	}
	return strings.Contains(err.Error(), "LOADING") // Redis is loading its data
}

// sourceOptions are what a worker opens a source with; a listing adds its filters.
func (a *app) sourceOptions() corpus.Options {
	return corpus.Options{MaxBytes: a.config.MaxDocumentBytes}
}

// enqueuer is wired with ledger and queue.
func (a *app) enqueuer() *enqueuer.Enqueuer {
	return &enqueuer.Enqueuer{Ledger: a.ledger, Queue: a.queue, Log: a.log}
}

// profile reads the profile that the settings describe.
func (a *app) profile() (summarize.Profile, error) {
	p := summarize.Profile{Model: a.config.Model, Words: a.config.Words}
	if p.Model == summarize.Extractive {
		return p, p.Validate()
	}
	p.MaxOutputTokens, p.Temperature = a.config.MaxOutputTokens, a.config.Temperature
	if a.config.Prompt != "" {
		text, err := os.ReadFile(a.config.Prompt)
		if err != nil {
			return p, fmt.Errorf("read the prompt: %w", err)
		}
		p.Prompt = string(text)
	}
	if a.config.Schema != "" {
		text, err := os.ReadFile(a.config.Schema)
		if err != nil {
			return p, fmt.Errorf("read the schema: %w", err)
		}
		p.Schema = json.RawMessage(text)
	}
	if err := p.Validate(); err != nil {
		return p, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
	}
	return p, nil
}

// prices are the built-in table, or the one of a file.
func (a *app) prices() (*llm.Prices, error) {
	if a.config.Prices == "" {
		return llm.NewPrices(nil)
	}
	return llm.LoadPrices(a.config.Prices)
}

// client calls the endpoint; nil where there is none.
func (a *app) client() (*llm.Client, error) {
	if a.config.APIKey == "" && a.config.BaseURL == "" {
		return nil, nil
	}
	limiter := llm.NewSharedLimiter(llm.SharedLimits{
		Redis: a.queue.Redis(), Endpoint: a.config.BaseURL, Key: a.config.APIKey.Reveal(), RPM: a.config.RPM, TPM: a.config.TPM,
		MaxInFlight: a.config.Concurrency, Timeout: a.config.RequestTimeout, Logger: a.log,
	})
	client, err := llm.New(llm.Config{
		BaseURL: a.config.BaseURL, APIKey: a.config.APIKey.Reveal(), APIVersion: a.config.APIVersion,
		Timeout: a.config.RequestTimeout, MaxConnections: a.config.Concurrency, Limiter: limiter, Logger: a.log,
	})
	if err != nil {
		return nil, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
	}
	a.closes = append(a.closes, func() error { client.Close(); return nil })
	return client, nil
}

// worker is wired with everything; poll 0 is its default.
func (a *app) worker(idleExit, poll time.Duration) (*worker.Worker, error) {
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	prices, err := a.prices()
	if err != nil {
		return nil, err
	}
	limits := corpus.Limits{Bytes: a.config.MaxDocumentBytes}
	extractor := corpus.NewExtractor(limits)
	a.closes = append(a.closes, extractor.Close)
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := worker.Config{
		Ledger: a.ledger, Queue: a.queue, Log: a.log, Prices: prices,
		Open: func(ctx context.Context, url string) (*corpus.Source, error) {
			return corpus.Open(ctx, url, a.sourceOptions())
		},
		Extractor: extractor, ReaderCommand: []string{self, "extract"}, Limits: limits,
		Concurrency: a.config.Concurrency, Partitions: a.config.Partitions, ContextTokens: a.config.ContextTokens,
		Retry:    tasks.Retry{Base: a.config.RetryBase, Cap: a.config.RetryCap, MaxAttempts: int64(a.config.MaxAttempts)},
		Grace:    a.config.ShutdownGrace,
		IdleExit: idleExit, Poll: poll,
		DayCapNano: budgetNano(a.config.BudgetUSDDay),
		Withdraw:   a.enqueuer().Withdraw,
	}
	if client != nil {
		c.Calls = client
	}
	return worker.New(c), nil
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
