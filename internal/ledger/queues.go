package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MarkLease is how long no process has seen a queue's mark in its Redis before the queue may be
// started in an empty Redis. Call [Ledger.SawQueue] at a third of it.
const MarkLease = 15 * time.Second

// QueueMark identifies a queue of this ledger in Redis.
type QueueMark struct {
	Mark string // random
	// Fresh reports that a process saw the mark in Redis less than MarkLease ago.
	Fresh bool
}

// QueueMark returns the mark of a queue. The first call makes it, and it never changes.
func (l *Ledger) QueueMark(ctx context.Context, queue string) (QueueMark, error) {
	read := func() (m QueueMark, err error) {
		return m, l.read.QueryRow(ctx, `SELECT mark, seen_at > @now - $1 FROM queues WHERE name = $2`, MarkLease.Milliseconds(), queue).Scan(&m.Mark, &m.Fresh)
	}
	m, err := read()
	if errors.Is(err, sql.ErrNoRows) {
		if _, err = l.write.Exec(ctx, `INSERT INTO queues (name, mark, seen_at) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`, queue, rand.Text()); err == nil {
			m, err = read()
		}
	}
	if err != nil {
		return m, fmt.Errorf("read the mark of queue %s: %w", queue, err)
	}
	return m, nil
}

// SawQueue records that the mark of a queue was seen in Redis just now. Any number of processes may
// call it; few of the calls write.
func (l *Ledger) SawQueue(ctx context.Context, queue string) error {
	_, err := l.write.Exec(ctx, `UPDATE queues SET seen_at = @now WHERE name = $1 AND seen_at < @now - $2`, queue, (MarkLease / 6).Milliseconds())
	if err != nil {
		return fmt.Errorf("record that queue %s was seen: %w", queue, err)
	}
	return nil
}
