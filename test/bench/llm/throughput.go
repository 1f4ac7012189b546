package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

// pace is one pass through the documents.
type pace struct {
	whole  float64       // documents a second, from the start of the process to its end
	steady float64       // calls a second, from the first to the last that the endpoint saw
	cpu    time.Duration // of the program
	served time.Duration // of the endpoint's process
	peak   int64         // bytes
}

// throughputScenario has no limit. The loop, the work alone and gistmill run in turns, each
// with an endpoint of its own.
func throughputScenario() scenario {
	const concurrency = 64
	return scenario{name: "throughput", about: "no limit, concurrency 64, `run`, SQLite", alone: true, most: 6 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			documents, turns := 10_000, 3
			if s.bench.quick {
				documents = 3000
			}
			source, err := s.documents(documents, 1400, 1600)
			if err != nil {
				return nil, err
			}
			template, err := s.template(ctx, source)
			if err != nil {
				return nil, err
			}
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			programs := []struct {
				name    string
				command func(turn int, url string) *exec.Cmd
				paces   []pace
			}{
				{name: "loop", command: func(_ int, url string) *exec.Cmd {
					return exec.Command(self, loopCommand, "-url", url, "-template", template, "-documents", source, "-concurrency", strconv.Itoa(concurrency))
				}},
				{name: "the work alone", command: func(_ int, url string) *exec.Cmd {
					return exec.Command(self, workCommand, "-url", url, "-documents", source, "-concurrency", strconv.Itoa(concurrency))
				}},
				{name: "gistmill", command: func(turn int, url string) *exec.Cmd {
					return s.runAlone(filepath.Join(s.dir, fmt.Sprintf("turn-%d", turn)), source, url, concurrency)
				}},
			}
			for turn := range turns {
				for i := range programs {
					c := &programs[i]
					p, err := s.timed(ctx, documents, func(url string) *exec.Cmd { return c.command(turn, url) })
					if err != nil {
						return nil, err
					}
					c.paces = append(c.paces, p)
					s.bench.say("throughput: turn %d: %s %.0f/s", turn+1, c.name, p.whole)
				}
			}
			bare, alone, us := median(programs[0].paces), median(programs[1].paces), median(programs[2].paces)
			each := func(d time.Duration) float64 { return d.Seconds() / float64(documents) * 1000 }
			share := func(what string, a, b float64) row {
				return row{what: what, measured: fmt.Sprintf("%.1f %% (%.0f/s of %.0f/s)", 100*a/b, a, b),
					aim: "≥ 95 %", met: a >= 0.95*b}
			}
			return []row{
				share(fmt.Sprintf("no limit, %s, concurrency %d, `run`, SQLite, %d documents of 1.5 KB, median of %d: of the bare loop's rate, whole processes",
					s.bench.latency, concurrency, documents, turns), us.whole, bare.whole),
				share("… from the first call to the last", us.steady, bare.steady),
				fact("… the work alone, with nothing planned, queued or booked: whole processes, from the first call to the last", "%.1f %%, %.1f %%",
					100*alone.whole/bare.whole, 100*alone.steady/bare.steady),
				fact("… processor seconds per 1,000 documents: gistmill / the work alone / the loop", "%.2f / %.2f / %.2f", each(us.cpu), each(alone.cpu), each(bare.cpu)),
				fact("… of the endpoint beside them", "%.2f / %.2f", each(us.served), each(bare.served)),
				fact("… peak memory: gistmill / the loop", "%d MiB / %d MiB", us.peak>>20, bare.peak>>20),
			}, nil
		},
	}
}

// runAlone runs gistmill in one process, in a new folder.
func (s *site) runAlone(dir, source, url string, concurrency int) *exec.Cmd {
	command := exec.Command(s.bench.gistmill, "run", source, "--base-url", url, "--model", "gpt-4o-mini",
		"--concurrency", strconv.Itoa(concurrency), "--yes")
	command.Dir = dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + s.dir}
	return command
}

// timed runs a program against an endpoint of its own and measures its pace. Each document must
// have had one call.
func (s *site) timed(ctx context.Context, documents int, command func(url string) *exec.Cmd) (p pace, err error) {
	endpoint, err := s.bench.startFake(ctx, "-latency="+s.bench.latency.String(), "-record=false")
	if err != nil {
		return p, err
	}
	defer endpoint.stop()
	c := command(endpoint.baseURL)
	if c.Dir != "" {
		if err := os.Mkdir(c.Dir, 0o700); err != nil {
			return p, err
		}
	}
	running, err := program.Start(c)
	if err != nil {
		return p, err
	}
	s.programs = append(s.programs, running)
	r, err := running.Wait(ctx)
	if err != nil {
		return p, err
	}
	if r.Code != 0 {
		return p, fmt.Errorf("%s: exit code %d\n%s", filepath.Base(r.Args[0]), r.Code, program.Tail(r.Stderr))
	}
	if p.served, err = endpoint.process.Processor(); err != nil {
		return p, err
	}
	stats, err := endpoint.stats(ctx)
	if err != nil {
		return p, err
	}
	if stats.Completed != int64(documents) || stats.Calls != stats.Completed {
		return p, fmt.Errorf("%s made %d calls, %d of them answered, for %d documents", filepath.Base(r.Args[0]), stats.Calls, stats.Completed, documents)
	}
	p.whole = float64(documents) / r.Took.Seconds()
	p.steady = float64(documents-1) / stats.Last.Sub(stats.First).Seconds()
	p.cpu, p.peak = r.Processor, r.Peak
	return p, nil
}

// median returns the median of each figure.
func median(all []pace) pace {
	return pace{
		whole: middle(all, func(p pace) float64 { return p.whole }), steady: middle(all, func(p pace) float64 { return p.steady }),
		cpu: middle(all, func(p pace) time.Duration { return p.cpu }), served: middle(all, func(p pace) time.Duration { return p.served }),
		peak: middle(all, func(p pace) int64 { return p.peak }),
	}
}

func middle[T float64 | int64 | time.Duration](all []pace, of func(pace) T) T {
	var list []T
	for _, p := range all {
		list = append(list, of(p))
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// textMark takes the place of a document's text in a template.
const textMark = "@@TEXT@@"

// template returns the body that gistmill posts for the first document, with a mark in place of
// its text. The loop posts the same. The body is taken from gistmill itself, by an endpoint
// that refuses the key, which ends the run.
func (s *site) template(ctx context.Context, source string) (name string, err error) {
	texts, err := readTexts(source)
	if err != nil {
		return "", err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	bodies := make(chan []byte, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Method == http.MethodPost {
			select {
			case bodies <- body:
			default:
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"message":"no","code":"invalid_api_key"}}`)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}()
	dir := filepath.Join(s.dir, "template")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	command := s.runAlone(dir, source, "http://"+listener.Addr().String()+"/v1", 1)
	command.Args = append(command.Args, "--limit", "1")
	p, err := program.Start(command)
	if err != nil {
		return "", err
	}
	s.programs = append(s.programs, p)
	if _, err := p.Wait(ctx); err != nil {
		return "", err
	}
	select {
	case body := <-bodies:
		for _, text := range texts {
			if before, after, ok := bytes.Cut(body, text); ok {
				name = filepath.Join(s.dir, "template.json")
				return name, os.WriteFile(name, bytes.Join([][]byte{before, after}, []byte(textMark)), 0o600)
			}
		}
		return "", fmt.Errorf("no document's text is in the body that gistmill posts: %.300s", body)
	default:
		return "", fmt.Errorf("gistmill posted nothing\n%s", program.Tail(p.Stderr.String()))
	}
}
