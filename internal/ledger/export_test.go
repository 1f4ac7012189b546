package ledger

import "sync"

// Together has the writes that functions make, one each, share a transaction. Nothing else may be written meanwhile.
func (l *Ledger) Together(functions ...func()) {
	kept := l.group
	defer func() { l.group = kept }()
	l.group = &group{ledger: l, writes: make(chan *groupedWrite), quit: make(chan struct{}), ended: make(chan struct{})}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	var all []*groupedWrite
	for _, f := range functions {
		waiting.Go(f)
		all = append(all, <-l.group.writes)
	}
	l.group.commit(all)
}
