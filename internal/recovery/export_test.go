package recovery

import "time"

// SetNow replaces the clock.
func (r *Recovery) SetNow(now func() time.Time) { r.now = now }
