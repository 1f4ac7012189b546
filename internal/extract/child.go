package extract

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// CrashError means that the child process that read a document died.
type CrashError struct {
	// Reason is for example "out of memory", "killed after 1m15s" or "signal: segmentation fault".
	Reason string
}

func (e *CrashError) Error() string { return "the reading process died: " + e.Reason }

// childGrace is the time that a child gets beyond Limits.Time before it is killed. It has to
// start, perhaps to compile PDFium, and to report that a document takes too long.
const childGrace = 15 * time.Second

// maxChildStack is the stack limit of a child in bytes. It is far more than any reader needs:
// the deepest recursion, of JSON, takes 2 MB.
const maxChildStack = 64 << 20

// maxChildHeader limits the JSON line at the start of a request or a reply, in bytes.
const maxChildHeader = 1 << 20

// childRequest is the line of JSON that the parent writes before the bytes of the document.
type childRequest struct {
	Name      string `json:"name"`
	PlainText bool   `json:"plain_text,omitempty"`
	Size      int64  `json:"size"`
	Limits    Limits `json:"limits"`
}

// childReply is the line of JSON that the child writes before the text.
type childReply struct {
	Input     string `json:"input,omitempty"` // InputError.Reason
	Error     string `json:"error,omitempty"`
	Title     string `json:"title,omitempty"`
	MediaType string `json:"media_type,omitempty"`
	Size      int64  `json:"size"`
}

// inChild is [Extractor.Extract] in a child process, for a document that may kill its reader.
// argv is the command line of a process that calls [Serve]. The process gets Limits.Time plus
// childGrace, Limits.ChildMemory, and only those variables of the environment that it needs to
// find its files. The error is a [*CrashError] if the process died, a [*source.InputError] as
// with Extract, and that of ctx if ctx ended first.
func inChild(ctx context.Context, argv []string, raw *source.Raw, l Limits) (*Document, error) {
	l = l.withDefaults()
	doc, err := runChild(ctx, argv, raw, l)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("extract %s in a child process: %w", raw.Name, err)
	}
	return doc, nil
}

func runChild(ctx context.Context, argv []string, raw *source.Raw, l Limits) (*Document, error) {
	if len(argv) == 0 {
		return nil, errors.New("no command was given")
	}
	head, err := json.Marshal(childRequest{Name: raw.Name, PlainText: raw.PlainText, Size: int64(len(raw.Data)), Limits: l})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	limit := l.Time + childGrace
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the command is the program's own binary
	out, stderr := &boundedBuffer{max: l.Text + maxChildHeader, stop: cancel}, &headBuffer{max: 8 << 10}
	cmd.Stdin = io.MultiReader(bytes.NewReader(append(head, '\n')), bytes.NewReader(raw.Data))
	cmd.Stdout, cmd.Stderr = out, stderr
	cmd.Env = childEnvironment(os.Environ()) //nolint:forbidigo // the child gets this process's environment, filtered
	cmd.WaitDelay = 5 * time.Second
	onlyByParent(cmd)
	err = cmd.Run()
	switch {
	case out.over:
		return nil, &CrashError{Reason: "it wrote more than a document can hold"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, &CrashError{Reason: fmt.Sprintf("killed after %s", limit)}
	case err != nil:
		exit := (*exec.ExitError)(nil)
		if errors.As(err, &exit) {
			return nil, &CrashError{Reason: deathOf(exit, stderr.bytes)}
		}
		if cmd.Process == nil {
			return nil, fmt.Errorf("start %s: %w", argv[0], err)
		}
		// The child may have ended before it read all of its input.
		if len(out.bytes) == 0 {
			return nil, fmt.Errorf("exchange with the child process: %w", err)
		}
	}
	return parseReply(out.bytes)
}

func parseReply(b []byte) (*Document, error) {
	head, text, ok := bytes.Cut(b, []byte{'\n'})
	var r childReply
	if !ok || json.Unmarshal(head, &r) != nil {
		return nil, &CrashError{Reason: "it ended without an answer"}
	}
	switch {
	case r.Input != "":
		return nil, &source.InputError{Reason: r.Input}
	case r.Error != "":
		return nil, errors.New(r.Error)
	case int64(len(text)) != r.Size:
		return nil, &CrashError{Reason: "it ended in the middle of its answer"}
	}
	return &Document{Title: r.Title, Text: string(text), MediaType: r.MediaType}, nil
}

// deathOf describes the end of a process. The first line that the Go runtime writes when it
// dies names the cause. It contains no text of the document.
func deathOf(exit *exec.ExitError, stderr []byte) string {
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to reserve", "address space collisions"} {
		if bytes.Contains(stderr, []byte(sign)) {
			return "out of memory"
		}
	}
	if bytes.Contains(stderr, []byte("stack exceeds")) {
		return "stack overflow"
	}
	for line := range bytes.SplitSeq(stderr, []byte{'\n'}) {
		if after, ok := bytes.CutPrefix(line, []byte("fatal error: ")); ok {
			return string(after)
		}
	}
	return exit.String()
}

// childEnvironment keeps secrets such as the API key from the process that reads hostile bytes.
func childEnvironment(all []string) []string {
	var kept []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "GOCOVERDIR", "SYSTEMROOT", "LOCALAPPDATA":
			kept = append(kept, v)
		}
	}
	return kept
}

// Serve is the main function of a child process. It reads one document from in, and writes to
// out its text, or the reason why there is none. It limits the memory of the process that it
// runs in.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	head, err := readHeader(r)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var q childRequest
	if err := json.Unmarshal(head, &q); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	l := q.Limits.withDefaults()
	if q.Size < 0 || q.Size > l.Bytes {
		return fmt.Errorf("read the request: it announces %d bytes", q.Size)
	}
	memory := childMemory(l.ChildMemory, memoryLimit(os.DirFS("/")))
	if err := limitAddressSpace(memory); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	dieFirst()
	debug.SetMaxStack(maxChildStack) // so that a deep recursion is not reported as out of memory
	debug.SetMemoryLimit(memory / 4 * 3)
	data := make([]byte, q.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	x := New(l)
	doc, err := x.Extract(ctx, &source.Raw{Name: q.Name, PlainText: q.PlainText, Data: data})
	err = errors.Join(err, x.Close())
	var reply childReply
	if bad := (*source.InputError)(nil); errors.As(err, &bad) {
		reply.Input = bad.Reason
	} else if stuck := (*StuckError)(nil); errors.As(err, &stuck) {
		// No other document was read in this process, so a second attempt would get stuck too.
		reply.Input = stuck.Error()
	} else if err != nil {
		reply.Error = err.Error()
	} else {
		reply = childReply{Title: doc.Title, MediaType: doc.MediaType, Size: int64(len(doc.Text))}
	}
	b, err := json.Marshal(reply)
	if err != nil {
		return fmt.Errorf("encode the reply: %w", err)
	}
	if _, err = out.Write(append(b, '\n')); err == nil && doc != nil {
		_, err = io.WriteString(out, doc.Text)
	}
	if err != nil {
		return fmt.Errorf("write the reply: %w", err)
	}
	return nil
}

func readHeader(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for len(head) < maxChildHeader {
		part, err := r.ReadSlice('\n')
		head = append(head, part...)
		if err == nil {
			return head, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	return nil, errors.New("it is too long")
}

// boundedBuffer takes at most max bytes, and calls stop if it receives more.
type boundedBuffer struct {
	bytes []byte
	max   int64
	over  bool
	stop  func()
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if int64(len(b.bytes)+len(p)) > b.max {
		b.over = true
		b.stop()
		return 0, errors.New("too much output")
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// headBuffer keeps the first max bytes and drops the rest. The Go runtime writes the cause of
// its death first.
type headBuffer struct {
	bytes []byte
	max   int
}

func (b *headBuffer) Write(p []byte) (int, error) {
	b.bytes = append(b.bytes, p[:min(len(p), b.max-len(b.bytes))]...)
	return len(p), nil
}
