package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	all := scenarios()
	names := func(list []scenario) string {
		var names []string
		for _, s := range list {
			names = append(names, s.name)
		}
		return strings.Join(names, " ")
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.name] || s.about == "" || s.most <= 0 || s.play == nil {
			t.Errorf("scenario %+v", s)
		}
		seen[s.name] = true
	}
	for only, want := range map[string]string{
		"":                     names(all),
		"known":                "known-1 known-2 known-4 known-8 known-window known-azure",
		"budget,known-1":       "known-1 budget",
		"known-1,known":        "known-1 known-2 known-4 known-8 known-window known-azure",
		"unknown-rate,refused": "refused unknown-rate",
	} {
		if got, err := choose(all, only); err != nil || names(got) != want {
			t.Errorf("-only %s: %s, %v; want %s", only, names(got), err, want)
		}
	}
	for _, only := range []string{"nothing", "known,nothing"} {
		if _, err := choose(all, only); err == nil {
			t.Errorf("-only %s is taken", only)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-nonsense"}, {"-only", "nothing"}, {"-store", "", "-redis", ""}, {"-store", "postgres://localhost/x", "-redis", ""},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	rows := []row{
		atLeast("used", 0.97, 1164, 1200), atMost("429s", 0.005, 7, 1200), fact("memory", "%d MiB", 5),
		within("back", time.Minute, 12*time.Second, true, "never"), within("again", 0, 0, false, "never"), within("late", time.Second, time.Minute, true, ""),
		none("dead", 0), none("attempts", 2), failure(errors.New("a | b\nc")), atLeast("of nothing", 0.5, 0, 0), atMost("of nothing", 0.5, 0, 0),
	}
	for i := range rows {
		rows[i].scenario = []string{"one", "two"}[i/6]
	}
	want := `| scenario | figure | measured | aim | met |
|---|---|---|---|---|
| one | used | 97.0 % (1164 of 1200) | ≥ 97 % | yes |
|  | 429s | 0.58 % (7 of 1200) | ≤ 0.5 % | no |
|  | memory | 5 MiB | – | – |
|  | back | 12 s | ≤ 60 s | yes |
|  | again | never | – | – |
|  | late | 60 s | ≤ 1 s | no |
| two | dead | 0 | 0 | yes |
|  | attempts | 2 | 0 | no |
|  | failed | a / b | to run | no |
|  | of nothing | 0.0 % (0 of 0) | ≥ 50 % | no |
|  | of nothing | 0.00 % (0 of 0) | ≤ 50 % | no |
`
	if got := markdown(rows); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// series returns the given numbers of calls for each second, a tenth of them refused.
func series(perSecond ...int64) []fakellm.Second {
	var list []fakellm.Second
	for i, n := range perSecond {
		list = append(list, fakellm.Second{At: int64(i), Counts: fakellm.Counts{Calls: n, Admitted: n - n/10, Refused: n / 10}})
	}
	return list
}

func repeat(n int, v int64) []int64 {
	var list []int64
	for range n {
		list = append(list, v)
	}
	return list
}

func TestStaysWithin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		series []fakellm.Second
		after  time.Duration
		ok     bool
	}{
		"from the start":         {series(repeat(30, 10)...), 0, true},
		"after five seconds":     {series(append(repeat(5, 20), repeat(30, 10)...)...), 5 * time.Second, true},
		"relapse":                {series(append(append(repeat(20, 10), 25), repeat(20, 10)...)...), 21 * time.Second, true},
		"never":                  {series(repeat(30, 20)...), 0, false},
		"relapse at the end":     {series(append(repeat(30, 10), 40)...), 0, false},
		"too short to be judged": {series(repeat(5, 1)...), 0, false},
	} {
		after, ok := staysWithin(c.series, 10)
		if ok != c.ok || ok && after != c.after {
			t.Errorf("%s: %s, %t; want %s, %t", name, after, ok, c.after, c.ok)
		}
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	if after, ok := reaches(series(append(repeat(7, 10), repeat(20, 20)...)...), 18); !ok || after != 7*time.Second {
		t.Errorf("%s, %t", after, ok)
	}
	if _, ok := reaches(series(repeat(20, 20)...), 18.5); ok {
		t.Error("refused calls count as admitted")
	}
	if after, ok := reaches(series(append(append(repeat(10, 20), repeat(10, 5)...), repeat(20, 20)...)...), 18); !ok || after != 20*time.Second {
		t.Errorf("after a burst that did not last: %s, %t", after, ok)
	}
}

func TestFilled(t *testing.T) {
	t.Parallel()
	got := filled([]fakellm.Second{{At: 3, Counts: fakellm.Counts{Calls: 1}}, {At: 11, Counts: fakellm.Counts{Calls: 5}}, {At: 20}}, 10, 14)
	if len(got) != 4 || got[0].At != 10 || got[1].Calls != 5 || sum(got).Calls != 5 {
		t.Errorf("%+v", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	got := median([]pace{{whole: 3, steady: 1, peak: 2}, {whole: 1, steady: 2, peak: 9}, {whole: 2, steady: 3, peak: 5}})
	if got.whole != 2 || got.steady != 2 || got.peak != 5 {
		t.Errorf("%+v", got)
	}
}

func TestLimiterRows(t *testing.T) {
	t.Parallel()
	rows := limiterRows([]byte("goos: linux\nBenchmarkLimiterReserve-2   \t   20000\t     50000 ns/op\t 12 B/op\nBenchmarkOther-2 1 5 ns/op\nBenchmarkLimiterMany/64-2 10 2.5e3 ns/op\nPASS\n"))
	if len(rows) != 1 || rows[0].what != "BenchmarkLimiterReserve" || rows[0].measured != "20000 calls/s, 50 µs each" {
		t.Errorf("%+v", rows)
	}
}

// The loop asks once for each document, with the document's text in the template.
func TestLoop(t *testing.T) {
	t.Parallel()
	s := &site{dir: t.TempDir()}
	documents, err := s.documents(200, 500, 900)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := readTexts(documents)
	if err != nil || len(texts) != 200 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	for _, text := range texts {
		if len(text) < 500 || len(text) > 1100 {
			t.Errorf("a text of %d bytes", len(text))
		}
	}
	template := filepath.Join(s.dir, "template")
	if err := os.WriteFile(template, []byte(`{"model":"m","messages":[{"role":"user","content":"`+textMark+`"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	fake, err := fakellm.New(fakellm.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake)
	defer server.Close()
	args := []string{"-url", server.URL + "/v1", "-template", template, "-documents", documents, "-concurrency", "8"}
	if err := loop(t.Context(), args, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if st := fake.Stats(); st.Completed != 200 || st.Distinct != 200 {
		t.Errorf("%+v", st)
	}
	var asked atomic.Int64
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer broken.Close()
	args[1] = broken.URL
	if err := loop(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "502") || asked.Load() > 8 {
		t.Errorf("%v after %d calls", err, asked.Load())
	}
	if err := os.WriteFile(template, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := loop(t.Context(), args, io.Discard, io.Discard); err == nil {
		t.Error("a template without a place for the text is taken")
	}
}

// Equal numbers give equal documents, and different numbers give different ones.
func TestDocuments(t *testing.T) {
	t.Parallel()
	var files [][]byte
	for range 2 {
		s := &site{dir: t.TempDir()}
		name, err := s.documents(50, 500, 12_000)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the documents differ")
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(files[0]) {
		_, text, _ := bytes.Cut(line, []byte(`"text"`))
		seen[string(text)] = true
	}
	if len(seen) != 50 {
		t.Errorf("%d texts differ of 50", len(seen))
	}
}
