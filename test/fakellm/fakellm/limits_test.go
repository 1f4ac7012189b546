package fakellm_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// served makes n calls and returns how many were admitted.
func served(t *testing.T, s *fakellm.Server, n int) int {
	t.Helper()
	admitted := 0
	for range n {
		if ask(t, s, prose, "").Status == 200 {
			admitted++
		}
	}
	return admitted
}

func set(t *testing.T, s *fakellm.Server, change func(*fakellm.Config)) {
	t.Helper()
	if err := s.Set(change); err != nil {
		t.Fatal(err)
	}
}

// Azure's limits: 1,200 a minute are 20 in a second and 200 in ten.
func TestRequestWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) {
			c.RPM = 1200
			c.RequestWindows = []fakellm.Duration{fakellm.Duration(time.Second), fakellm.Duration(10 * time.Second)}
		})
		time.Sleep(300 * time.Millisecond)
		if got := served(t, s, 50); got != 20 {
			t.Errorf("%d in the first second, want 20", got)
		}
		if a := ask(t, s, prose, ""); a.Header.Get("Retry-After") != "1" || a.Header.Get("x-ratelimit-remaining-requests") != "0" ||
			a.Header.Get("x-ratelimit-reset-requests") != "9.7s" {
			t.Errorf("%v", a.Header)
		}
		for second := range 9 {
			time.Sleep(time.Second)
			if got := served(t, s, 50); got != 20 {
				t.Errorf("%d in second %d, want 20", got, second+1)
			}
		}
	})
}

func TestLimitStartsEmpty(t *testing.T) {
	t.Parallel()
	for mode, after := range map[string]int{"bucket": 5, "window": 60} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, func(c *fakellm.Config) { c.RPM, c.LimitMode, c.LimitStart = 60, mode, "empty" })
			if got := served(t, s, 3); got != 0 {
				t.Errorf("%s: %d at the start", mode, got)
			}
			wait := 5 * time.Second
			if mode == "window" {
				wait = time.Minute
			}
			time.Sleep(wait)
			if got := served(t, s, 100); got != after {
				t.Errorf("%s: %d after %s, want %d", mode, got, wait, after)
			}
		})
	}
}

// A bucket keeps its level as a share of its size; in a window, what was used stays used.
func TestLimitsChangeInMidRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, mode string
		used       int
		rpm        float64
		want       int
	}{
		{"bucket halved", "bucket", 40, 60, 40},
		{"bucket doubled", "bucket", 40, 240, 160},
		{"empty bucket doubled", "bucket", 120, 240, 0},
		{"window halved", "window", 40, 60, 20},
		{"window halved below what was used", "window", 80, 60, 0},
		{"window doubled", "window", 40, 240, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, func(c *fakellm.Config) { c.RPM, c.LimitMode = 120, tt.mode })
				if got := served(t, s, tt.used); got != tt.used {
					t.Fatalf("%d of %d", got, tt.used)
				}
				set(t, s, func(c *fakellm.Config) { c.RPM = tt.rpm })
				set(t, s, func(c *fakellm.Config) { c.Words = 5 }) // another setting changes nothing
				if got := served(t, s, 300); got != tt.want {
					t.Errorf("%d at once, want %d", got, tt.want)
				}
			})
		})
	}
}

// The level before the change was saved up at the old rate.
func TestBucketIsFilledBeforeItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) { c.RPM, c.LimitStart = 60, "empty" })
		time.Sleep(30 * time.Second)
		set(t, s, func(c *fakellm.Config) { c.RPM = 6000 })
		if got := served(t, s, 10_000); got != 3000 {
			t.Errorf("%d, want half a bucket", got)
		}
	})
}

func TestInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) {
			c.RPM, c.TPM, c.LimitStart, c.Record = 60, 60_000, "empty", false
		})
		begin := time.Now().Unix()
		for range 10 {
			time.Sleep(time.Second)
			served(t, s, 2) // one is admitted
		}
		set(t, s, func(c *fakellm.Config) { c.RPM = 120 })
		time.Sleep(5 * time.Second)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/_fake/seconds", nil))
		var seconds []fakellm.Second
		if err := json.Unmarshal(w.Body.Bytes(), &seconds); err != nil || len(seconds) != 10 {
			t.Fatalf("%v, %s", err, w.Body)
		}
		charge := seconds[0].Charged
		if want := (fakellm.Second{At: begin + 1, Counts: fakellm.Counts{Calls: 2, Admitted: 1, Refused: 1, Completed: 1, Charged: charge}}); seconds[0] != want || charge == 0 {
			t.Errorf("%+v, want %+v", seconds[0], want)
		}
		got := s.Interval(begin+5, begin+15)
		want := fakellm.Interval{From: begin + 5, To: begin + 15, AdmissibleRequests: 5 + 2*5, AdmissibleTokens: 10_000,
			Counts: fakellm.Counts{Calls: 12, Admitted: 6, Refused: 6, Completed: 6, Charged: 6 * charge}}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		set(t, s, func(c *fakellm.Config) { c.TPM = 0 })
		time.Sleep(time.Second)
		if got := s.Interval(begin, begin+16); got.AdmissibleTokens != 0 || got.AdmissibleRequests != 10+2*6 {
			t.Errorf("with a time without a limit: %+v", got)
		}
		if st := s.Stats(); st.Calls != 20 || st.Completed != 10 || st.Distinct != 0 || len(s.Calls()) != 0 {
			t.Errorf("unrecorded: %+v", st)
		}
	})
}

// Whole requests only: 90 a minute are one in a window of a second.
func TestAdmissibleOfWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) {
			c.RPM, c.RequestWindows = 90, []fakellm.Duration{fakellm.Duration(time.Second)}
		})
		begin := time.Now().Unix()
		time.Sleep(10 * time.Second)
		if got := s.Interval(begin, begin+10).AdmissibleRequests; got != 10 {
			t.Errorf("%g admissible in ten seconds, want 10", got)
		}
	})
}

func TestLimitsRefused(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*fakellm.Config){
		func(c *fakellm.Config) { c.LimitStart = "half" },
		func(c *fakellm.Config) { c.RequestWindows = []fakellm.Duration{0} },
		func(c *fakellm.Config) {
			c.RPM, c.RequestWindows = 30, []fakellm.Duration{fakellm.Duration(time.Second)}
		},
		func(c *fakellm.Config) { c.RPM, c.LimitPeriod = 30, fakellm.Duration(time.Second) },
	} {
		cfg := fakellm.Defaults()
		change(&cfg)
		if _, err := fakellm.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
