package ledger

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// maxGroup bounds the writes of one transaction, so that the first of them does not wait long.
const maxGroup = 128

// groupInterval is the least time between the starts of two transactions of one committer. Writes
// that arrive meanwhile share the second one: most of the cost of a transaction does not depend on
// its writes.
const groupInterval = 2 * time.Millisecond

// groupCommit commits small writes of many goroutines together: one transaction, one sync to disk.
// A write does not wait when the last transaction started long ago.
type groupCommit struct {
	ledger *Ledger
	queue  chan *write
	done   sync.WaitGroup
	quit   chan struct{}
	ended  chan struct{}
	once   sync.Once
}

// writeTimeout bounds a transaction on a server that stopped answering.
const writeTimeout = time.Minute

// write is a small write that waits for a transaction.
type write struct {
	ctx    context.Context
	join   func(*batch) // adds the write to a batch
	result chan error
}

// batch is the transaction that several writes share. Frequent writes are gathered by kind: in a
// statement for many rows, a row costs about half of a statement of its own, and much less on a
// server.
type batch struct {
	sqldb.Handle
	caps        map[capsKey]caps  // read so far, see [Ledger.caps]
	claimers    []WorkerID        // workers that want to start a call or claim documents
	leases      map[WorkerID]bool // of the claimers, see [Ledger.checkLeases]
	ends        []*callEnd
	starts      []*callStart
	lookups     []*lookup
	completions []*completion
	work        map[workKey]workDone
	committer   int // of the process
	others      []func(context.Context, *batch) error
}

func newGroupCommit(l *Ledger) *groupCommit {
	g := &groupCommit{ledger: l, queue: make(chan *write, maxGroup), quit: make(chan struct{}), ended: make(chan struct{})}
	for i := range l.db.Committers() {
		g.done.Go(func() { g.run(i) })
	}
	return g
}

// do adds a write that is not gathered by kind, see add.
func (g *groupCommit) do(ctx context.Context, f func(context.Context, *batch) error) error {
	return g.add(ctx, func(b *batch) { b.others = append(b.others, f) })
}

// add lets a write join a batch, and returns when the batch is committed or has failed. When ctx
// ends before there is room in the queue, nothing is written. After that add waits for the end,
// whatever becomes of ctx, so that the caller always knows the outcome. join is called again, for a
// new batch, when a deadlock or another write made the first one fail. After close, add fails with
// [sql.ErrConnDone].
func (g *groupCommit) add(ctx context.Context, join func(*batch)) error {
	w := &write{ctx: context.WithoutCancel(ctx), join: join, result: make(chan error, 1)}
	select {
	case g.queue <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-g.quit:
		return sql.ErrConnDone
	}
	select {
	case err := <-w.result:
		return err
	case <-g.ended:
		return sql.ErrConnDone
	}
}

func (g *groupCommit) close() {
	g.once.Do(func() {
		close(g.quit)
		g.done.Wait()
		close(g.ended)
	})
}

func (g *groupCommit) run(committer int) {
	var started time.Time // of the last transaction
	for {
		select {
		case first := <-g.queue:
			g.sleep(groupInterval - time.Since(started))
			started = time.Now()
			g.commit(committer, g.collect(first))
		case <-g.quit:
			for {
				select {
				case w := <-g.queue:
					w.result <- sql.ErrConnDone
				default:
					return
				}
			}
		}
	}
}

func (g *groupCommit) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-g.quit:
	}
}

func (g *groupCommit) collect(first *write) []*write {
	all := []*write{first}
	for len(all) < maxGroup {
		select {
		case w := <-g.queue:
			all = append(all, w)
		default:
			return all
		}
	}
	return all
}

// commit commits all writes in one transaction. If that fails, each write gets a transaction of its
// own, so that none fails because of another.
func (g *groupCommit) commit(committer int, all []*write) {
	ctx, cancel := g.ledger.db.Bound(all[0].ctx, writeTimeout)
	defer cancel()
	if len(all) > 1 {
		if err := g.ledger.commitTogether(ctx, committer, all); err == nil {
			for _, w := range all {
				w.result <- nil
			}
			return
		}
	}
	for _, w := range all {
		w.result <- g.ledger.commitTogether(ctx, committer, []*write{w})
	}
}

// commitTogether runs writes in one transaction. They come from independent goroutines, so any
// order is correct. This one is the lock order of all transactions, so that few deadlock: workers,
// calls, caps, documents, work.
func (l *Ledger) commitTogether(ctx context.Context, committer int, all []*write) error {
	return l.db.Tx(ctx, func(tx sqldb.Handle) error {
		b := &batch{Handle: tx, caps: map[capsKey]caps{}, leases: map[WorkerID]bool{}, work: map[workKey]workDone{}, committer: committer}
		for _, w := range all {
			w.join(b)
		}
		for _, do := range []func(context.Context, *batch) error{l.checkLeases, l.endCalls, l.beginCalls, l.completeDocuments, l.findSummaries} {
			if err := do(ctx, b); err != nil {
				return err
			}
		}
		for _, do := range b.others {
			if err := do(ctx, b); err != nil {
				return err
			}
		}
		return l.putWork(ctx, b)
	})
}
