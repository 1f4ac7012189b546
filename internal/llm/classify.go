package llm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/internal/llm/completion"
)

// classifier turns every failure of a call into one *Error. No other code decides a class.
type classifier struct {
	scrub   scrubber
	keySent bool
	baseURL string // for messages
	model   string
	tier    Tier // that was asked for
	timeout time.Duration
	now     time.Time
}

// classify decides a call that gave no usable answer: the request or the reading of its answer
// failed, the answer is an error (with any status, 200 included), or it has no choices.
func (c classifier) classify(ex *exchange) *Error {
	if ex.err != nil {
		return c.transport(ex, ex.err)
	}
	said := parseProviderError(ex.body)
	if ex.decodeErr != nil && !said.found {
		return c.transport(ex, ex.decodeErr)
	}
	status := ex.status
	if status < 300 && said.found {
		// A gateway that had begun its answer, or one that always sends 200 (OpenRouter): the code
		// in the body is the status.
		status = 0
		if n, err := strconv.Atoi(said.Code); err == nil && n >= 400 && n < 600 {
			status = n
		}
	}
	class, advice := c.flexRefusal(status, ex, said)
	if class == "" {
		class, advice = c.decide(status, said)
	}
	out := &Error{
		Class:   class,
		Status:  ex.status,
		Code:    c.scrub.clean(said.Code),
		Message: c.message(ex, said, advice),
	}
	if out.Code == "" {
		out.Code = c.scrub.clean(said.Type)
	}
	if class == RateLimited || class == Transient || class == Capacity {
		out.RetryAfter = retryAfter(ex.header, said.Message, c.now)
	}
	if class == RateLimited {
		c.quota(out, said)
	}
	// After a gateway's timeout (524 is Cloudflare's) the endpoint may have gone on. An answer that
	// is no error was paid for.
	out.MayBeBilled = class == Transient && (ex.status == http.StatusGatewayTimeout || ex.status == 524 || ex.status < 300 && !said.found)
	return out
}

const adviceRateLimited = "the endpoint's rate limit is reached"

// decide is the table of errors. status is 0 for an error that came with a 200. The endpoint's
// own code and message take precedence over the status: llama.cpp reports a full context as 500,
// Together as 403, and OpenAI an empty account as 429.
func (c classifier) decide(status int, p providerError) (Class, string) {
	switch {
	case p.tooLong(status):
		return ContextLength, "the request does not fit the model's context window"
	case p.refused():
		return Refused, "the provider's content filter refused the document"
	case status == http.StatusPaymentRequired || p.noCredit():
		return Halted, "the account has no credit left: check plan and billing of the endpoint, then resume the run"
	case status == http.StatusTooManyRequests || p.rateLimited():
		return RateLimited, adviceRateLimited
	case status == http.StatusUnauthorized || p.badKey():
		if !c.keySent {
			return Halted, "the endpoint wants an API key: set OPENAI_API_KEY"
		}
		return Halted, "the endpoint refused the API key: check OPENAI_API_KEY"
	case status == http.StatusForbidden:
		return Halted, "the endpoint forbids this: check what OPENAI_API_KEY may do (model, project, region) and --base-url"
	case status == http.StatusProxyAuthRequired:
		return Halted, "a proxy wants credentials: check HTTPS_PROXY"
	case p.unknownModel():
		return Halted, fmt.Sprintf("the endpoint has no model %q for this key: check --model", c.model)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		return Halted, fmt.Sprintf("there is no chat API, or no model %q, at %s: check --base-url and --model", c.model, c.baseURL)
	case status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect:
		return Halted, fmt.Sprintf("%s has moved: check --base-url (http or https, host, path)", c.baseURL)
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly,
		status >= 300 && status < 400, status >= 500, status < 300:
		return Transient, "the endpoint failed"
	}
	return BadRequest, "the endpoint refused the request"
}

// tooLong recognizes a prompt that is larger than the window, or larger than the token limit of a
// minute, which waiting does not change. Sources of the wordings:
//   - OpenAI, Azure, vLLM, LiteLLM: "This model's maximum context length is N
//     tokens. However, …" (openai-python, vllm issue 20409)
//   - vLLM: "max_tokens must be at least 1, got -186" (issue 4667)
//   - OpenAI 429: "Request too large for gpt-4o … on tokens per min (TPM): Limit
//     30000, Requested 30601" (aider issue 1880)
//   - llama.cpp: type exceed_context_size_error (PR 15780), "Context size has
//     been exceeded." as 500 (issue 19774)
//   - llama-cpp-python: "Requested tokens (2285) exceed context window of 2048"
//   - Ollama: "input length exceeds maximum context length"; LM Studio "greater
//     than the context length"
//   - Anthropic: "prompt is too long: N tokens > M maximum"; Gemini: "input token
//     count (N) exceeds the maximum number of tokens allowed"; Groq: "Please
//     reduce the length of the messages"; xAI: "maximum prompt length is N";
//     Bedrock "Input is too long for requested model"; Together as 403 "Input
//     token count + max_tokens parameter must be less than the context length"
func (p providerError) tooLong(status int) bool {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return true
	case p.is("context_length_exceeded", "exceed_context_size_error", "string_above_max_length", "request_too_large"):
		return true
	case p.says("request too large for"):
		return true
	case status == http.StatusTooManyRequests:
		return false // here "too many tokens" means a rate limit
	}
	return p.says(
		"maximum context length", "max_tokens must be at least 1, got -", "context length exceeded",
		"exceeds maximum context", "exceeds the context", "exceed context window", "exceeds context window",
		"available context size", "context size has been exceeded", "greater than the context length",
		"less than the context length", "exceeds the model's context", "exceeds model context",
		"prompt is too long", "input is too long", "maximum prompt length", "exceeds the maximum number of tokens",
		"reduce the length of the messages", "reduce the length of the prompt",
	)
}

// refused recognizes content filters: OpenAI and Azure content_filter and
// ResponsibleAIPolicyViolation; OpenAI's reasoning models "Invalid prompt: your
// prompt was flagged"; OpenRouter's moderation, a 403; DashScope
// data_inspection_failed.
func (p providerError) refused() bool {
	return p.is("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "invalid_prompt", "data_inspection_failed") ||
		p.says("content management policy", "was flagged", "requires moderation", "safety system")
}

// noCredit recognizes an empty account. The sentence "You exceeded your current quota" alone is
// not enough: Gemini uses it for a rate limit too, with status RESOURCE_EXHAUSTED and a time to
// retry.
func (p providerError) noCredit() bool {
	if p.is("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted",
		"insufficient_balance", "insufficient_credits", "access_terminated") ||
		p.says("credit balance is too low", "insufficient balance", "insufficient credits", "billing hard limit", "account is not active") {
		return true
	}
	return p.says("exceeded your current quota") && !p.is("resource_exhausted") && !p.says("retry in", "try again in")
}

// rateLimited recognizes a limit with a status other than 429: OpenAI's 503 slow_down, Ollama's
// 503 for a full queue ("maximum pending requests exceeded", ollama/server/sched.go), and errors
// in a 200.
func (p providerError) rateLimited() bool {
	return p.is("rate_limit_exceeded", "rate_limit_error", "too_many_requests", "slow_down", "resource_exhausted", "throttling_error") ||
		p.says("maximum pending requests exceeded", "rate limit reached", "rate limit exceeded")
}

// badKey recognizes keys that are refused with a 400 (Gemini API_KEY_INVALID) or in a 200.
func (p providerError) badKey() bool {
	return p.is("invalid_api_key", "invalid_authentication", "authentication_error", "account_deactivated", "api_key_invalid", "unauthenticated") ||
		p.says("api key not valid", "incorrect api key", "invalid api key")
}

// unknownModel recognizes a model that the endpoint does not have: OpenAI and vLLM "The model `x`
// does not exist", Ollama "model \"x\" not found, try pulling it first", Azure
// DeploymentNotFound, Scaleway 422 "Model Not Found", Mistral "Invalid model".
func (p providerError) unknownModel() bool {
	if p.is("model_not_found", "deploymentnotfound", "model_not_available", "invalid_model", "unsupported_model") {
		return true
	}
	return p.says("model") && p.says("does not exist", "not found, try pulling", "model not found", "invalid model", "is not a valid model")
}

// is compares codes with code and type: providers use one for the other.
func (p providerError) is(codes ...string) bool {
	for _, code := range codes {
		if strings.EqualFold(p.Code, code) || strings.EqualFold(p.Type, code) {
			return true
		}
	}
	return false
}

// says reports whether the message contains one of the phrases, which are in lower case.
func (p providerError) says(phrases ...string) bool {
	message := strings.ToLower(p.Message)
	for _, phrase := range phrases {
		if strings.Contains(message, phrase) {
			return true
		}
	}
	return false
}

// message returns our sentence, followed by the endpoint's own message.
func (c classifier) message(ex *exchange, p providerError, advice string) string {
	words := c.scrub.clean(p.Message)
	if words == "" && !p.found {
		switch {
		case ex.status >= 200 && ex.status < 300:
			words = "an answer without choices"
		case looksLikeHTML(ex):
			words = "an HTML page instead of an answer: a proxy or gateway replied"
		default:
			words = http.StatusText(ex.status)
		}
	}
	if words == "" {
		return advice
	}
	return advice + ": " + words
}

func looksLikeHTML(ex *exchange) bool {
	return strings.Contains(strings.ToLower(ex.header.Get("Content-Type")), "html") ||
		strings.HasPrefix(strings.TrimSpace(string(ex.body[:min(len(ex.body), 64)])), "<")
}

// transport classifies failures below the API. Its messages are ours, because those of net/http
// contain URLs.
func (c classifier) transport(ex *exchange, err error) *Error {
	out := &Error{Class: Transient, Status: ex.status, MayBeBilled: ex.status < 300}
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		ca      x509.UnknownAuthorityError
		wrapped *url.Error
		network net.Error
	)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if errors.As(err, &wrapped) {
		text = wrapped.Err.Error()
	}
	switch {
	case errors.As(err, &cert), errors.As(err, &ca):
		out.Class, out.Code, out.MayBeBilled = Halted, "tls", false
		out.Message = fmt.Sprintf("the certificate of %s is not trusted: check --base-url, or install its certificate authority", c.baseURL)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		out.Class, out.Code, out.MayBeBilled = Halted, "tls", false
		out.Message = fmt.Sprintf("%s speaks HTTP, not HTTPS: check --base-url", c.baseURL)
	case ex.unsent && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()):
		out.unreachable(fmt.Sprintf("no connection to %s: check --base-url and the network", c.baseURL))
	case errors.Is(err, errAnswerTooLarge):
		out.Code, out.Message = codeTooLarge, errAnswerTooLarge.Error()
	case errors.Is(err, completion.ErrEncoding):
		out.Class, out.Code = Halted, "encoding"
		out.Message = fmt.Sprintf("%s compresses its answers in a way that was not asked for (%s): turn that off there, or in the proxy before it", c.baseURL, text)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		out.Code, out.Message = "timeout", fmt.Sprintf("no answer within %s", c.timeout)
	case errors.As(err, &dns):
		out.unreachable(fmt.Sprintf("cannot find the host of %s: check --base-url and the network", c.baseURL))
	case errors.Is(err, syscall.ECONNREFUSED):
		out.unreachable(fmt.Sprintf("nothing listens at %s: check --base-url, or start the server", c.baseURL))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), strings.Contains(text, "server closed idle connection"):
		out.Code, out.Message = "reset", "the endpoint cut the connection"
	case ex.status != 0 && looksLikeHTML(ex):
		out.MayBeBilled = false
		out.Code, out.Message = "no_json", "an HTML page instead of an answer: a proxy or gateway replied, or --base-url is wrong"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		out.Code, out.Message = "truncated", "the answer broke off"
	case ex.status != 0:
		out.Code, out.Message = "no_json", "the answer is not the JSON of a chat completion"
	case ex.unsent:
		out.unreachable(fmt.Sprintf("no connection to %s: check --base-url and the network", c.baseURL))
	default:
		out.Code, out.Message = "network", "the connection failed"
	}
	if ex.unsent {
		out.NotSent, out.MayBeBilled = true, false
	}
	return out
}

// unreachable makes e the failure of a call that reached no server.
func (e *Error) unreachable(message string) {
	e.Class, e.Code, e.Message, e.MayBeBilled, e.NotSent = Unavailable, codeUnreachable, message, false, true
}
