package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// loopCommand is this program's first argument when it is to be the loop: a process of its own, as gistmill is.
const loopCommand = "loop"

// loop posts a body for each document, as many at once as was asked for, reads the answers and does nothing else.
func loop(ctx context.Context, args []string, _, stderr io.Writer) error {
	flags := flag.NewFlagSet(loopCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	address := flags.String("url", "", "of the endpoint")
	template := flags.String("template", "", "file with a body, in which "+textMark+" stands for a document's text")
	documents := flags.String("documents", "", ".jsonl file")
	concurrency := flags.Int("concurrency", 64, "calls at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	body, err := os.ReadFile(*template)
	if err != nil {
		return err
	}
	before, after, ok := bytes.Cut(body, []byte(textMark))
	if !ok {
		return errors.New("the template has no place for a text")
	}
	texts, err := readTexts(*documents)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		MaxIdleConns: *concurrency, MaxIdleConnsPerHost: *concurrency, WriteBufferSize: 64 << 10,
	}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range *concurrency {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(texts) || ctx.Err() != nil {
					return
				}
				if err := post(ctx, client, *address+"/chat/completions", bytes.Join([][]byte{before, texts[i], after}, nil)); err != nil {
					cancel(err)
				}
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

func post(ctx context.Context, client *http.Client, address string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// readTexts returns the documents' texts as they stand in the file, escaped and without quotes.
func readTexts(name string) ([][]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var texts [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var document struct{ Text json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &document); err != nil {
			return nil, err
		}
		texts = append(texts, document.Text[1:len(document.Text)-1])
	}
	return texts, lines.Err()
}
