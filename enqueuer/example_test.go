package enqueuer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alicebob/miniredis/v2"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/tasks"
)

// A folder of three documents is planned as one run with partitions of two documents each, and
// published.
func Example() {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "example")
	check(err)
	defer func() { check(os.RemoveAll(folder)) }()
	docs := filepath.Join(folder, "docs")
	check(os.Mkdir(docs, 0o700))
	for _, name := range []string{"a.txt", "b.txt", "c.txt"} {
		check(os.WriteFile(filepath.Join(docs, name), []byte("Text of "+name), 0o600))
	}

	books, err := ledger.Open(ctx, "sqlite:"+filepath.Join(folder, "ledger.db"), ledger.Options{})
	check(err)
	defer books.Close()
	server, err := miniredis.Run() // in place of Redis
	check(err)
	defer server.Close()
	client, err := tasks.Dial("redis://" + server.Addr())
	check(err)
	defer client.Close()
	documents, err := source.Open(ctx, docs, source.Options{})
	check(err)
	defer documents.Close()

	e, err := enqueuer.New(enqueuer.Config{Ledger: books, Queue: tasks.NewQueue(client, "documents")})
	check(err)
	plan, err := e.Plan(ctx, enqueuer.Request{
		Source: documents, Profile: "hash-of-the-profile", Model: "gpt-4o-mini", ProfileBody: "{}",
		Size: ledger.PartitionSize{Documents: 2, Bytes: 1 << 20},
	})
	check(err)
	defer plan.Close()
	check(plan.Publish(ctx))
	fmt.Printf("%d documents pending, %d tasks enqueued\n", plan.Remaining, plan.Enqueued)
	// Output: 3 documents pending, 2 tasks enqueued
}
