package traits

import (
	"context"
	"time"
)

// aloneMost is how long a call waits for the one that is alone. Wrong keys, models and parameters
// are refused within a few seconds. An endpoint that works for longer has accepted the call.
const aloneMost = 10 * time.Second

// gate lets one call at a time through until it is open. Its fields are guarded by Model.mu.
type gate struct {
	alone chan struct{} // holds a token while a call is alone; made at the first call
	open  chan struct{} // closed when no call is alone any more; made with alone
}

// isOpen reports whether calls may be made at the same time.
func (g *gate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

// Alone waits until a call may be made. While nothing is known of the model, one call at a time may
// be made, so that a wrong key, URL, model or parameter costs one call, and a lesson is paid for
// once. A call waits for at most 10 s. The result ends the call; it may be called more than once.
// settled says that the others may be made at the same time from now on. Alone fails with ctx's
// error if ctx ends first.
func (m *Model) Alone(ctx context.Context) (done func(settled bool), err error) {
	free := func(bool) {}
	if m == nil || m.Known().Answered > 0 {
		return free, nil
	}
	m.mu.Lock()
	if m.gate.alone == nil {
		m.gate = gate{alone: make(chan struct{}, 1), open: make(chan struct{})}
	}
	alone, open, isOpen := m.gate.alone, m.gate.open, m.gate.isOpen()
	m.mu.Unlock()
	if isOpen {
		return free, nil
	}
	most := time.NewTimer(aloneMost)
	defer most.Stop()
	select {
	case <-open:
		return free, nil
	case alone <- struct{}{}:
	case <-most.C:
		m.OpenGate()
		return free, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ended := false
	return func(settled bool) {
		m.mu.Lock()
		first := !ended
		ended = true
		m.mu.Unlock()
		if !first {
			return
		}
		if settled {
			m.OpenGate()
		}
		<-alone
	}, nil
}

// OpenGate lets calls be made at the same time from now on. A rate limit shows that the endpoint
// accepts the key, and it paces the others.
func (m *Model) OpenGate() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gate.open != nil && !m.gate.isOpen() {
		close(m.gate.open)
	}
}
