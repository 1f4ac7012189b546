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

// loopCommand is the first argument that makes this program the loop, a process of its own like
// gistmill.
const loopCommand = "loop"

// load sets what programs do that go through all documents.
type load struct {
	url, documents string
	concurrency    int
}

// parse reads a load from a program's arguments, with the program's own flags.
func (l *load) parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	flags.StringVar(&l.url, "url", "", "of the endpoint")
	flags.StringVar(&l.documents, "documents", "", ".jsonl file")
	flags.IntVar(&l.concurrency, "concurrency", 64, "calls at once")
	return flags.Parse(args)
}

// loop posts a body for each document with the given concurrency, and reads the answers. It
// does nothing else.
func loop(ctx context.Context, args []string, _, stderr io.Writer) error {
	flags := flag.NewFlagSet(loopCommand, flag.ContinueOnError)
	template := flags.String("template", "", "file with a body, in which "+textMark+" replaces a document's text")
	var l load
	if err := l.parse(flags, args, stderr); err != nil {
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
	texts, err := readTexts(l.documents)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		MaxIdleConns: l.concurrency, MaxIdleConnsPerHost: l.concurrency, WriteBufferSize: 64 << 10,
	}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range l.concurrency {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(texts) || ctx.Err() != nil {
					return
				}
				if err := post(ctx, client, l.url+"/chat/completions", bytes.Join([][]byte{before, texts[i], after}, nil)); err != nil {
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

// readTexts returns the documents' texts as they are in the file, escaped and without quotes.
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
