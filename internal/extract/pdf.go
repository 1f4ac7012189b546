package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/klippa-app/go-pdfium"
	pdferrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sync/semaphore"

	"github.com/gistmill/gistmill/internal/source"
)

// pdfEngine runs PDFium in WebAssembly. Each document gets a separate instance, with limited
// memory and no access to files, so that no document can harm the next.
//
// Compiling PDFium takes about 4 s of processor time and 340 MB. This happens once on a
// machine: the result is kept in the user's cache folder (see os.UserCacheDir), and loading it
// takes 0.15 s and 45 MB. Measured with wazero 1.12 on amd64.
type pdfEngine struct {
	mu      sync.Mutex
	pool    pdfium.Pool
	cache   wazero.CompilationCache
	memory  *wasmMemory
	slots   *semaphore.Weighted // one for each document that is read
	failure error
}

// start compiles or loads PDFium before the first PDF. budget is the memory of the Extractor;
// start holds all of it meanwhile.
func (e *pdfEngine) start(ctx context.Context, l Limits, budget *semaphore.Weighted) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pool != nil || e.failure != nil {
		return e.failure
	}
	if err := budget.Acquire(ctx, l.Memory); err != nil {
		return err
	}
	defer budget.Release(l.Memory)
	began := time.Now()
	e.cache = compilationCache()
	e.memory = &wasmMemory{limit: uint64(l.PDFMemory)}
	e.slots = semaphore.NewWeighted(int64(l.PDFInstances))
	const page = 64 << 10
	// PDFium is built with setjmp, which needs exception handling. Without CloseOnContextDone, Kill
	// does not end a loop.
	config := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithCloseOnContextDone(true).
		WithMemoryLimitPages(uint32(l.PDFMemory / page)).
		WithCompilationCache(e.cache)
	// The engine outlives the document that starts it, and so does its context.
	base := experimental.WithMemoryAllocator(context.WithoutCancel(ctx), e.memory)
	e.pool, e.failure = webassembly.Init(webassembly.Config{
		Context: base, RuntimeConfig: config, MaxTotal: l.PDFInstances, MaxIdle: 1,
		FSConfig: wazero.NewFSConfig(), Stdout: io.Discard, Stderr: io.Discard,
	})
	if e.failure != nil {
		e.failure = fmt.Errorf("start the PDF engine: %w", e.failure)
	}
	if time.Since(began) > time.Second {
		debug.FreeOSMemory() // it was compiled, and that memory is not needed again
	}
	return e.failure
}

// compilationCache is in memory if there is no folder to write to. The folder is accessible
// only to the user, because its content is executed.
func compilationCache() wazero.CompilationCache {
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "gistmill", "pdfium")
		if os.MkdirAll(dir, 0o700) == nil {
			if c, err := wazero.NewCompilationCacheWithDir(dir); err == nil {
				return c
			}
		}
	}
	return wazero.NewCompilationCache()
}

func (e *pdfEngine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pool == nil {
		return nil
	}
	err := errors.Join(e.pool.Close(), e.cache.Close(context.Background())) //nolint:forbidigo // closing does not depend on any context
	e.pool, e.failure = nil, errors.New("the PDF engine is closed")
	return err
}

// with calls do with a fresh instance. When ctx ends, it kills the instance and returns the
// error of ctx.
func (e *pdfEngine) with(ctx context.Context, do func(pdfium.Pdfium) error) (err error) {
	e.mu.Lock()
	instance, err := e.pool.GetInstanceWithContext(ctx)
	memory := e.memory.taken()
	e.mu.Unlock()
	// Freed only here, because a killed instance may use it until it has ended.
	defer func() { err = errors.Join(err, memory.unmap()) }()
	if err != nil {
		return fmt.Errorf("start a PDF engine: %w", err)
	}
	done, killed := make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-ctx.Done():
			_ = instance.Kill() // after an error too, the instance is not used again
			killed <- true
		case <-done:
			killed <- false
		}
	}()
	defer func() {
		p := recover()
		close(done)
		if <-killed {
			err = ctx.Err()
			return
		}
		_ = instance.Close() // fails for a crashed instance; its memory is freed anyway
		if p != nil {
			err = inputError("broken PDF: it crashed the PDF engine")
		}
	}()
	return do(instance)
}

// readPDF returns the text layer of a PDF.
func readPDF(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	var out extracted
	err := x.pdf.with(ctx, func(p pdfium.Pdfium) error {
		var err error
		out, err = x.pdfText(ctx, p, raw.Data)
		return err
	})
	return out, err
}

func (x *Extractor) pdfText(ctx context.Context, p pdfium.Pdfium, data []byte) (extracted, error) {
	opened, err := p.OpenDocument(&requests.OpenDocument{File: &data})
	if err != nil {
		return extracted{}, pdfProblem(data, err)
	}
	doc := opened.Document
	count, err := p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc})
	if err != nil {
		return extracted{}, pdfProblem(data, err)
	}
	if count.PageCount > x.limits.Pages {
		return extracted{}, inputError("too many pages: %d, the limit is %d", count.PageCount, x.limits.Pages)
	}
	if count.PageCount <= 0 {
		return extracted{}, inputError("broken PDF: it has no pages")
	}
	var pages pdfPages
	broken, size := 0, int64(0)
	for i := range count.PageCount {
		if ctx.Err() != nil {
			return extracted{}, ctx.Err()
		}
		text, err := pageText(p, doc, i)
		if err != nil {
			broken++
			continue
		}
		if size += int64(len(text)); size > x.limits.Text {
			return extracted{}, x.tooMuchText()
		}
		pages = append(pages, text)
	}
	if broken == count.PageCount {
		return extracted{}, inputError("broken PDF: none of its pages can be read")
	}
	out := extracted{text: pages.join()}
	if meta, err := p.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: doc, Tag: "Title"}); err == nil {
		out.title = usableTitle(meta.Value)
	}
	return out, nil
}

func pageText(p pdfium.Pdfium, doc references.FPDF_DOCUMENT, index int) (string, error) {
	text, err := p.GetPageText(&requests.GetPageText{Page: requests.Page{ByIndex: &requests.PageByIndex{Document: doc, Index: index}}})
	if err != nil {
		return "", err
	}
	return text.Text, nil
}

// pdfProblem describes an error of PDFium.
func pdfProblem(data []byte, err error) error {
	switch {
	case errors.Is(err, pdferrors.ErrPassword):
		return inputError("encrypted PDF: it opens only with a password")
	case errors.Is(err, pdferrors.ErrSecurity):
		return inputError("encrypted PDF: the kind of encryption is not supported")
	case errors.Is(err, pdferrors.ErrFormat), errors.Is(err, pdferrors.ErrFile):
		if !endsLikePDF(data) {
			return inputError("truncated PDF: its end is missing")
		}
		return inputError("broken PDF: its structure cannot be read")
	}
	return inputError("broken PDF: it cannot be opened (it may need more memory than it is allowed)")
}
