package ledger

import "sync"

// CommitTogether runs functions that write once each, so that all writes share one transaction.
// Nothing else may write meanwhile.
func (l *Ledger) CommitTogether(functions ...func()) {
	kept := l.commits
	defer func() { l.commits = kept }()
	l.commits = &groupCommit{ledger: l, queue: make(chan *write), quit: make(chan struct{}), ended: make(chan struct{})}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	var all []*write
	for _, f := range functions {
		waiting.Go(f)
		all = append(all, <-l.commits.queue)
	}
	l.commits.commit(0, all)
}
