//go:build hostile

package extract

import (
	"bytes"
	"context"
	"runtime"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// This file is not part of the released program. Tests build a program with it (-tags hostile) to
// see how it handles documents that do to their reader what no known document does.

// readTime is short, so that a test does not wait a minute for each of many readers that hang.
const readTime = 3 * time.Second

// stagedKind returns a reader that fails, for documents that begin with "hostile: " and a way
// to fail.
func stagedKind(raw *source.Raw) (kind, bool) {
	way, ok := bytes.CutPrefix(raw.Data, []byte("hostile: "))
	if !ok {
		return kind{}, false
	}
	k := kind{mediaType: "text/hostile"}
	switch name, _, _ := bytes.Cut(way, []byte{'\n'}); string(name) {
	case "panic":
		k.read = panicking
	case "hang":
		k.read = hanging
	case "memory":
		k.read = hoarding
	case "stack":
		k.read = recursing
	default:
		return kind{}, false
	}
	return k, true
}

func panicking(_ context.Context, _ *Extractor, raw *source.Raw) (extracted, error) {
	return extracted{text: raw.Data[len(raw.Data)+1:]}, nil
}

// hanging keeps a processor busy and ignores its context.
func hanging(_ context.Context, _ *Extractor, raw *source.Raw) (extracted, error) {
	sum := byte(0)
	for i := 0; ; i = (i + 1) % len(raw.Data) {
		if sum += raw.Data[i]; len(raw.Data) == int(sum)+1<<20 {
			return extracted{}, nil // never
		}
	}
}

// hoarding allocates memory until there is none.
func hoarding(context.Context, *Extractor, *source.Raw) (extracted, error) {
	var all [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		runtime.KeepAlive(all)
	}
}

// recursing overflows the stack, which no Go program survives.
func recursing(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	got, err := recursing(ctx, x, raw)
	got.text = append(got.text, raw.Data...)
	return got, err
}
