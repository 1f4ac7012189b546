package worker

import (
	"sync"
	"time"
)

// complainEvery is how often what everyone meets is said.
const complainEvery = 5 * time.Second

// complaint is said by one for all. The zero value is due.
type complaint struct {
	mu   sync.Mutex
	last time.Time
}

// due says whether it is to be said now.
func (c *complaint) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.last) < complainEvery {
		return false
	}
	c.last = now
	return true
}
