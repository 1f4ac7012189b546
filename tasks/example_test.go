package tasks_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/tasks"
)

// A task's id is made of its run, partition and generation. Enqueueing the same partition again
// adds nothing.
func ExampleQueue_Enqueue() {
	server, err := miniredis.Run() // in place of Redis
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client, err := tasks.Dial("redis://" + server.Addr())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	queue := tasks.NewQueue(client, "documents")
	partition := tasks.Partition{Run: "docs-1", RunID: 1, ID: 7, Generation: 1, Profile: "b31c"}
	for range 2 {
		added, err := queue.Enqueue(context.Background(), []tasks.Partition{partition})
		if err != nil {
			panic(err)
		}
		fmt.Println(partition.TaskID(), "added:", added)
	}
	counts, err := queue.Count(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println("demand:", counts.Demand())
	// Output:
	// docs-1:7:1 added: 1
	// docs-1:7:1 added: 0
	// demand: 1
}

// The delay is random between 0 and a ceiling that doubles with each attempt.
func ExampleRetry() {
	retry := tasks.Retry{Base: time.Second, Cap: time.Minute, MaxAttempts: 5}
	fmt.Println(retry.Delay(3) <= 4*time.Second)
	fmt.Println(retry.Exhausted(4), retry.Exhausted(5))
	// Output:
	// true
	// false true
}
