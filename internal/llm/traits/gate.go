package traits

import (
	"context"
	"time"
)

// aloneMost is how long a call waits for the one that is alone. Wrong keys, models and parameters
// are refused within a few seconds. An endpoint that works for longer has accepted the call.
const aloneMost = 10 * time.Second

// gate lets one call at a time through until a model was answered.
type gate struct {
	alone chan struct{} // holds a token while a call is alone; made under Model.mu
	open  bool          // no call is alone any more
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
		m.gate.alone = make(chan struct{}, 1)
	}
	alone, open := m.gate.alone, m.gate.open
	m.mu.Unlock()
	if open {
		return free, nil
	}
	most := time.NewTimer(aloneMost)
	defer most.Stop()
	select {
	case alone <- struct{}{}:
	case <-most.C:
		m.mu.Lock()
		m.gate.open = true
		m.mu.Unlock()
		return free, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.mu.Lock()
	open = m.gate.open
	m.mu.Unlock()
	if open {
		<-alone
		return free, nil
	}
	ended := false
	return func(settled bool) {
		m.mu.Lock()
		first := !ended
		ended = true
		m.gate.open = m.gate.open || settled && first
		m.mu.Unlock()
		if first {
			<-alone
		}
	}, nil
}
