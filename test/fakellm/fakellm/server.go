package fakellm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds a request: a prompt of four million tokens.
const maxBody = 32 << 20

// maxHang ends a hang whose client is gone.
const maxHang = 10 * time.Minute

// A Server is the endpoint. It is safe for concurrent use.
type Server struct {
	cfg      atomic.Pointer[Config]
	setting  sync.Mutex // held by writers of cfg
	limits   limits
	ledger   *ledger
	formats  formats
	lastID   atomic.Int64
	inFlight atomic.Int64
}

// New returns an endpoint with these settings.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{ledger: newLedger()}
	s.put(&cfg)
	return s, nil
}

// Set changes settings for future calls.
func (s *Server) Set(change func(*Config)) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	next := *s.cfg.Load()
	change(&next)
	if err := next.Validate(); err != nil {
		return err
	}
	s.put(&next)
	return nil
}

// put makes settings effective.
func (s *Server) put(c *Config) {
	s.limits.configure(c, time.Now())
	s.cfg.Store(c)
}

// Config returns the current settings.
func (s *Server) Config() Config { return *s.cfg.Load() }

// Calls lists the calls that have ended, in the order they ended.
func (s *Server) Calls() []Call { return s.ledger.after(0) }

// Stats returns the totals.
func (s *Server) Stats() Stats {
	stats := s.ledger.snapshot()
	stats.InFlight = int(s.inFlight.Load())
	return stats
}

// Interval returns the calls, the admitted and the admissible ones of whole seconds of Unix
// time, to not included.
func (s *Server) Interval(from, to int64) Interval {
	i := s.ledger.interval(from, to)
	i.AdmissibleRequests, i.AdmissibleTokens = s.limits.admissible(time.Unix(from, 0), time.Unix(to, 0))
	return i
}

// Seconds lists such an interval second by second.
func (s *Server) Seconds(from, to int64) []Second { return s.ledger.list(from, to) }

// Reset empties the record of calls. Settings and limits stay.
func (s *Server) Reset() { s.ledger.reset() }

// ServeHTTP answers /v1/chat/completions (with any prefix, so Azure's
// /openai/deployments/NAME/chat/completions too), /v1/models and /_fake/….
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/_fake/"):
		s.control(w, r)
	case strings.HasSuffix(path, "/chat/completions"):
		if r.Method != http.MethodPost {
			writeError(w, http.StatusMethodNotAllowed, apiError{Message: "Not allowed to " + r.Method + " on " + path, Type: "invalid_request_error"})
			return
		}
		s.complete(w, r)
	case strings.HasSuffix(path, "/models") && r.Method == http.MethodGet:
		s.models(w)
	default:
		writeError(w, http.StatusNotFound, apiError{Message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, path), Type: "invalid_request_error"})
	}
}

func (s *Server) models(w http.ResponseWriter) {
	type model struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	names := s.Config().Models
	if len(names) == 0 {
		names = []string{"fake"}
	}
	list := []model{}
	for _, n := range names {
		list = append(list, model{ID: n, Object: "model"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

// A request is the part of a chat completion request that this endpoint reads.
type request struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	MaxTokens           int             `json:"max_tokens"`
	MaxCompletionTokens int             `json:"max_completion_tokens"`
	ResponseFormat      json.RawMessage `json:"response_format"`
	ServiceTier         string          `json:"service_tier"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func (r *request) cap() int { return max(r.MaxTokens, r.MaxCompletionTokens) }

// prompt returns the text of the user messages.
func (r *request) prompt() string {
	var prompt string
	for _, m := range r.Messages {
		switch {
		case m.Role != "user":
		case prompt == "":
			prompt = m.Content // usually the only one; no copy
		default:
			prompt += "\n" + m.Content
		}
	}
	return prompt
}

func (r *request) tokens(c *Config) int {
	n := 3
	for _, m := range r.Messages {
		n += 4 + tokensOf(m.Content, c)
	}
	return n
}

func tokensOf(text string, c *Config) int {
	return int(math.Ceil(float64(len(text)) / c.BytesPerToken))
}

// call is one completion in progress.
type call struct {
	Call
	s        *Server
	c        *Config
	w        http.ResponseWriter
	r        *http.Request
	hash     [16]byte
	format   *responseFormat // nil: none was requested
	hijacked net.Conn        // must be closed at the end
	random   *rand.Rand
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	c := s.cfg.Load()
	k := &call{s: s, c: c, w: w, r: r}
	k.ID, k.At = s.lastID.Add(1), time.Now()
	k.InFlight = int(s.inFlight.Add(1))
	defer s.inFlight.Add(-1)
	k.random = rand.New(rand.NewPCG(uint64(c.Seed), uint64(k.ID)))
	defer func() {
		if c.Record {
			k.Millis = float64(time.Since(k.At).Microseconds()) / 1000
			k.Prompt = hex.EncodeToString(k.hash[:])
		}
		s.ledger.ended(&k.Call, k.hash, c.Record)
		if k.hijacked != nil { // the client may read the record as soon as it sees this
			_ = k.hijacked.Close()
		}
	}()
	k.serve()
}

func (k *call) serve() {
	body, err := readBody(k.r)
	if err != nil {
		k.Outcome = OutcomeAbandoned
		return
	}
	req, err := scanRequest(body)
	if err == nil {
		k.format, err = k.s.formats.read(req.ResponseFormat)
	}
	if err != nil {
		k.fail(http.StatusBadRequest, OutcomeBad, apiError{Message: "We could not parse the JSON body of your request.", Type: "invalid_request_error"})
		return
	}
	prompt := req.prompt()
	k.Model, k.Key, k.In = req.Model, k.key(), req.tokens(k.c)
	if k.c.Record {
		sum := sha256.Sum256([]byte(prompt))
		copy(k.hash[:], sum[:])
	}
	if k.gateway() && k.fits(&req) && k.takesTier(&req) && k.admitted(&req) && k.latency() && k.healthy(prompt) {
		k.answer(&req, prompt)
	}
}

// gateway makes the checks that cost nothing.
func (k *call) gateway() bool {
	c := k.c
	switch {
	case c.Down:
		k.fail(http.StatusServiceUnavailable, OutcomeDown, apiError{Message: "The server is down for maintenance.", Type: "server_error"})
	case !k.keyOK():
		k.fail(http.StatusUnauthorized, OutcomeBadKey, apiError{Message: "Incorrect API key provided: sk-fake***. You can find your API key at https://platform.openai.com/account/api-keys.", Type: "invalid_request_error", Code: "invalid_api_key"})
	case len(c.Models) > 0 && !contains(c.Models, k.Model):
		k.fail(http.StatusNotFound, OutcomeNoModel, apiError{Message: "The model `" + k.Model + "` does not exist or you do not have access to it.", Type: "invalid_request_error", Code: "model_not_found"})
	case c.NoCredit:
		k.fail(http.StatusTooManyRequests, OutcomeNoCredit, apiError{Message: "You exceeded your current quota, please check your plan and billing details.", Type: "insufficient_quota", Code: "insufficient_quota"})
	default:
		return true
	}
	return false
}

func (k *call) keyOK() bool {
	if len(k.c.Keys) == 0 {
		return true
	}
	return contains(k.c.Keys, k.key())
}

func (k *call) key() string {
	if bearer, ok := strings.CutPrefix(k.r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	return k.r.Header.Get("Api-Key")
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// fits checks the request against the model.
func (k *call) fits(req *request) bool {
	c := k.c
	if c.NoSchema && k.format != nil && k.format.kind == "json_schema" {
		k.fail(http.StatusBadRequest, OutcomeBad, apiError{Message: "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", Type: "invalid_request_error", Param: "response_format"})
		return false
	}
	total := k.In + req.cap()
	if c.ContextTokens <= 0 || total <= c.ContextTokens {
		return true
	}
	switch c.ContextStyle {
	case "ollama":
		k.In = min(k.In, c.ContextTokens)
		return true
	case "vllm":
		text := fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the messages, %d in the completion). Please reduce the length of the messages or completion.", c.ContextTokens, total, k.In, req.cap())
		k.Status, k.Outcome = http.StatusBadRequest, OutcomeContext
		writeJSON(k.w, k.Status, map[string]any{"object": "error", "message": text, "type": "BadRequestError", "param": nil, "code": 400})
	case "llamacpp":
		text := fmt.Sprintf("request (%d tokens) exceeds the available context size (%d tokens), try increasing it", k.In, c.ContextTokens)
		k.Status, k.Outcome = http.StatusBadRequest, OutcomeContext
		writeJSON(k.w, k.Status, map[string]any{"error": map[string]any{"code": 400, "message": text, "type": "exceed_context_size_error", "n_prompt_tokens": k.In, "n_ctx": c.ContextTokens}})
	default:
		k.fail(http.StatusBadRequest, OutcomeContext, apiError{
			Message: fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the messages, %d in the completion). Please reduce the length of the messages or completion.", c.ContextTokens, total, k.In, req.cap()),
			Type:    "invalid_request_error", Param: "messages", Code: "context_length_exceeded"})
	}
	return false
}

// takesTier decides the service tier of the answer. A refusal for want of capacity costs nothing,
// as at OpenAI.
func (k *call) takesTier(req *request) bool {
	k.Tier = "default"
	if req.ServiceTier != "flex" {
		return true
	}
	switch drawn := k.random.Float64(); {
	case k.c.NoFlex:
		k.fail(http.StatusBadRequest, OutcomeNoFlex, apiError{Message: "Flex is not available for this model.", Type: "invalid_request_error", Param: "service_tier"})
		return false
	case drawn < k.c.FlexRefused:
		k.fail(http.StatusTooManyRequests, OutcomeNoCapacity, apiError{Message: "Resource Unavailable", Type: "invalid_request_error", Code: "resource_unavailable"})
		return false
	case drawn >= k.c.FlexRefused+k.c.FlexStandard:
		k.Tier = "flex"
	}
	return true
}

// admitted charges the limits.
func (k *call) admitted(req *request) bool {
	c, now := k.c, time.Now()
	if c.MaxInFlight > 0 && k.InFlight > c.MaxInFlight {
		k.fail(http.StatusTooManyRequests, OutcomeLimited, apiError{Message: "Too many concurrent requests.", Type: "rate_limit_error", Code: "rate_limit_exceeded"})
		return false
	}
	k.Charge = k.In + req.cap()
	if c.ChargeMode == "max" {
		k.Charge = max(k.In, req.cap())
	}
	a := k.s.limits.admit(c, k.Charge, now)
	a.writeHeaders(k.w.Header())
	if a.ok {
		k.s.ledger.admitted(k.At, k.Charge)
		return true
	}
	if !a.tooLarge {
		c.writeRetryAfter(k.w.Header(), a.wait, now)
	}
	k.fail(http.StatusTooManyRequests, OutcomeLimited, apiError{Message: a.message(c, k.Charge), Type: a.which, Code: "rate_limit_exceeded"})
	return false
}

// latency waits as long as an answer takes. It returns false if the client went away.
func (k *call) latency() bool {
	d := k.c.Latency.draw(k.random)
	if k.c.RateSlow > 0 && k.random.Float64() < k.c.RateSlow {
		d += time.Duration(k.c.SlowLatency)
	}
	if d <= 0 {
		return true
	}
	if sleep(k.r.Context(), d) != nil {
		k.Outcome = OutcomeAbandoned
		return false
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// healthy draws at most one fault for the call.
func (k *call) healthy(prompt string) bool {
	c := k.c
	if c.FailMarker != "" && strings.Contains(prompt, c.FailMarker) {
		k.fault500()
		return false
	}
	roll := k.random.Float64()
	hit := func(rate float64) bool {
		roll -= rate
		return rate > 0 && roll < 0
	}
	switch {
	case hit(c.Rate429):
		c.writeRetryAfter(k.w.Header(), time.Duration(c.Wait429), time.Now())
		k.fail(http.StatusTooManyRequests, OutcomeFault429, apiError{Message: "Rate limit reached.", Type: "requests", Code: "rate_limit_exceeded"})
	case hit(c.Rate500):
		k.fault500()
	case hit(c.Rate502HTML):
		k.Status, k.Outcome = http.StatusBadGateway, OutcomeFault502
		k.w.Header().Set("Content-Type", "text/html")
		k.w.WriteHeader(k.Status)
		_, _ = io.WriteString(k.w, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n")
	case hit(c.RateError200):
		k.fail(http.StatusOK, OutcomeError200, apiError{Message: "The server had an error while processing your request.", Type: "server_error", Code: c.Error200})
	case hit(c.RateNoChoice):
		k.Status, k.Outcome = http.StatusOK, OutcomeNoChoice
		writeJSON(k.w, k.Status, map[string]any{"id": "chatcmpl-fake", "object": "chat.completion", "choices": []any{}})
	case hit(c.RateTruncate):
		k.truncate()
	case hit(c.RateReset):
		k.reset()
	case hit(c.RateHang):
		k.Outcome = OutcomeHang
		_ = sleep(k.r.Context(), maxHang)
		panic(http.ErrAbortHandler)
	default:
		return true
	}
	return false
}

func (k *call) fault500() {
	k.fail(http.StatusInternalServerError, OutcomeFault500, apiError{Message: "The server had an error processing your request. Sorry about that!", Type: "server_error"})
}

// truncate announces a body and breaks off in the middle of it.
func (k *call) truncate() {
	k.Status, k.Outcome = http.StatusOK, OutcomeTruncated
	body := completion(k, "An answer that will never be whole.", "stop", "", 9)
	k.w.Header().Set("Content-Type", "application/json")
	k.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	k.w.WriteHeader(k.Status)
	_, _ = k.w.Write(body[:len(body)/2])
	_ = http.NewResponseController(k.w).Flush()
	panic(http.ErrAbortHandler)
}

// reset closes the connection so that the client's kernel sees RST.
func (k *call) reset() {
	k.Outcome = OutcomeReset
	conn, _, err := http.NewResponseController(k.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2, or no connection at all
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	k.hijacked = conn
}

// answer writes a completion.
func (k *call) answer(req *request, prompt string) {
	c := k.c
	if c.FilterMarker != "" && strings.Contains(prompt, c.FilterMarker) {
		k.fail(http.StatusBadRequest, OutcomeRefused, apiError{Message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", Param: "prompt", Code: "content_filter"})
		return
	}
	k.Status, k.Outcome = http.StatusOK, OutcomeOK
	if c.RefuseMarker != "" && strings.Contains(prompt, c.RefuseMarker) {
		k.Outcome = OutcomeRefused
		k.Out = 8
		k.send(completion(k, "", "stop", "I'm sorry, but I can't help with that.", k.Out))
		return
	}
	if c.ContextStyle == "ollama" && c.ContextTokens > 0 {
		prompt = cutWords(prompt, int(float64(c.ContextTokens)*c.BytesPerToken))
	}
	content := extract(prompt, c.Words)
	if k.format != nil && k.format.kind != "text" {
		content = k.structured(content)
	}
	finish := "stop"
	k.Out = tokensOf(content, c)
	if limit := req.cap(); limit > 0 && k.Out > limit {
		content = cutWords(content, int(float64(limit)*c.BytesPerToken))
		k.Out, finish, k.Outcome = limit, "length", OutcomeLength
	}
	k.send(completion(k, content, finish, "", k.Out))
}

func (k *call) structured(text string) string {
	if k.c.RateBadJSON > 0 && k.random.Float64() < k.c.RateBadJSON {
		k.Outcome = OutcomeBadJSON
		return `{"unexpected": [` + strconv.Itoa(len(text))
	}
	value, ok := k.format.instance(text)
	if !ok {
		return "{}"
	}
	return string(value)
}

// completion returns the body of an answer, with fields in OpenAI's order.
func completion(k *call, content, finish, refusal string, out int) []byte {
	var b bytes.Buffer
	b.Grow(len(content) + 400)
	fmt.Fprintf(&b, `{"id":"chatcmpl-fake%d","object":"chat.completion","created":%d,"model":%s,"choices":[{"index":0,"message":{"role":"assistant","content":`,
		k.ID, k.At.Unix(), quote(k.Model))
	if refusal != "" {
		b.WriteString(`null,"refusal":`)
		b.Write(quote(refusal))
	} else {
		b.Write(quote(content))
		b.WriteString(`,"refusal":null`)
	}
	fmt.Fprintf(&b, `},"logprobs":null,"finish_reason":%q}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0}},"service_tier":%q,"system_fingerprint":"fp_fake"}`,
		finish, k.In, out, k.In+out, k.Tier)
	b.WriteByte('\n')
	return b.Bytes()
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

func (k *call) send(body []byte) {
	h := k.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	k.w.WriteHeader(k.Status)
	_, _ = k.w.Write(body)
}

func (k *call) fail(status int, outcome string, e apiError) {
	k.Status, k.Outcome = status, outcome
	writeError(k.w, status, e)
}

type apiError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   any    `json:"param"`
	Code    any    `json:"code"`
}

func writeError(w http.ResponseWriter, status int, e apiError) {
	writeJSON(w, status, map[string]apiError{"error": e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	if err == nil && n > maxBody {
		err = errors.New("request too large")
	}
	return b.Bytes(), err
}
