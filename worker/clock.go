package worker

import (
	"context"
	"time"
)

// clockWatch keeps what the worker writes to the queue at the time of Redis, and says once when its own clock is wrong.
type clockWatch struct {
	worker *Worker
	wrong  bool
}

func (c *clockWatch) look(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, clockEvery)
	defer cancel()
	log := c.worker.Log
	ahead, err := c.worker.Queue.Synchronize(short)
	if err != nil {
		log.Debug("the clock was not compared", "error", err)
		return
	}
	switch wrong := ahead != 0; {
	case wrong && !c.wrong:
		log.Warn("the clock of this machine is not that of Redis: set it (NTP); the queue's times are corrected until then", "ahead_s", ahead.Round(time.Second).Seconds())
		c.wrong = true
	case !wrong && c.wrong:
		log.Info("the clock of this machine is right again")
		c.wrong = false
	}
}
