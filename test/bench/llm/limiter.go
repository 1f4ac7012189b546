package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// limiterScenario measures the limiter alone: the Go benchmarks of internal/llm/limiter named
// BenchmarkLimiter…, on the real Redis.
func limiterScenario() scenario {
	return scenario{name: "limiter", about: "the cost of the limiter itself", alone: true, most: 5 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			command := exec.CommandContext(ctx, "go", "test", "-tags", "benchmark", "-run", "^$", "-bench", "^BenchmarkLimiter",
				"-benchtime", s.of(5*time.Second, time.Second).String(), "./internal/llm/...")
			command.Env = append(command.Environ(), "GISTMILL_TEST_REDIS="+s.bench.redis, "GISTMILL_TEST_POSTGRES="+s.bench.store)
			out, err := command.CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("run the benchmarks: %w\n%s", err, out)
			}
			rows := limiterRows(out)
			if len(rows) == 0 {
				return nil, fmt.Errorf("internal/llm has no benchmark named BenchmarkLimiter…\n%s", out)
			}
			return rows, nil
		},
	}
}

// limiterRows parses the output of go test.
func limiterRows(out []byte) []row {
	line := regexp.MustCompile(`^(BenchmarkLimiter\S*?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)
	var rows []row
	for text := range bytes.Lines(out) {
		found := line.FindSubmatch(text)
		if found == nil {
			continue
		}
		nanoseconds, err := strconv.ParseFloat(string(found[2]), 64)
		if err != nil || nanoseconds <= 0 {
			continue
		}
		rows = append(rows, fact(string(found[1]), "%.0f calls/s, %.0f µs each", 1e9/nanoseconds, nanoseconds/1000))
	}
	return rows
}
