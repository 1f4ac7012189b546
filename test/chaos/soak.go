package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/gistmill/gistmill/test/servers"
)

const (
	// sampleEvery is the interval of measurements.
	sampleEvery = 10 * time.Second
	// batchEvery is the interval at which a new source with batchDocuments documents is enqueued.
	batchEvery     = 8 * time.Second
	batchDocuments = 30
)

// series holds the samples of one quantity in order.
type series struct {
	name   string
	unit   float64 // divisor for the table
	slack  float64 // allowed growth beyond 10 %
	values []float64
}

// warm is the share of a soak that is not judged.
const warm = 0.1

// thirds returns the medians of the first third after the warm-up and of the last third.
func (s *series) thirds() (first, last float64) {
	judged := s.values[int(warm*float64(len(s.values))):]
	third := max(1, len(judged)/3)
	return median(judged[:third]), median(judged[len(judged)-third:])
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func (s *series) figure() figure {
	first, last := s.thirds()
	most := first*1.1 + s.slack
	return figure{
		s.name + fmt.Sprintf(": last third, first third %.1f", first/s.unit), fmt.Sprintf("%.1f", last/s.unit), fmt.Sprintf("≤ %.1f", most/s.unit), last <= most,
	}
}

// soak is a steady load and its measurements.
type soak struct {
	*site
	slots   []*slot
	metrics map[*slot]string // address of a worker's metrics
	client  *http.Client
	series  []*series
}

const mebibyte = 1 << 20

// runSoak works on small runs with one server and two workers, and measures whether anything
// grows.
func runSoak(ctx context.Context, s *site, o options) ([]figure, error) {
	workers, err := s.newWorkers(2)
	if err != nil {
		return nil, err
	}
	server, err := s.newSlot("server", "server started", "server", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &soak{site: s, slots: append(workers, server), metrics: map[*slot]string{}, client: &http.Client{Timeout: 10 * time.Second}}
	for _, w := range workers {
		port, err := servers.FreePort()
		if err != nil {
			return nil, err
		}
		k.metrics[w] = fmt.Sprintf("127.0.0.1:%d", port)
		w.args = append(w.args, "--metrics-listen", k.metrics[w])
	}
	stop := keepAllRunning(ctx, k.slots...)
	defer func() { _ = stop() }()
	for _, slot := range k.slots {
		if slot.working(ctx) == nil {
			return nil, ctx.Err()
		}
	}
	batches := 0
	end := time.Now().Add(o.soak)
	nextBatch, nextSample := time.Now(), time.Now().Add(sampleEvery)
	for time.Now().Before(end) {
		switch now := time.Now(); {
		case !now.Before(nextBatch):
			if err := k.batch(ctx, batches); err != nil {
				return nil, err
			}
			batches++
			nextBatch = now.Add(batchEvery)
		case !now.Before(nextSample):
			if err := k.sample(ctx); err != nil {
				return nil, err
			}
			nextSample = now.Add(sampleEvery)
		default:
			if !pause(ctx, 100*time.Millisecond) {
				return nil, ctx.Err()
			}
		}
	}
	if err := s.finished(ctx); err != nil {
		return nil, err
	}
	done, err := s.number(ctx, `SELECT COUNT(*) FROM results WHERE state = 'done'`)
	if err != nil {
		return nil, err
	}
	figures := []figure{
		reported("time", o.soak), reported("runs", batches),
		exactly("documents done", done, int64(batches*batchDocuments)),
		exactly("calls paid twice", s.endpoint.fake.Stats().Duplicates, 0),
	}
	for _, one := range k.series {
		figures = append(figures, one.figure())
	}
	return append(figures, s.violationsFigure()), nil
}

// batch writes and enqueues a new source.
func (k *soak) batch(ctx context.Context, n int) error {
	folder := filepath.Join(k.docs(), fmt.Sprintf("batch-%05d", n))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for i := range batchDocuments {
		d := document{content: n*batchDocuments + i}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.txt", i)), []byte(d.text()), 0o600); err != nil {
			return err
		}
	}
	err := k.run(ctx, nil, "enqueue", folder, "--partition-documents", "10")
	return err
}

// add appends a value to a series.
func (k *soak) add(name string, unit, slack, value float64) {
	for _, s := range k.series {
		if s.name == name {
			s.values = append(s.values, value)
			return
		}
	}
	k.series = append(k.series, &series{name, unit, slack, []float64{value}})
}

func (k *soak) sample(ctx context.Context) error {
	var errs []error
	for _, slot := range k.slots {
		i := slot.running(ctx)
		if i == nil {
			return ctx.Err()
		}
		resident, files, err := process(i.PID())
		errs = append(errs, err)
		k.add(slot.name+", resident MiB", mebibyte, 8*mebibyte, resident)
		k.add(slot.name+", open files", 1, 5, files)
		if address := k.metrics[slot]; address != "" {
			goroutines, heap, err := k.scrape(ctx, address)
			errs = append(errs, err)
			k.add(slot.name+", goroutines", 1, 5, goroutines)
			k.add(slot.name+", heap MiB", mebibyte, 4*mebibyte, heap)
		}
	}
	keys, err := k.redis.Client.DBSize(ctx).Result()
	errs = append(errs, err)
	k.add("Redis, keys", 1, 10, float64(keys))
	info, err := k.redis.Client.InfoMap(ctx, "memory").Result()
	errs = append(errs, err)
	used, err := strconv.ParseFloat(info["Memory"]["used_memory"], 64)
	k.add("Redis, MiB", mebibyte, mebibyte, used)
	return errors.Join(append(errs, err)...)
}

// process returns the resident memory of a process in bytes and its number of open files
// (proc(5)).
func process(pid int) (resident, files float64, err error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, err
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	if err != nil {
		return 0, 0, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return pages * float64(os.Getpagesize()), float64(len(open)), err
}

// scrape reads a worker's metrics.
func (k *soak) scrape(ctx context.Context, address string) (goroutines, heap float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	return readMetrics(response.Body)
}

func readMetrics(r io.Reader) (goroutines, heap float64, err error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return 0, 0, err
	}
	for name, to := range map[string]*float64{"go_goroutines": &goroutines, "go_memstats_heap_inuse_bytes": &heap} {
		family := families[name]
		if family == nil || len(family.GetMetric()) != 1 {
			return 0, 0, fmt.Errorf("the metrics have no %s", name)
		}
		*to = family.GetMetric()[0].GetGauge().GetValue()
	}
	return goroutines, heap, nil
}
