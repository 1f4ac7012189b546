package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
)

const (
	// OwnerTimeout is how long [Recovery.ClaimQueue] waits at most. By then the ledger's
	// record of the queue has expired if the process that wrote it has ended.
	OwnerTimeout = ledger.MarkLease + 5*time.Second
	// ownerPoll is how often ClaimQueue reads the owner of a queue that has none.
	ownerPoll = 500 * time.Millisecond
	// verifyInterval is how often a process verifies the owner: a third of ledger.MarkLease.
	verifyInterval = 5 * time.Second
)

// OtherLedgerError is the error of a queue that belongs to another ledger: its tasks mean
// nothing to this ledger.
type OtherLedgerError struct{ Queue, Key string }

func (e *OtherLedgerError) Error() string {
	return fmt.Sprintf("queue %s in this Redis belongs to another ledger: give each ledger a queue of its own (--queue or GISTMILL_QUEUE); "+
		"if the other ledger is gone for good, delete the key %s in Redis", e.Queue, e.Key)
}

// OtherRedisError is the error of a queue that the ledger uses in another Redis.
type OtherRedisError struct{ Queue string }

func (e *OtherRedisError) Error() string {
	return fmt.Sprintf("queue %s of this ledger is in use in another Redis, and this Redis does not have it: check --redis or GISTMILL_REDIS. "+
		"With two of them the same documents would be worked on twice, under two rate limits", e.Queue)
}

// ClaimQueue makes sure, before a process uses the queue, that queue and ledger belong
// together: the queue's owner in Redis is the one that the ledger has on record.
//
// It writes the owner to a Redis that has none because it is new or was flushed. Processes
// that use the queue write their owner again after a flush. Therefore, while the ledger's
// record is fresh, ClaimQueue first waits for them, up to [OwnerTimeout]. It fails with an
// *[OtherLedgerError] or an *[OtherRedisError].
func (r *Recovery) ClaimQueue(ctx context.Context) error {
	deadline := time.Now().Add(OwnerTimeout)
	for {
		record, owner, err := r.owners(ctx)
		switch {
		case err != nil:
			return err
		case owner != "" || !record.Fresh:
			return r.VerifyQueueOwner(ctx)
		case time.Now().After(deadline):
			return &OtherRedisError{r.queue.Name()}
		}
		if err := loop.Sleep(ctx, ownerPoll); err != nil {
			return err
		}
	}
}

// VerifyQueueOwner checks that queue and ledger still belong together, and writes the owner
// again if a flushed Redis has lost it. It fails with an *[OtherLedgerError] when they do not;
// the process must then stop using the queue.
func (r *Recovery) VerifyQueueOwner(ctx context.Context) error {
	record, owner, err := r.owners(ctx)
	if err != nil {
		return err
	}
	if owner == "" {
		if err := r.queue.SetOwner(ctx, record.Mark); err != nil {
			return err
		}
		r.log.Info("queue claimed for this ledger", "queue", r.queue.Name())
		if owner, err = r.queue.Owner(ctx); err != nil {
			return err
		}
	}
	if owner != record.Mark {
		return &OtherLedgerError{r.queue.Name(), r.queue.OwnerKey()}
	}
	return r.ledger.SawQueue(ctx, r.queue.Name())
}

// WatchQueueOwner calls [Recovery.VerifyQueueOwner] every few seconds until ctx ends, and then
// returns nil. It returns an *[OtherLedgerError] as soon as the queue belongs to another
// ledger. Other errors are logged, and the check is retried.
func (r *Recovery) WatchQueueOwner(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var other *OtherLedgerError
	loop.Every(ctx, verifyInterval, loop.Report(r.log, "verify the queue's owner", func(ctx context.Context) error {
		err := r.VerifyQueueOwner(ctx)
		if errors.As(err, &other) {
			end()
		}
		return err
	}))
	if other != nil {
		return other
	}
	return nil
}

// owners returns the queue's owner as the ledger has it on record and as Redis has it.
func (r *Recovery) owners(ctx context.Context) (record ledger.QueueMark, owner string, err error) {
	record, err = r.ledger.QueueMark(ctx, r.queue.Name())
	if err != nil {
		return record, "", err
	}
	owner, err = r.queue.Owner(ctx)
	return record, owner, err
}
