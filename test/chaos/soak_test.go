package main

import (
	"os"
	"strings"
	"testing"
)

// A series is flat when the median of its last third is close to that of its first third after
// the warm-up. Values during the warm-up and outliers do not matter.
func TestSeries(t *testing.T) {
	t.Parallel()
	flat := &series{name: "flat", unit: 1, slack: 1}
	grows := &series{name: "grows", unit: 1, slack: 1}
	for n := range 100 {
		value := 50.0
		if n < 10 || n%17 == 0 {
			value = 500
		}
		flat.values = append(flat.values, value)
		grows.values = append(grows.values, 50+float64(n)/5)
	}
	if f := flat.figure(); !f.good || f.found != "50.0" || f.wanted != "≤ 56.0" {
		t.Errorf("%+v", f)
	}
	if f := grows.figure(); f.good {
		t.Errorf("%+v", f)
	}
}

func TestProcessAndMetrics(t *testing.T) {
	t.Parallel()
	resident, files, err := process(os.Getpid())
	if err != nil || resident < mebibyte || files < 3 {
		t.Errorf("this process has %v bytes and %v files, %v", resident, files, err)
	}
	goroutines, heap, err := readMetrics(strings.NewReader("# TYPE go_goroutines gauge\ngo_goroutines 12\n# TYPE go_memstats_heap_inuse_bytes gauge\ngo_memstats_heap_inuse_bytes 3.5e+06\n"))
	if err != nil || goroutines != 12 || heap != 3.5e6 {
		t.Errorf("%v %v %v", goroutines, heap, err)
	}
	if _, _, err := readMetrics(strings.NewReader("# TYPE go_goroutines gauge\ngo_goroutines 12\n")); err == nil {
		t.Error("metrics without a heap were accepted")
	}
}
