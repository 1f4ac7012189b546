package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// sequences is the number of random sequences that `make test` runs. `make property` runs 10,000.
const sequences = "200"

// TestSequences runs random sequences of commands, as a person types them, in one folder. After
// each command it checks that
//
//   - the model got no document whose cost was not confirmed: by the person, by --yes, by an
//     estimate below --confirm-above, or because the command was `enqueue`;
//   - only files of the person were read as documents, and none of them was changed;
//   - no line of a summaries.jsonl is lost whose summary is in the ledger;
//   - the counts of each run add up.
//
// After a failure, rapid shortens the sequence and prints its seed.
func TestSequences(t *testing.T) {
	t.Parallel()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(sequences); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		p := newTypist(rt, dir, seen)
		defer p.leave()
		for range rapid.IntRange(1, 7).Draw(rt, "steps") {
			p.step()
			p.check()
		}
	})
	t.Log(seen)
	for _, want := range []string{"exit 0", "exit 1", "exit 2", "exit 130", "asked", "paid", "sampled"} {
		if seen[want] == 0 {
			t.Errorf("no sequence came to %q", want)
		}
	}
}

// typist is a person who works in a folder with the sources a, a/below and b.
type typist struct {
	*rapid.T
	dir   string
	model *paidModel
	ctrlC *ctrlC
	queue *miniredis.Miniredis
	files map[string]string // by path: the content of the person's files
	next  int               // number of the next document
	// confirmed are the paths of the documents that may be paid for, by source.
	confirmed map[string]map[string]bool
	// samples is the number of documents that may be paid for wherever they are.
	samples int
	// lines are the lines of each summaries.jsonl after the last command, by source and URI.
	lines map[string]map[string]bool
	seen  map[string]int  // how often something happened, in all sequences
	log   strings.Builder // what was typed and printed
}

func newTypist(rt *rapid.T, parent string, seen map[string]int) *typist {
	dir, err := os.MkdirTemp(parent, "")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		rt.Fatal(err)
	}
	p := &typist{
		T: rt, dir: dir, seen: seen, ctrlC: &ctrlC{}, queue: miniredis.NewMiniRedis(), files: map[string]string{},
		confirmed: map[string]map[string]bool{}, lines: map[string]map[string]bool{},
	}
	p.model = newPaidModel(p.ctrlC)
	p.ok(p.queue.Start())
	for _, folder := range []string{"a", "a/below", "b"} {
		for range rapid.IntRange(1, 2).Draw(rt, "documents in "+folder) {
			p.writeNew(folder)
		}
	}
	return p
}

func (p *typist) leave() {
	p.model.server.Close()
	p.queue.Close()
	_ = os.RemoveAll(p.dir)
}

func (p *typist) ok(err error) {
	if err != nil {
		p.Helper()
		p.fail("%v", err)
	}
}

// fail ends the sequence with what was typed and printed.
func (p *typist) fail(format string, args ...any) {
	p.Helper()
	p.Fatalf("%s\n\n%s", fmt.Sprintf(format, args...), p.log.String())
}

func (p *typist) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

// writeNew writes a new document into a folder.
func (p *typist) writeNew(folder string) {
	p.write(p.path(fmt.Sprintf("%s/d%d.txt", folder, p.next)))
}

// write gives a document new content. All documents have the same length.
func (p *typist) write(path string) {
	p.next++
	content := fmt.Sprintf("%s %06d is about a walk along the river, which took some hours and ended at the old bridge of the town.\n", documentMark, p.next)
	p.ok(os.MkdirAll(filepath.Dir(path), 0o755))
	p.ok(os.WriteFile(path, []byte(content), 0o644))
	p.files[path] = content
	p.model.know(p.next, path)
	fmt.Fprintf(&p.log, "write %s: document %d\n", path, p.next)
}

func (p *typist) someFile() string {
	paths := slices.Sorted(maps.Keys(p.files))
	if len(paths) == 0 {
		return ""
	}
	return rapid.SampledFrom(paths).Draw(p.T, "file")
}

// step changes a document, the model or types a command.
func (p *typist) step() {
	switch step := rapid.SampledFrom([]string{
		"run", "run", "run", "run", "run", "run", "two runs", "enqueue", "worker", "resume", "pause", "cancel", "retry", "drop",
		"export pages", "dry run", "write", "change", "remove", "model", "model",
	}).Draw(p.T, "step"); step {
	case "write":
		p.writeNew(p.draw("folder", sources...))
	case "change":
		if path := p.someFile(); path != "" {
			p.write(path)
		}
	case "remove":
		if path := p.someFile(); path != "" {
			p.ok(os.Remove(path))
			delete(p.files, path)
			fmt.Fprintf(&p.log, "remove %s\n", path)
		}
	case "model":
		p.model.set(p.draw("model", modelAnswers, modelAnswers, modelRefusesKey, modelRejects, modelInterrupts))
	case "run":
		p.runs(p.newPayment())
	case "two runs":
		p.runs(p.newPayment(), p.newPayment())
	case "enqueue":
		source := p.draw("source", sources...)
		p.confirm(source)
		p.gistmill(away, "enqueue", p.path(source), "--redis", p.redis())
	case "worker":
		p.gistmill(away, "worker", "--redis", p.redis(), "--exit-when-idle=50ms")
	case "resume":
		p.resume()
	case "pause", "cancel":
		if run := p.newestRun(); run != "" {
			p.gistmill(away, step, run)
		}
	case "retry":
		p.model.retry()
		p.gistmill(away, "dead", "retry", "--all")
	case "drop":
		p.gistmill(away, "dead", "drop", "--all", "--yes")
	case "export pages":
		p.gistmill(away, "export", p.path(p.draw("pages", outs...))+"/")
	case "dry run":
		before := len(p.snapshot())
		p.gistmill(away, "run", p.path(p.draw("source", sources...)), "--dry-run")
		if after := len(p.snapshot()); after != before {
			p.fail("a dry run wrote files: %d before, %d after", before, after)
		}
	}
}

var (
	sources = []string{"a", "a", "b", "a/below", "."}
	outs    = []string{"out", "out", "other", "a/summaries", "a", "."}
)

func (p *typist) draw(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(p.T, label)
}

func (p *typist) redis() string { return "redis://" + p.queue.Addr() }

// How a person answers questions.
const (
	away           = "no terminal"
	yesAtOnce      = "--yes"
	yes            = "y"
	no             = "n"
	interruptsAsks = "^C"
)

// payment is a command that may pay.
type payment struct {
	sources   []string
	args      []string
	answer    string
	sample    int
	threshold float64 // USD
}

func (p *typist) newPayment() payment {
	pay := payment{
		sources:   rapid.SliceOfN(rapid.SampledFrom(sources), 1, 2).Draw(p.T, "sources"),
		answer:    p.draw("answer", away, yesAtOnce, yes, yes, no, no, interruptsAsks),
		threshold: rapid.SampledFrom([]float64{0, 0, 2.5 * documentCost, 1000}).Draw(p.T, "confirm-above"),
	}
	pay.args = []string{"run", "--out", p.path(p.draw("out", outs...)), "--confirm-above", fmt.Sprintf("%.9f", pay.threshold)}
	for _, s := range pay.sources {
		pay.args = append(pay.args, p.path(s))
	}
	if pay.answer == yesAtOnce {
		pay.args = append(pay.args, "--yes")
	}
	if rapid.IntRange(0, 4).Draw(p.T, "sampled") == 0 {
		pay.sample = rapid.IntRange(1, 3).Draw(p.T, "sample")
		p.seen["sampled"]++
		pay.args = append(pay.args, "--sample", strconv.Itoa(pay.sample))
	}
	if rapid.IntRange(0, 2).Draw(p.T, "budget") == 0 {
		pay.args = append(pay.args, "--budget-usd", fmt.Sprintf("%.9f", 1.5*documentCost))
	}
	if rapid.IntRange(0, 3).Draw(p.T, "queue") == 0 {
		pay.args = append(pay.args, "--redis", p.redis())
	}
	return pay
}

// runs types commands at the same time.
func (p *typist) runs(all ...payment) {
	before := maps.Clone(p.confirmed)
	for source, paths := range before {
		before[source] = maps.Clone(paths)
	}
	for _, pay := range all {
		cost := p.cost(pay.sources)
		sampleIsCheap := min(float64(pay.sample)*documentCost, cost) <= pay.threshold
		if pay.sample > 0 && (sampleIsCheap || pay.answer == yes) {
			p.samples += pay.sample
		}
		switch {
		case pay.answer == yesAtOnce, pay.answer == yes && sampleIsCheap, pay.sample == 0 && cost <= pay.threshold:
			p.confirm(pay.sources...)
		case len(all) == 1:
			// Whatever was confirmed before is refused now. With two commands at once, one may not
			// get the source, and so may not come to the question.
			p.refuse(pay.sources...)
		}
	}
	var typing sync.WaitGroup
	results := make([]result, len(all))
	for i, pay := range all {
		typing.Go(func() { results[i] = p.start(pay.answer, pay.args...) })
	}
	typing.Wait()
	for i := range all {
		p.note(results[i])
	}
	// A command that is wrong, such as one whose --out holds the source, confirms and refuses nothing.
	if r := results[0]; len(all) == 1 && r.code == exitUsage && !strings.Contains(r.stderr, "nothing was sent") {
		p.confirmed = before
	}
}

// cost is what the unpaid documents of sources cost at most, in USD.
func (p *typist) cost(sources []string) float64 {
	unpaid := map[string]bool{}
	for _, s := range sources {
		for _, path := range p.documents(s) {
			if !p.model.settled(p.files[path]) {
				unpaid[path] = true
			}
		}
	}
	return float64(len(unpaid)) * documentCost
}

// documents are the paths of the documents in a source.
func (p *typist) documents(source string) []string {
	var found []string
	for path := range p.files {
		if rel, err := filepath.Rel(p.path(source), path); err == nil && filepath.IsLocal(rel) {
			found = append(found, path)
		}
	}
	return found
}

func (p *typist) confirm(sources ...string) {
	for _, s := range sources {
		if p.confirmed[s] == nil {
			p.confirmed[s] = map[string]bool{}
		}
		for _, path := range p.documents(s) {
			p.confirmed[s][path] = true
		}
	}
}

func (p *typist) refuse(sources ...string) {
	for _, s := range sources {
		delete(p.confirmed, s)
	}
}

func (p *typist) mayPay(path string) bool {
	for _, paths := range p.confirmed {
		if paths[path] {
			return true
		}
	}
	return false
}

// resume resumes the newest run, which is a confirmation of what remains of it.
func (p *typist) resume() {
	run := p.newestRun()
	if run == "" {
		return
	}
	answer := p.draw("answer", away, yesAtOnce, yes, no)
	args := []string{"resume", run, "--confirm-above", "0"}
	if answer == yesAtOnce {
		args = append(args, "--yes")
	}
	if answer == yesAtOnce || answer == yes {
		p.confirm(p.sourceOf(run))
	}
	p.gistmill(answer, args...)
}

// result is what a command did.
type result struct {
	line           string
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("$ gistmill %s\n%s%s[exit %d]\n", r.line, r.stdout, r.stderr, r.code)
}

// gistmill types a command.
func (p *typist) gistmill(answer string, args ...string) {
	p.note(p.start(answer, args...))
}

func (p *typist) note(r result) {
	p.log.WriteString(r.String())
	p.seen[fmt.Sprintf("exit %d", r.code)]++
	if strings.Contains(r.stderr, "[y/N]") {
		p.seen["asked"]++
	}
	switch {
	case r.code < 0:
		p.fail("the command did not end within %s", patience)
	case r.code > 5 && r.code != exitInterrupted:
		p.fail("exit code %d", r.code)
	}
}

// start runs the program in this process.
func (p *typist) start(answer string, args ...string) result {
	var stdout bytes.Buffer
	screen := &keyboard{Reader: strings.NewReader("")}
	var stdin io.Reader = screen
	var stderr io.Writer = screen
	switch answer {
	case yes, no:
		screen.Reader = strings.NewReader(answer + "\n")
	case interruptsAsks:
		keys, release := newInterruptingKeys(p.ctrlC.press)
		defer release()
		screen.Reader = keys
	default: // there is no terminal
		stdin, stderr = screen.Reader, writerFunc(screen.Write)
	}
	environ := []string{
		"HOME=" + p.dir, "GISTMILL_STORE=sqlite:" + p.path(".gistmill/ledger.db"), "GISTMILL_BASE_URL=" + p.model.server.URL + "/v1",
		"GISTMILL_MODEL=gpt-4", "GISTMILL_API_KEY=key", "GISTMILL_WORDS=20", "GISTMILL_MAX_OUTPUT_TOKENS=100", "GISTMILL_RETRY_BASE=1ms",
	}
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	received := p.ctrlC.begin()
	code := run(ctx, signals{received: received, release: func() {}}, args, environ, stdin, &stdout, stderr)
	p.ctrlC.end(received)
	r := result{strings.Join(args, " "), code, stdout.String(), screen.text()}
	if ctx.Err() != nil {
		r.code = -1
	}
	return r
}

// patience is how long a command may take. Each has a few documents to do.
const patience = 20 * time.Second

// ctrlC interrupts the commands that are running, as a terminal does.
type ctrlC struct {
	mu      sync.Mutex
	running []chan os.Signal
}

func (c *ctrlC) begin() chan os.Signal {
	c.mu.Lock()
	defer c.mu.Unlock()
	received := make(chan os.Signal, 1)
	c.running = append(c.running, received)
	return received
}

func (c *ctrlC) end(received chan os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = slices.DeleteFunc(c.running, func(other chan os.Signal) bool { return other == received })
}

func (c *ctrlC) press() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, received := range c.running {
		select {
		case received <- os.Interrupt:
		default: // it was pressed already
		}
	}
}

// interruptingKeys is a person who presses Ctrl-C instead of an answer.
type interruptingKeys struct {
	once      sync.Once
	interrupt func()
	end       chan struct{}
}

func newInterruptingKeys(interrupt func()) (keys *interruptingKeys, release func()) {
	keys = &interruptingKeys{interrupt: interrupt, end: make(chan struct{})}
	return keys, func() { close(keys.end) }
}

// Read presses Ctrl-C, and waits until the command has ended.
func (k *interruptingKeys) Read([]byte) (int, error) {
	k.once.Do(k.interrupt)
	<-k.end
	return 0, io.EOF
}

// runRow is a run as `gistmill runs -o json` prints it.
type runRow struct {
	Run, Source string
	Balanced    bool
	Documents   ledger.Totals
}

// runRows lists the runs, the newest first.
func (p *typist) runRows() []runRow {
	if _, err := os.Stat(p.path(".gistmill/ledger.db")); err != nil {
		return nil
	}
	r := p.start(away, "runs", "-o", "json")
	var rows []runRow
	if err := json.Unmarshal([]byte(r.stdout), &rows); err != nil {
		p.log.WriteString(r.String())
		p.fail("gistmill runs: %v", err)
	}
	return rows
}

func (p *typist) newestRun() string {
	if rows := p.runRows(); len(rows) > 0 {
		return rows[0].Run
	}
	return ""
}

// sourceOf names the source of the newest run.
func (p *typist) sourceOf(run string) string {
	for _, row := range p.runRows() {
		if row.Run != run {
			continue
		}
		rel, err := filepath.Rel(p.dir, strings.TrimPrefix(row.Source, "file://"))
		p.ok(err)
		return filepath.ToSlash(rel)
	}
	return ""
}

// check checks all invariants.
func (p *typist) check() {
	if text := p.model.foreign(); text != "" {
		p.fail("the model got a text that the person did not write: %s", text)
	}
	for number := range p.model.newlyPaid() {
		p.seen["paid"]++
		if path := p.model.pathOf(number); p.mayPay(path) {
			continue
		} else if p.samples--; p.samples < 0 {
			p.fail("the model got document %d (%s), which was not confirmed", number, path)
		}
	}
	for path, content := range p.files {
		if now, err := os.ReadFile(path); err != nil || string(now) != content {
			p.fail("%s of the person is now %q, %v", path, now, err)
		}
	}
	for _, row := range p.runRows() {
		if d := row.Documents; !row.Balanced || d.Total != d.Done+d.Dead+d.Skipped+d.Remaining {
			p.fail("the counts of run %s do not add up: %+v", row.Run, d)
		}
	}
	p.checkLines()
}

// checkLines checks that each summaries.jsonl still has the lines that it had, as long as the
// ledger has a summary of the document.
func (p *typist) checkLines() {
	known := p.summarized()
	for out, before := range p.lines {
		now := readLines(p, out)
		for key := range before {
			if known[key] && !now[key] {
				p.fail("%s lost the line of %s, whose summary is in the ledger", out, key)
			}
		}
	}
	for path := range p.snapshot() {
		if filepath.Base(path) == export.LinesName {
			p.lines[path] = readLines(p, path)
		}
	}
}

// summarized are the documents with a summary in the ledger, by source and URI.
func (p *typist) summarized() map[string]bool {
	known := map[string]bool{}
	if _, err := os.Stat(p.path(".gistmill/ledger.db")); err != nil {
		return known
	}
	l, err := ledger.Open(p.Context(), "sqlite:"+p.path(".gistmill/ledger.db"), ledger.Options{})
	p.ok(err)
	defer l.Close()
	p.ok(report.New(l).Summaries(p.Context(), report.SummaryFilter{}, func(e ledger.Exported) error {
		known[e.Source+" "+e.URI] = true
		return nil
	}))
	return known
}

func readLines(p *typist, path string) map[string]bool {
	lines := map[string]bool{}
	content, err := os.ReadFile(path)
	p.ok(err)
	for line := range strings.Lines(string(content)) {
		var r export.Record
		p.ok(json.Unmarshal([]byte(line), &r))
		lines[r.Source+" "+r.URI] = true
	}
	return lines
}

// snapshot lists the files in the person's folder.
func (p *typist) snapshot() map[string]bool {
	files := map[string]bool{}
	p.ok(filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path] = true
		}
		return err
	}))
	return files
}

// paidModel is an endpoint that remembers which documents it got.
type paidModel struct {
	server *httptest.Server
	ctrlC  *ctrlC

	mu       sync.Mutex
	mode     string
	paths    map[int]string // by number of the document
	paid     map[int]bool   // documents that it got since the last look
	answered map[int]bool
	rejected map[int]bool
	stranger string // a text that is not a document of the person
}

// What the model does with a call.
const (
	modelAnswers    = "answers"
	modelRefusesKey = "refuses the key" // halts the run
	modelRejects    = "rejects"         // makes a dead letter
	modelInterrupts = "interrupts"      // answers, and the person presses Ctrl-C
)

// documentCost is the estimate of what one document costs at most, in USD: some 350 tokens with the
// prompt and 100 tokens of an answer, at the price of gpt-4 (30 and 60 USD for a million).
const documentCost = 0.018

// documentMark is in each document of the person, before its number.
const documentMark = "Document"

var documentNumber = regexp.MustCompile(documentMark + ` (\d{6}) is about`)

func newPaidModel(ctrlC *ctrlC) *paidModel {
	m := &paidModel{ctrlC: ctrlC, mode: modelAnswers, paths: map[int]string{}, paid: map[int]bool{}, answered: map[int]bool{}, rejected: map[int]bool{}}
	m.server = httptest.NewServer(m)
	return m
}

// ServeHTTP answers a call.
func (m *paidModel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	found := documentNumber.FindSubmatch(body)
	var number int
	if found == nil {
		m.stranger = string(body)
	} else {
		number, _ = strconv.Atoi(string(found[1])) // six digits
	}
	m.paid[number] = true
	w.Header().Set("Content-Type", "application/json")
	switch m.mode {
	case modelRefusesKey:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"message":"wrong key","type":"invalid_request_error","code":"invalid_api_key"}}`)
		return
	case modelRejects:
		m.rejected[number] = true
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"cannot take this","type":"invalid_request_error"}}`)
		return
	case modelInterrupts:
		m.ctrlC.press()
	}
	m.answered[number] = true
	fmt.Fprintf(w, `{"id":"x","object":"chat.completion","model":"gpt-4","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",`+
		`"content":"{\"summary\":\"The walk along the river ended at the old bridge.\"}"}}],"usage":{"prompt_tokens":80,"completion_tokens":12,"total_tokens":92}}`)
}

func (m *paidModel) set(mode string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mode = mode
}

func (m *paidModel) know(number int, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths[number] = path
}

func (m *paidModel) pathOf(number int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paths[number]
}

// newlyPaid returns the documents that the model got since the last call.
func (m *paidModel) newlyPaid() map[int]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	paid := m.paid
	m.paid = map[int]bool{}
	return paid
}

func (m *paidModel) foreign() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stranger
}

// settled reports whether a document needs no call: it has an answer, or is a dead letter.
func (m *paidModel) settled(content string) bool {
	number, _ := strconv.Atoi(documentNumber.FindStringSubmatch(content)[1])
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answered[number] || m.rejected[number]
}

// retry forgets which documents were rejected.
func (m *paidModel) retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.rejected)
}
