package ledger

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// groupMost bounds the writes of one transaction, so that the first of them does not wait long.
const groupMost = 128

// groupEvery is the least time between the beginnings of two transactions of a committer. Writes that come in meanwhile share
// the second one: most of what a transaction costs is its own, and not its writes'.
const groupEvery = 2 * time.Millisecond

// group commits small writes of many goroutines together: one transaction, one sync to disk. A write waits for nothing when
// the last transaction was long ago.
type group struct {
	ledger *Ledger
	writes chan *groupedWrite
	done   sync.WaitGroup
	quit   chan struct{}
	ended  chan struct{}
	once   sync.Once
}

// writeTimeout bounds a transaction on a server that has stopped to answer.
const writeTimeout = time.Minute

type groupedWrite struct {
	ctx    context.Context
	join   func(*batch) // adds the write to a batch
	result chan error
}

// batch is the transaction that writes share. Writes of which there are one or more for each document are gathered by what they do: in a
// statement for many rows a row costs about half of what it does in one of its own, and on a server a fraction.
type batch struct {
	sqldb.Handle
	caps   map[capsKey]caps  // read so far, see Ledger.caps
	takers []WorkerID        // workers that would begin a call or claim documents
	leases map[WorkerID]bool // of them, see Ledger.checkLeases
	ended  []*ending
	begun  []*beginning
	sought []*search
	done   []*completion
	others []func(context.Context, *batch) error
}

func newGroup(l *Ledger) *group {
	g := &group{ledger: l, writes: make(chan *groupedWrite, groupMost), quit: make(chan struct{}), ended: make(chan struct{})}
	for range l.db.Committers() {
		g.done.Go(g.run)
	}
	return g
}

// do runs a small write of its own kind, see add.
func (g *group) do(ctx context.Context, f func(context.Context, *batch) error) error {
	return g.add(ctx, func(b *batch) { b.others = append(b.others, f) })
}

// add has a write join a batch, and returns when it is committed or has failed. If ctx ends before it began, it
// is not done; once it has begun its end is waited for, so that the caller always knows the outcome. It may join a second one, when
// another write made the first fail.
func (g *group) add(ctx context.Context, join func(*batch)) error {
	w := &groupedWrite{ctx: context.WithoutCancel(ctx), join: join, result: make(chan error, 1)}
	select {
	case g.writes <- w:
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

func (g *group) close() {
	g.once.Do(func() {
		close(g.quit)
		g.done.Wait()
		close(g.ended)
	})
}

func (g *group) run() {
	var begun time.Time // the last transaction
	for {
		select {
		case first := <-g.writes:
			g.rest(groupEvery - time.Since(begun))
			begun = time.Now()
			g.commit(g.collect(first))
		case <-g.quit:
			for {
				select {
				case w := <-g.writes:
					w.result <- sql.ErrConnDone
				default:
					return
				}
			}
		}
	}
}

func (g *group) rest(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-g.quit:
	}
}

func (g *group) collect(first *groupedWrite) []*groupedWrite {
	all := []*groupedWrite{first}
	for len(all) < groupMost {
		select {
		case w := <-g.writes:
			all = append(all, w)
		default:
			return all
		}
	}
	return all
}

// commit writes all in one transaction; if one fails, each gets a transaction of its own, so that nobody
// pays for another's error.
func (g *group) commit(all []*groupedWrite) {
	ctx, cancel := g.ledger.db.Bound(all[0].ctx, writeTimeout)
	defer cancel()
	if len(all) > 1 {
		if err := g.ledger.together(ctx, all); err == nil {
			for _, w := range all {
				w.result <- nil
			}
			return
		}
	}
	for _, w := range all {
		w.result <- g.ledger.together(ctx, []*groupedWrite{w})
	}
}

// together does writes in one transaction. They come from goroutines that do not wait for each other, so that any order is right. This
// one is that of all transactions, so that few of them wait for each other in a circle: workers, calls, caps, rows of documents.
func (l *Ledger) together(ctx context.Context, all []*groupedWrite) error {
	return l.db.Tx(ctx, func(tx sqldb.Handle) error {
		b := &batch{Handle: tx, caps: map[capsKey]caps{}, leases: map[WorkerID]bool{}}
		for _, w := range all {
			w.join(b)
		}
		for _, do := range []func(context.Context, *batch) error{l.checkLeases, l.endCalls, l.beginCalls, l.complete, l.search} {
			if err := do(ctx, b); err != nil {
				return err
			}
		}
		for _, do := range b.others {
			if err := do(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
}
