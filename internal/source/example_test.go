package source_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gistmill/gistmill/internal/source"
)

// A source lists its documents, and fetches each one by the Ref of its entry.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "example-*")
	check(err)
	defer func() { check(os.RemoveAll(dir)) }()
	for name, data := range map[string]string{
		"notes/lock.txt": "The lock was repaired in May.",
		"tickets.jsonl":  `{"id": "T-1", "text": "The pump is loud."}` + "\n" + `{"id": "T-2"}` + "\n",
	} {
		file := filepath.Join(dir, name)
		check(os.MkdirAll(filepath.Dir(file), 0o700))
		check(os.WriteFile(file, []byte(data), 0o600))
	}

	src, err := source.Open(ctx, dir, source.Options{})
	check(err)
	defer src.Close()
	for entry, err := range src.Entries(ctx) {
		check(err) // after an error the listing is incomplete
		if entry.Problem != "" {
			fmt.Printf("%s cannot be read: %s\n", entry.URI, entry.Problem)
			continue
		}
		raw, err := src.Fetch(ctx, entry.Ref)
		check(err)
		fmt.Printf("%s: %s\n", entry.URI, raw.Data)
	}
	// Output:
	// notes/lock.txt: The lock was repaired in May.
	// tickets.jsonl#T-1: The pump is loud.
	// tickets.jsonl#L2 cannot be read: no field "text" (--text-field)
}
