package limiter

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// outagesKey holds the outages. On a Redis cluster it has a slot of its own.
const outagesKey = "gistmill:outages"

// Outage is a model that has given the workers no answer for max-wait. They have ended. One call at
// a time tries it now and then.
type Outage struct {
	Model    string    `json:"model"`
	Endpoint string    `json:"endpoint"` // host, with the port if the URL has one
	Since    time.Time `json:"since"`    // the first failure without an answer
	Cause    string    `json:"cause"`    // the last one
	Tried    int64     `json:"tried"`    // Unix seconds of Redis' clock: the last try
	// Ago is the time since the last try.
	Ago time.Duration `json:"-"`
}

// Lost notes that a model has given no answer since then, and was tried now.
func (l *Shared) Lost(ctx context.Context, model string, since time.Time, cause string) error {
	now, err := l.cfg.Redis.Time(ctx).Result()
	if err == nil {
		var body []byte
		if body, err = json.Marshal(Outage{Model: model, Endpoint: l.host(), Since: since.UTC(), Cause: cause, Tried: now.Unix()}); err == nil {
			err = l.cfg.Redis.HSet(ctx, outagesKey, l.state(model).name, body).Err()
		}
	}
	if err != nil {
		return fmt.Errorf("note that %s gives no answer: %w", model, err)
	}
	return nil
}

// Found notes that a model answers, at whichever endpoint it gave none.
func (l *Shared) Found(ctx context.Context, model string) error {
	stored, err := l.cfg.Redis.HGetAll(ctx, outagesKey).Result()
	for field, body := range stored {
		var o Outage
		if json.Unmarshal([]byte(body), &o) == nil && o.Model == model {
			err = l.cfg.Redis.HDel(ctx, outagesKey, field).Err()
		}
	}
	if err != nil {
		return fmt.Errorf("note that %s answers: %w", model, err)
	}
	return nil
}

// Outages lists the models that give no answer.
func Outages(ctx context.Context, client redis.UniversalClient) ([]Outage, error) {
	stored, err := client.HGetAll(ctx, outagesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list the outages: %w", err)
	}
	if len(stored) == 0 {
		return nil, nil
	}
	now, err := client.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("list the outages: %w", err)
	}
	var all []Outage
	for _, body := range stored {
		var o Outage
		if json.Unmarshal([]byte(body), &o) != nil {
			continue // written by another version
		}
		o.Ago = now.Sub(time.Unix(o.Tried, 0))
		all = append(all, o)
	}
	return all, nil
}
