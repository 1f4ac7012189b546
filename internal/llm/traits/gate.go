package traits

import "context"

// gate lets one call at a time through until a model was answered.
type gate struct {
	alone chan struct{} // holds a token while a call is alone; made under Model.mu
	open  bool          // no call is alone any more
}

// Alone waits until a call may be made. While nothing is known of the model, one call at a time may
// be made, so that a wrong key, URL, model or parameter costs one call, and a lesson is paid for
// once. The result ends the call; it may be called more than once. settled says that the others may
// be made at the same time from now on. Alone fails with ctx's error if ctx ends first.
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
	select {
	case alone <- struct{}{}:
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
