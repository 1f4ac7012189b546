package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got, err := targets(fstest.MapFS{
		"go.mod":                file("module m"),
		"a/x_test.go":           file("package a\n\nfunc FuzzOne(f *testing.F) {}\n\nfunc FuzzTwo(f *testing.F) {\n}\n// func FuzzNo(f *testing.F)\n"),
		"a/x.go":                file("func FuzzNotATest(f *testing.F) {}"),
		"a/testdata/y_test.go":  file("func FuzzData(f *testing.F) {}"),
		"b/go.mod":              file("module other"),
		"b/x_test.go":           file("func FuzzOther(f *testing.F) {}"),
		"c/d/x_test.go":         file("func FuzzDeep(f *testing.F) {}\nfunc Fuzzy(t *testing.T) {}"),
		".hidden/x_test.go":     file("func FuzzHidden(f *testing.F) {}"),
		"c/d/helpers_test.go":   file("func fuzzFormat(f *testing.F, ext string) {}"),
		"c/d/integration_te.go": file("func FuzzNo(f *testing.F) {}"),
	})
	if err != nil || !slices.Equal(got, []target{{"a", "FuzzOne"}, {"a", "FuzzTwo"}, {"c/d", "FuzzDeep"}}) {
		t.Errorf("%v %v", got, err)
	}
}

func TestAFailureDoesNotEndIt(t *testing.T) {
	t.Parallel()
	says := map[string]string{
		"FuzzGood": "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed\nfuzz: elapsed: 3s, execs: 100 (33/sec), new interesting: 1 (total: 10)\n" +
			"fuzz: elapsed: 6s, execs: 12345 (4000/sec), new interesting: 7 (total: 16)\nPASS\n",
		"FuzzBad":   "fuzz: elapsed: 1s, execs: 5 (5/sec)\n--- FAIL: FuzzBad\n    Failing input written to testdata/fuzz/FuzzBad/abc\n",
		"FuzzBuilt": "it does not build",
	}
	var out strings.Builder
	err := fuzz(t.Context(), []target{{"a", "FuzzBad"}, {"a", "FuzzBuilt"}, {"b", "FuzzGood"}}, &out, func(_ context.Context, t target) (string, error) {
		if t.name == "FuzzGood" {
			return says[t.name], nil
		}
		return says[t.name], errors.New("exit status 1")
	})
	if err == nil || !strings.Contains(err.Error(), "2 of 3 targets failed") {
		t.Errorf("%v", err)
	}
	for _, row := range []string{"| a FuzzBad | 0s | 5 | 0 | 0 | FAILED testdata/fuzz/FuzzBad/abc |", "| a FuzzBuilt | 0s | 0 | 0 | 0 | FAILED |", "| b FuzzGood | 0s | 12345 | 7 | 16 | ok |"} {
		if !strings.Contains(out.String(), row+"\n") {
			t.Errorf("no row %s in\n%s", row, out.String())
		}
	}
}

func TestStopping(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	err := fuzz(ctx, []target{{"a", "FuzzOne"}, {"a", "FuzzTwo"}}, &out, func(context.Context, target) (string, error) {
		cancel()
		return "fuzz: elapsed: 3s, execs: 100 (33/sec), new interesting: 1 (total: 10)", errors.New("signal: interrupt")
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "| a FuzzOne | 0s | 100 | 1 | 10 | stopped |") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := fuzz(t.Context(), nil, &out, nil); err == nil {
		t.Error("no target is no failure")
	}
}
