package enqueuer

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

const (
	// ownEvery is how often an empty Redis is looked at again for the queue's mark.
	ownEvery = 500 * time.Millisecond
	// OwnWithin is how long Own waits at the most: what a process that has ended wrote last has lapsed by then.
	OwnWithin = ledger.MarkLease + 5*time.Second
)

// OtherLedgerError says that the queue in Redis belongs to another ledger: its tasks mean nothing here, and ours nothing there.
type OtherLedgerError struct{ Queue, Key string }

func (e *OtherLedgerError) Error() string {
	return fmt.Sprintf("queue %s in this Redis belongs to another ledger: give each ledger a queue of its own (--queue or GISTMILL_QUEUE); "+
		"if the other ledger is gone for good, delete the key %s in Redis", e.Queue, e.Key)
}

// OtherRedisError says that the ledger's queue is in use in another Redis.
type OtherRedisError struct{ Queue string }

func (e *OtherRedisError) Error() string {
	return fmt.Sprintf("queue %s of this ledger is in use in another Redis, and this one has nothing of it: check --redis or GISTMILL_REDIS. "+
		"From two of them the same documents would be worked on, each with a rate limit of its own", e.Queue)
}

// Own makes sure, before the queue is used, that it and the ledger belong together: the mark that the ledger has for it stands in Redis.
// In a Redis without any mark, new or flushed, it is written; but while other processes see the mark elsewhere they are waited for, as they
// write it again after a flush, for OwnWithin. It fails with an *OtherLedgerError or an *OtherRedisError.
func (e *Enqueuer) Own(ctx context.Context) error {
	until := time.Now().Add(OwnWithin)
	for {
		mark, here, err := e.marks(ctx)
		switch {
		case err != nil:
			return err
		case here != "" || !mark.Fresh:
			return e.KeepOwn(ctx)
		case time.Now().After(until):
			return &OtherRedisError{e.Queue.Name()}
		}
		if err := sleep(ctx, ownEvery); err != nil {
			return err
		}
	}
}

// KeepOwn looks again whether queue and ledger belong together, and writes the mark where a flushed Redis has lost it. A process that
// has owned the queue is to call it every few seconds, and to end when it fails with an *OtherLedgerError.
func (e *Enqueuer) KeepOwn(ctx context.Context) error {
	mark, here, err := e.marks(ctx)
	if err != nil {
		return err
	}
	if here == "" {
		if err := e.Queue.PutMark(ctx, mark.Mark); err != nil {
			return err
		}
		e.Log.Info("queue marked as this ledger's", "queue", e.Queue.Name())
		if here, err = e.Queue.Mark(ctx); err != nil {
			return err
		}
	}
	if here != mark.Mark {
		return &OtherLedgerError{e.Queue.Name(), e.Queue.MarkKey()}
	}
	return e.Ledger.SawQueue(ctx, e.Queue.Name())
}

// marks are the one that the ledger has for the queue and the one that stands in Redis.
func (e *Enqueuer) marks(ctx context.Context) (ledger.QueueMark, string, error) {
	mark, err := e.Ledger.QueueMark(ctx, e.Queue.Name())
	if err != nil {
		return mark, "", err
	}
	here, err := e.Queue.Mark(ctx)
	return mark, here, err
}
