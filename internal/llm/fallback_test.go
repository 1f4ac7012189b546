package llm

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a client whose next outcomes are given. The last one repeats.
type scripted struct {
	outcomes []error
	asked    int
}

func (s *scripted) Complete(context.Context, Request) (Response, error) {
	i := min(s.asked, len(s.outcomes)-1)
	s.asked++
	if s.outcomes[i] != nil {
		return Response{}, s.outcomes[i]
	}
	return Response{Content: "words", Usage: Usage{In: 10, Out: 1}}, nil
}

func (s *scripted) Down() error { return nil }

func between(all ...*scripted) *Fallback {
	var endpoints Endpoints
	for i, s := range all {
		endpoints = append(endpoints, Endpoint{Model: string(rune('A' + i)), Client: s})
	}
	return NewFallback(slog.New(slog.DiscardHandler), endpoints...)
}

// askThrough sends one request with the given text.
func askThrough(ctx context.Context, f *Fallback, text string) (Response, error) {
	return f.Complete(func(e Endpoint) (Response, error) { return e.Client.Complete(ctx, testRequest(text)) })
}

func TestFallbackErrors(t *testing.T) {
	t.Parallel()
	var (
		fine      error
		halted    = &Error{Class: Halted, Status: 401, Message: "the key is wrong"}
		noModel   = &Error{Class: Halted, Status: 404, Message: "there is no such model"}
		refused   = &Error{Class: Refused, Code: "refusal", Message: "the model declined", Usage: Usage{In: 7}}
		limited   = &Error{Class: RateLimited, Message: "the rate limit is reached", RetryAfter: 90 * time.Second}
		closed    = &Error{Class: Unavailable, Code: codeCircuitOpen, Message: "the endpoint is down", RetryAfter: 9 * time.Second}
		sooner    = &Error{Class: Unavailable, Code: codeCircuitOpen, Message: "that one too", RetryAfter: 4 * time.Second}
		away      = &Error{Class: Unavailable, Code: codeUnreachable, Message: "nothing listens"}
		hiccup    = &Error{Class: Transient, Status: 500, Message: "the endpoint failed"}
		tooLong   = &Error{Class: ContextLength, Message: "does not fit"}
		malformed = &Error{Class: BadRequest, Status: 400, Message: "an odd request"}
		busy      = errors.New("the same call is in flight elsewhere")
	)
	tests := map[string]struct {
		outcomes []error
		asked    []int
		want     *Error // Class, Code, RetryAfter and a part of the message; nil: an answer
		is       error
	}{
		"well":                         {outcomes: []error{fine, fine}, asked: []int{1, 0}},
		"down":                         {outcomes: []error{closed, fine}, asked: []int{1, 1}},
		"nothing listens":              {outcomes: []error{away, fine}, asked: []int{1, 1}},
		"halted":                       {outcomes: []error{halted, fine}, asked: []int{1, 1}},
		"refused":                      {outcomes: []error{refused, fine}, asked: []int{1, 1}},
		"rate limit only waits":        {outcomes: []error{limited, fine}, asked: []int{1, 0}, is: limited},
		"a hiccup is retried":          {outcomes: []error{hiccup, fine}, asked: []int{1, 0}, is: hiccup},
		"a smaller window is the case": {outcomes: []error{closed, tooLong}, asked: []int{1, 1}, is: tooLong},
		"not taken by the first":       {outcomes: []error{malformed, fine}, asked: []int{1, 0}, is: malformed},
		"other errors pass":            {outcomes: []error{closed, busy, fine}, asked: []int{1, 1, 0}, is: busy},
		"all halted": {
			outcomes: []error{halted, noModel}, asked: []int{1, 1},
			want: &Error{Class: Halted, Message: "the key is wrong; no other endpoint answered either: B: there is no such model"},
		},
		"one halted, one down": {
			outcomes: []error{halted, closed}, asked: []int{1, 1},
			want: &Error{Class: Unavailable, Code: codeCircuitOpen, RetryAfter: 9 * time.Second, Message: "A: the key is wrong"},
		},
		"all down": {
			outcomes: []error{closed, sooner}, asked: []int{1, 1},
			want: &Error{Class: Unavailable, Code: codeCircuitOpen, RetryAfter: 4 * time.Second, Message: "the endpoint is down"},
		},
		"all refuse": {
			outcomes: []error{refused, refused}, asked: []int{1, 1},
			want: &Error{Class: Refused, Code: "refusal", Message: "the model declined"},
		},
		"refused, and the other is halted": {
			outcomes: []error{refused, halted}, asked: []int{1, 1},
			want: &Error{Class: Refused, Code: "refusal", Message: "the model declined; no other"},
		},
		"refused, and the other is down": {
			outcomes: []error{refused, closed}, asked: []int{1, 1},
			want: &Error{Class: Transient, Code: "refusal", Message: "the model declined; no other"},
		},
		"down, and the other can't": {
			outcomes: []error{closed, malformed}, asked: []int{1, 1},
			want: &Error{Class: Unavailable, Code: codeCircuitOpen, RetryAfter: 9 * time.Second, Message: "B: an odd request"},
		},
		"the third answers":   {outcomes: []error{closed, halted, fine}, asked: []int{1, 1, 1}},
		"one alone is halted": {outcomes: []error{halted}, asked: []int{1}, is: halted},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []*scripted
			for _, outcome := range test.outcomes {
				all = append(all, &scripted{outcomes: []error{outcome}})
			}
			response, err := askThrough(t.Context(), between(all...), "text")
			for i, s := range all {
				if s.asked != test.asked[i] {
					t.Errorf("endpoint %d was asked %d times", i, s.asked)
				}
			}
			var got *Error
			switch {
			case test.is != nil:
				if !errors.Is(err, test.is) {
					t.Errorf("got %v, want %v", err, test.is)
				}
			case test.want == nil:
				want := Usage{In: 10, Out: 1}
				if errors.Is(test.outcomes[0], refused) {
					want.In += 7 // was billed too
				}
				if err != nil || response.Content != "words" || response.Usage != want {
					t.Errorf("got %+v, %v", response, err)
				}
			case !errors.As(err, &got) || got.Class != test.want.Class || got.Code != test.want.Code || got.RetryAfter != test.want.RetryAfter ||
				!strings.Contains(got.Message, test.want.Message):
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestFallbackComesBack halts the first endpoint for a while. It is probed once a minute, not
// with each call, and used again once it is healthy. If the second one fails too, it is asked at
// once.
func TestFallbackComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		halted := &Error{Class: Halted, Message: "no credit left"}
		first, second := &scripted{outcomes: []error{halted}}, &scripted{outcomes: []error{nil}}
		f := between(first, second)
		calls := func(n int) {
			t.Helper()
			for range n {
				if _, err := askThrough(t.Context(), f, "text"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		calls(150)
		if first.asked != 3 || second.asked != 150 {
			t.Errorf("the first was asked %d times, the second %d", first.asked, second.asked)
		}
		second.outcomes = []error{&Error{Class: Unavailable, Code: codeCircuitOpen}}
		first.outcomes, first.asked, second.asked = []error{nil}, 0, 0
		calls(10)
		if first.asked != 10 || second.asked != 1 {
			t.Errorf("after the first is well it was asked %d times, the second %d", first.asked, second.asked)
		}
	})
}

// TestFallbackOfClients uses real clients. If the first one's endpoint is down, the second
// answers at once. The first one is used again after one probe.
func TestFallbackOfClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, first := flakyClient(t, "hung", Config{Timeout: 20 * time.Second, FailWhenDown: true})
		b, second := flakyClient(t, "well", Config{FailWhenDown: true})
		f := NewFallback(slog.New(slog.DiscardHandler), Endpoint{Client: first}, Endpoint{Client: second})
		ended := map[string]int{}
		for i := range breakerFailures {
			_, err := askThrough(t.Context(), f, string(rune('a'+i)))
			if err == nil {
				ended["ok"]++
			} else {
				ended[string(wantError(t, err).Class)]++
			}
		}
		if ended["transient"] != breakerFailures-1 || ended["ok"] != 1 {
			t.Errorf("%v", ended)
		}
		asked := a.calls.Load()
		start := time.Now()
		for range 10 {
			if _, err := askThrough(t.Context(), f, "more"); err != nil {
				t.Error(err)
			}
		}
		if a.calls.Load() != asked || b.calls.Load() != 11 || time.Since(start) != 0 {
			t.Errorf("%d calls to the first while it is down, %d to the second, in %s", a.calls.Load()-asked, b.calls.Load(), time.Since(start))
		}
		a.set("well")
		time.Sleep(breakerDelay)
		for range 10 {
			if _, err := askThrough(t.Context(), f, "again"); err != nil {
				t.Error(err)
			}
		}
		if b.calls.Load() != 11 {
			t.Errorf("the second was asked %d times after the first was well", b.calls.Load()-11)
		}
	})
}
