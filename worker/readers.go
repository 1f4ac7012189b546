package worker

import (
	"context"
	"sync"
)

// readers keeps the reading in this process and that of suspects, by children, from being at the same time: whatever takes this process
// down while a suspect is read is to be the suspect's fault, and not that of a document beside it. Its methods may be used from several
// goroutines at once.
type readers struct {
	mu       sync.Mutex
	here     int           // documents that are being read in this process
	suspects int           // suspects that are being read, or wait for the others to end
	idle     chan struct{} // closed when here is 0; nil while nobody waits for it
}

// enter lets a document be read in this process until leave, or says that there are suspects and it is to be read apart.
func (r *readers) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.suspects > 0 {
		return false
	}
	r.here++
	return true
}

func (r *readers) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.here--
	if r.here == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// suspect returns when nothing is read in this process any more; nothing will be until cleared. After an error there is nothing to clear.
func (r *readers) suspect(ctx context.Context) error {
	idle := r.announce()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		r.cleared()
		return ctx.Err()
	}
}

func (r *readers) announce() (idle chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects++
	if r.here > 0 && r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

func (r *readers) cleared() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects--
}
