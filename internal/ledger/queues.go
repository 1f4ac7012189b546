package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MarkLease is how long nobody must have seen a queue's mark in its Redis before the queue may be begun in an empty one. Call SawQueue at
// a third of it.
const MarkLease = 15 * time.Second

// QueueMark is what a queue of this ledger is known by in Redis.
type QueueMark struct {
	Mark string // random
	// Fresh says that a process saw the mark in Redis less than MarkLease ago.
	Fresh bool
}

// QueueMark returns the mark of a queue, which is made when it is first asked for and then never changes.
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
		return m, fmt.Errorf("look up the mark of queue %s: %w", queue, err)
	}
	return m, nil
}

// SawQueue notes that the queue's mark was seen in Redis just now. Any number of processes may say so; few of them write.
func (l *Ledger) SawQueue(ctx context.Context, queue string) error {
	_, err := l.write.Exec(ctx, `UPDATE queues SET seen_at = @now WHERE name = $1 AND seen_at < @now - $2`, queue, (MarkLease / 6).Milliseconds())
	if err != nil {
		return fmt.Errorf("note that queue %s was seen: %w", queue, err)
	}
	return nil
}
