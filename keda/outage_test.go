package keda

import (
	"context"
	"testing"

	"github.com/gistmill/gistmill/tasks"
)

// tenTasks is a queue of ten partitions.
type tenTasks struct{}

func (tenTasks) Name() string { return "documents" }

func (tenTasks) Count(context.Context) (tasks.Counts, error) { return tasks.Counts{Pending: 10}, nil }

// silentEndpoint gives no answer.
type silentEndpoint struct{ probe bool }

func (silentEndpoint) Calls(context.Context) (float64, string, bool) { return 0, "", false }

func (s silentEndpoint) Down(context.Context) (bool, bool, string) {
	return true, s.probe, "llm:80 has given no answer"
}

// While no endpoint answers, the demand is 0, and 1 when it is time to try.
func TestDemandOfASilentEndpoint(t *testing.T) {
	t.Parallel()
	for probe, want := range map[bool]int64{false: 0, true: 1} {
		m, err := NewMeter(Config{Queue: tenTasks{}, Capacity: silentEndpoint{probe}, Concurrency: 16, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.Read(t.Context())
		if err != nil || d.Demand != want || d.Uncapped != 10 || d.Limit == nil || *d.Limit != want || d.LimitedBy == "" {
			t.Errorf("probe %t: %+v, %v", probe, d, err)
		}
	}
}
