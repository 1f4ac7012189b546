package main

import (
	"context"
	"flag"
	"io"
	"sync"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

// workCommand is the first argument that makes this program do the work alone.
const workCommand = "work"

// work reads the documents, requests their summaries and checks them with gistmill's own code,
// and discards them. It plans, queues and records nothing. The difference to gistmill is the
// cost of losing nothing.
func work(ctx context.Context, args []string, _, stderr io.Writer) error {
	var l load
	if err := l.parse(flag.NewFlagSet(workCommand, flag.ContinueOnError), args, stderr); err != nil {
		return err
	}
	client, err := llm.New(llm.Config{BaseURL: l.url, MaxConnections: l.concurrency})
	if err != nil {
		return err
	}
	defer client.Close()
	engine, err := summarize.New(summarize.Profile{Model: "gpt-4o-mini", Words: 150, MaxOutputTokens: 400}, 128_000)
	if err != nil {
		return err
	}
	extractor := extract.New(extract.Limits{})
	defer extractor.Close()
	src, err := source.Open(ctx, l.documents, source.Options{})
	if err != nil {
		return err
	}
	defer src.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	refs := make(chan source.Ref)
	var wait sync.WaitGroup
	for range l.concurrency {
		wait.Go(func() {
			for ref := range refs {
				_, text, err := extractor.Read(ctx, src, ref)
				if err == nil {
					_, err = engine.Summarize(ctx, client, summarize.Document{URI: ref.URI, Title: text.Title, Text: text.Text})
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for e, err := range src.Entries(ctx) {
		if err != nil {
			cancel(err)
			break
		}
		refs <- e.Ref
	}
	close(refs)
	wait.Wait()
	return context.Cause(ctx)
}
