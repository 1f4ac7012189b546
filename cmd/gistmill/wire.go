package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/certificates"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/keys"
	"github.com/gistmill/gistmill/internal/llm/limiter"
	"github.com/gistmill/gistmill/internal/llm/traits"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/telemetry"
	"github.com/gistmill/gistmill/tasks"
	"github.com/gistmill/gistmill/worker"
)

const (
	// connectTimeout is how long a command tries to connect to Redis and to the ledger.
	connectTimeout = 15 * time.Second
	// connectInterval is the time between two attempts.
	connectInterval = 500 * time.Millisecond
	// sayWaitingAfter is the time after which a command says what it waits for.
	sayWaitingAfter = time.Second
)

// app holds what a command works with. Parts that the command does not need are nil.
type app struct {
	*cli
	config   config.Config
	log      *slog.Logger
	ledger   *ledger.Ledger
	queue    *tasks.Queue       // nil without Redis
	recovery *recovery.Recovery // nil without a queue
	// Tracing and observer are nil if they are off.
	tracing  *telemetry.Tracing
	observer *telemetry.Observer
	traits   *traits.Book // see app.book
	progress *progress    // nil: the command shows none
	began    bool         // `run` has planned, and works
	did      worker.Did   // what the worker of `run` did
	closes   []func() error
}

// open connects to the ledger and, if needed, to the queue.
func (a *app) open(ctx context.Context, need needs) error {
	err := a.connect(ctx, need)
	if err == nil {
		a.sayNew(need)
	}
	return err
}

func (a *app) connect(ctx context.Context, need needs) error {
	if err := a.openLedger(ctx, need); err != nil {
		return err
	}
	address := a.config.Redis
	switch {
	case !need.queue(address):
		return nil
	case address == "" && need == embedsQueue:
		embedded := miniredis.NewMiniRedis()
		if err := embedded.Start(); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		a.closes = append(a.closes, func() error { embedded.Close(); return nil })
		address = "redis://" + embedded.Addr()
	}
	client, err := a.dialRedis(address)
	if err != nil {
		return err
	}
	if err := a.await(ctx, "Redis at "+config.RedactURL(address), connectTimeout, tasks.IsUnavailable, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return fmt.Errorf("connect to Redis at %s: %w; check --redis or GISTMILL_REDIS, and that Redis runs", config.RedactURL(address), err)
	}
	a.queue = tasks.NewQueue(client, a.config.Queue)
	a.recovery = recovery.New(a.ledger, a.queue, a.log)
	if !a.embedded() {
		if err := a.checkRedis(ctx); err != nil {
			return err
		}
	}
	return a.openTracing(ctx)
}

// openLedger connects to the ledger.
func (a *app) openLedger(ctx context.Context, need needs) error {
	o := ledger.Options{Connections: a.config.StoreConnections, Access: need.access()}
	open := func(ctx context.Context) (err error) {
		a.ledger, err = ledger.Open(ctx, a.config.Store, o)
		return err
	}
	err := a.await(ctx, "the ledger at "+config.RedactURL(a.config.Store), connectTimeout, ledger.IsUnavailable, open)
	if errors.Is(err, ledger.ErrMissing) && need == previewsLedger {
		o.Access = ledger.AccessMemory
		err = open(ctx)
	}
	switch {
	case errors.Is(err, ledger.ErrMissing), errors.Is(err, ledger.ErrOlder):
		return err // names the ledger and what to do
	case err != nil:
		return fmt.Errorf("%w; check --store or GISTMILL_STORE", err)
	}
	a.closes = append(a.closes, a.ledger.Close)
	return nil
}

// sayNew says which file was made for a ledger.
func (a *app) sayNew(need needs) {
	switch {
	case !a.ledger.Created():
	case need == embedsQueue || need == makesLedger:
		a.say("new ledger %s", strings.TrimPrefix(a.config.Store, "sqlite:"))
	default:
		a.log.Info("new ledger", "path", a.ledger.Place())
	}
}

// dialRedis returns a client of Redis, which connects when it is used.
func (a *app) dialRedis(address string) (redis.UniversalClient, error) {
	// go-redis would write to stderr. Its errors are returned too, so its log is for debugging only.
	redis.SetLogger(redisLog{a.log})
	files := certificates.Files{For: "redis", CA: a.config.RedisCA, Cert: a.config.RedisCert, Key: a.config.RedisKey}
	client, err := tasks.DialTLS(address, files.Config)
	if err != nil {
		return nil, err
	}
	a.closes = append(a.closes, client.Close)
	return client, nil
}

// embedded reports whether the queue is in a Redis of this process, which ends with it.
func (a *app) embedded() bool { return a.config.Redis == "" }

// checkRedis rejects a Redis that would lose tasks, or that has another owner than the ledger.
func (a *app) checkRedis(ctx context.Context) error {
	var warnings []string
	redisAt := "Redis at " + config.RedactURL(a.config.Redis)
	err := a.await(ctx, redisAt, connectTimeout, tasks.IsUnavailable, func(ctx context.Context) (err error) {
		warnings, err = a.queue.CheckRedis(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.await(ctx, redisAt, connectTimeout+recovery.OwnerTimeout, isUnavailable, a.recovery.ClaimQueue); err != nil {
		return err
	}
	for _, w := range warnings {
		a.log.Warn("unsuitable Redis configuration", "warning", w)
	}
	return nil
}

// redisLog passes on the log of the Redis client.
type redisLog struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
}

func (a *app) close() {
	for i := len(a.closes) - 1; i >= 0; i-- {
		if err := a.closes[i](); err != nil {
			a.log.Warn("cannot close", "error", err)
		}
	}
	a.closes = nil
}

// slow says what a command does if it is not done within sayWaitingAfter. Nothing is printed after
// done has returned.
func (a *app) slow(doing string) (done func()) {
	said := make(chan struct{})
	saying := time.AfterFunc(sayWaitingAfter, func() {
		defer close(said)
		if a.sentences == nil && a.records == nil {
			a.log.Info("not done yet", "doing", doing)
		} else {
			a.say("%s", doing)
		}
	})
	return sync.OnceFunc(func() {
		if !saying.Stop() {
			<-said
		}
	})
}

// await is retryUntil, and says what it waits for if that takes long.
func (a *app) await(ctx context.Context, to string, timeout time.Duration, unavailable func(error) bool, try func(context.Context) error) error {
	defer a.slow("waiting for " + to + ", up to " + round(timeout))()
	return retryUntil(ctx, timeout, unavailable, try)
}

// retryUntil calls try until it succeeds, fails permanently (a wrong password), or the timeout
// ends. It retries only errors that unavailable reports.
func retryUntil(ctx context.Context, timeout time.Duration, unavailable func(error) bool, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
		if loop.Sleep(ctx, connectInterval) != nil {
			return last
		}
	}
}

// isUnavailable reports whether the ledger or Redis is not available yet.
func isUnavailable(err error) bool { return ledger.IsUnavailable(err) || tasks.IsUnavailable(err) }

// sourceOptions returns the options with which a worker opens a source. A listing adds filters.
func (a *app) sourceOptions() source.Options {
	return source.Options{MaxBytes: a.config.MaxDocumentBytes}
}

// prices returns the built-in prices with those of the setting `prices`. Commands that plan or work
// call it before they connect to anything.
func (a *app) prices() (*llm.Prices, error) {
	p, err := llm.LoadPrices(a.config.Prices)
	if err != nil && a.config.Prices != "" {
		return nil, &config.InvalidError{Problems: []string{err.Error()}}
	}
	return p, err
}

// endpoints returns the endpoints of the settings, without clients; none if no endpoint is set.
func (a *app) endpoints() llm.Endpoints {
	if !a.config.HasEndpoint() {
		return nil
	}
	first := llm.Endpoint{
		BaseURL: a.config.BaseURL, APIKey: a.config.APIKey.Reveal(), APIVersion: a.config.APIVersion, Keys: a.keys(), KeyName: a.config.KeyName(),
		Headers: a.config.RequestHeaders(), Certificates: a.config.Certificates(), RPM: a.config.RPM, TPM: a.config.TPM,
	}
	all := llm.NewEndpoints(first, a.config.Fallbacks...)
	for i := range all {
		all[i].Traits = a.book()
	}
	return all
}

// book returns what is known of endpoints and models. It is empty until it was read from the
// ledger.
func (a *app) book() *traits.Book {
	if a.traits == nil {
		var store traits.Store
		if a.ledger != nil {
			store = traitsStore{a.ledger}
		}
		a.traits = traits.NewBook(store, a.log)
	}
	return a.traits
}

// traitsStore keeps what is known of endpoints and models in the ledger.
type traitsStore struct{ ledger *ledger.Ledger }

// LoadTraits implements [traits.Store].
func (s traitsStore) LoadTraits(ctx context.Context) (map[string]traits.Traits, error) {
	rows, err := s.ledger.Traits(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]traits.Traits, len(rows))
	for _, row := range rows {
		var t traits.Traits
		if json.Unmarshal([]byte(row.Body), &t) == nil { // another version's traits are learned again
			all[row.Hash] = t
		}
	}
	return all, nil
}

// AddTraits implements [traits.Store].
func (s traitsStore) AddTraits(ctx context.Context, key traits.Key, lesson traits.Traits) (merged traits.Traits, err error) {
	_, err = s.ledger.ChangeTraits(ctx, ledger.Traits{Hash: key.Hash, Host: key.Host, Model: key.Model}, func(body string) (string, error) {
		var old traits.Traits
		_ = json.Unmarshal([]byte(body), &old) // empty, or of another version: learned again
		merged = old.Merge(lesson)
		encoded, err := json.Marshal(merged)
		return string(encoded), err
	})
	return merged, err
}

// keys returns where the key of the first endpoint comes from if it can change; else nil.
func (a *app) keys() llm.KeySource {
	switch {
	case a.config.APIKeyFile != "":
		return keys.NewFile(a.config.APIKeyFile, a.log)
	case a.config.APIKeyCommand != "":
		return keys.NewCommand(a.config.APIKeyCommand.Reveal(), a.environ, a.log)
	}
	return nil
}

// window returns the context window in tokens, the smallest of all models that may be called.
func (a *app) window(prices *llm.Prices, model string) int {
	return cmp.Or(a.config.ContextTokens, prices.SmallestWindow(a.endpoints().Models(model)...))
}

// connectedEndpoints returns the endpoints, each with a client that has its own limiter and circuit
// breaker.
func (a *app) connectedEndpoints() (llm.Endpoints, error) {
	all := a.endpoints()
	for i, e := range all {
		limits := limiter.Config{
			Redis: a.queue.Redis(), Endpoint: e.BaseURL, Key: e.KeyIdentity(), RPM: e.RPM, TPM: e.TPM,
			MaxInFlight: a.config.Concurrency, Timeout: a.config.RequestTimeout, Logger: a.log,
		}
		c := llm.Config{
			FailWhenDown: len(all) > 1, Timeout: a.config.RequestTimeout, FlexTimeout: a.config.FlexTimeout, MaxConnections: a.config.Concurrency, MaxWait: a.config.MaxWait,
			UserAgent: userAgent(), Limiter: limiter.New(limits), Logger: a.log,
		}
		if a.observer != nil {
			c.Observer = a.observer
		}
		client, err := e.NewClient(c)
		if err != nil {
			return nil, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
		}
		a.closes = append(a.closes, func() error { client.Close(); return nil })
		all[i] = e.WithClient(client)
	}
	return all, nil
}

// outages returns what keeps, for all workers, which endpoints give no answer. It tells the clients
// of such endpoints, which then make one call until one answers.
func (a *app) outages(endpoints llm.Endpoints) worker.Outages {
	ctx, cancel := context.WithTimeout(a.stop, connectTimeout)
	defer cancel()
	known, err := limiter.Outages(ctx, a.queue.Redis())
	if err != nil {
		a.log.Warn("cannot read which endpoints give no answer", "error", err)
	}
	for _, o := range known {
		for _, e := range endpoints {
			if client, ok := e.Client.(*llm.Client); ok && client.Host() == o.Endpoint {
				client.Suspect(o.Since, o.Cause)
			}
		}
	}
	first := a.endpoints()[0]
	return limiter.New(limiter.Config{Redis: a.queue.Redis(), Endpoint: first.BaseURL, Key: first.KeyIdentity(), Logger: a.log})
}

// workerOptions are options of a worker that differ between commands. A worker with the zero value
// works until it is stopped.
type workerOptions struct {
	idleExit       time.Duration
	poll           time.Duration
	stopOnDiskFull bool
	saysStops      bool
	done           func(ledger.Exported) // may be nil
	runs           []ledger.RunID        // the only ones whose tasks the queue has; nil: any
}

// worker returns a worker.
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
		Ledger: a.ledger, Queue: a.queue, Log: a.log, Endpoints: endpoints, Traits: a.book(), Prices: prices,
		Open: func(ctx context.Context, url string) (*source.Source, error) {
			return source.Open(ctx, url, a.sourceOptions())
		},
		Reader:      reader,
		Concurrency: a.config.Concurrency, Partitions: a.config.Partitions, ContextTokens: a.config.ContextTokens,
		MinWords: a.config.MinWords,
		Retry:    tasks.Retry{Base: a.config.RetryBase, Cap: a.config.RetryCap, MaxAttempts: int64(a.config.MaxAttempts)},
		MaxWait:  a.config.MaxWait,
		Grace:    a.config.ShutdownGrace,
		IdleExit: o.idleExit, Poll: o.poll, StopOnDiskFull: o.stopOnDiskFull, SaysStops: o.saysStops, StopsSilent: o.saysStops, Done: o.done, Runs: o.runs,
		DayCapNano: budgetNano(a.config.BudgetUSDDay),
	}
	if !o.saysStops && len(endpoints) > 0 {
		c.Outages = a.outages(endpoints)
	}
	if a.observer != nil {
		c.Observer = a.observer
	}
	return worker.New(c)
}

// ledgerFiles returns the files of a SQLite ledger, which are not documents.
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
