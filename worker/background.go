package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// renewEvery leaves time for two retries within a lease.
	renewEvery = ledger.Lease / 3
	// refreshEvery is how often the worker reads the states of its runs.
	refreshEvery = 2 * time.Second
	// clockEvery is how often the worker compares its clock with that of Redis.
	clockEvery = 5 * time.Second
)

// every calls f at once and then at each interval until ctx ends, and reports each turn to the
// observer.
func (w *Worker) every(ctx context.Context, name string, interval time.Duration, f func(context.Context)) {
	w.config.Observer.Turned(name)
	loop.Every(ctx, interval, func(ctx context.Context) {
		f(ctx)
		w.config.Observer.Turned(name)
	})
}

// renew renews the worker's lease, and so all its claims, and writes the counters to the ledger.
func (w *Worker) renew(ctx context.Context) {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, renewEvery)
		delta := w.counters.delta()
		err := w.ledger.Renew(short, w.id, delta)
		cancel()
		if err == nil {
			w.counters.ack(delta)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		w.log.Warn("lease not renewed, retrying", "error", err)
		_ = loop.Sleep(ctx, time.Second) // the loop checks ctx
	}
}

// clockWatch keeps the times that this process writes to the queue on the clock of Redis, and
// logs when its own clock begins to be wrong and when it is right again.
type clockWatch struct {
	queue *tasks.Queue
	log   *slog.Logger
	wrong bool
}

func (c *clockWatch) compare(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, clockEvery)
	defer cancel()
	ahead, err := c.queue.Synchronize(short)
	if err != nil {
		c.log.Debug("clock not compared with Redis", "error", err)
		return
	}
	switch wrong := ahead != 0; {
	case wrong && !c.wrong:
		c.log.Warn("clock skew against Redis: set this machine's clock (NTP); the queue's times are corrected until then",
			"ahead_s", ahead.Round(time.Second).Seconds())
	case !wrong && c.wrong:
		c.log.Info("clock skew against Redis is gone")
	}
	c.wrong = ahead != 0
}
