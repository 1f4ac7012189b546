package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// While suspects are read nothing is read in this process, and the other way round.
func TestSuspectsAreReadAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r readers
		for range 2 {
			if !r.enter() {
				t.Fatal("two documents can't be read side by side")
			}
		}
		begun := make(chan error, 2)
		for range 2 {
			go func() { begun <- r.suspect(t.Context()) }()
		}
		synctest.Wait()
		if len(begun) > 0 {
			t.Error("a suspect is read while documents are read in this process")
		}
		if r.enter() {
			t.Error("a further document is read in this process while suspects wait")
		}
		r.leave()
		synctest.Wait()
		if len(begun) > 0 {
			t.Error("a suspect is read while a document is read in this process")
		}
		r.leave()
		for range 2 {
			if err := <-begun; err != nil {
				t.Error(err)
			}
		}
		r.cleared()
		if r.enter() {
			t.Error("a document is read in this process beside a suspect")
		}
		r.cleared()
		if !r.enter() {
			t.Error("nothing is read in this process after the suspects")
		}
	})
}

// A worker that ends waits for no reader on a suspect's behalf, and what it gave up holds up nobody.
func TestSuspectIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r readers
		r.enter()
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan error)
		go func() { begun <- r.suspect(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-begun; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if !r.enter() {
			t.Error("nothing is read in this process any more")
		}
		r.leave()
		r.leave()
		if err := r.suspect(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
