package keda_test

import (
	"context"
	"fmt"

	"github.com/gistmill/gistmill/keda"
	"github.com/gistmill/gistmill/tasks"
)

// backlog is a queue of 40 waiting and 2 active partitions.
type backlog struct{}

func (backlog) Name() string { return "documents" }

func (backlog) Count(context.Context) (tasks.Counts, error) {
	return tasks.Counts{Pending: 40, Active: 2}, nil
}

// rateLimit leaves room for 20 calls in flight.
type rateLimit struct{}

func (rateLimit) Calls(context.Context) (calls float64, why string, limited bool) {
	return 20, "600 requests a minute", true
}

func (rateLimit) Down(context.Context) (down, probe bool, why string) { return false, false, "" }

// 20 calls keep two workers of 16 calls busy. Each worker holds 4 partitions, so KEDA is asked for
// 8 partitions, although 42 wait.
func ExampleMeter_Read() {
	meter, err := keda.NewMeter(keda.Config{Queue: backlog{}, Capacity: rateLimit{}, Concurrency: 16, Partitions: 4})
	if err != nil {
		panic(err)
	}
	demand, err := meter.Read(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Printf("demand %d of %d, limited by %s\n", demand.Demand, demand.Uncapped, demand.LimitedBy)
	// Output: demand 8 of 42, limited by 600 requests a minute
}
