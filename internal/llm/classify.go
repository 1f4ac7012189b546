package llm

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/llm/providererror"
	"github.com/gistmill/gistmill/internal/text"
)

const (
	// longWait is the wait from which a limit counts as a quota, whatever the endpoint calls it.
	longWait = 15 * time.Minute
	// trueWait is the shortest wait that is believed beside a quota of a day or longer.
	trueWait = 5 * time.Minute
)

// codeNoServer is the code of calls that a proxy answered in place of the endpoint.
const codeNoServer = "no_server"

// classifier turns every failure of a call into one *Error. No other code decides a class.
type classifier struct {
	scrub    scrubber
	keySent  bool
	keyName  string // of the setting that has the key
	base     *url.URL
	azure    bool // an API version is set
	model    string
	tier     Tier // that was asked for
	timeout  time.Duration
	now      time.Time
	sent     func() int // estimates the tokens of the prompt
	output   int        // the cap of the answer in tokens
	answered bool       // the endpoint has answered a call of this client
	strange  int        // answers in a row that were no chat completions, before this one
}

// verdict is what the table of errors says.
type verdict struct {
	class  Class
	advice string
	// doubtful: nothing tells whether the document is at fault, or the account and the settings.
	doubtful bool
	wait     time.Duration
	quota    string
	until    time.Time
	code     string // if the endpoint has none
}

// classify decides a call that gave no usable answer: the request or the reading of its answer
// failed, the answer is an error (with any status, 200 included), or it has no choices.
func (c classifier) classify(ex *exchange) *Error {
	if ex.err != nil {
		return c.transport(ex, ex.err)
	}
	said := providererror.Parse(ex.status, ex.body)
	if ex.ok() && !said.Found {
		if ex.decodeErr != nil {
			return c.noCompletion(ex, said)
		}
		return &Error{Class: Transient, Status: ex.status, Message: "the endpoint failed: an answer without choices", MayBeBilled: true}
	}
	status := ex.status
	if ex.ok() {
		// A gateway that had begun its answer, or one that always sends 200 (OpenRouter): the code
		// in the body is the status.
		status = 0
		if n, err := strconv.Atoi(said.Code); err == nil && n >= 400 && n < 600 {
			status = n
		}
	}
	var v verdict
	switch v.class, v.advice = c.flexRefusal(status, ex, said); v.class {
	case "":
		v = c.decide(status, ex.header, said)
	case Capacity:
		v.wait = providererror.Wait(ex.header, said, c.now)
	}
	out := &Error{
		Class: v.class, Status: ex.status, Code: c.scrub.clean(said.Code), Message: c.message(ex, said, v.advice),
		Doubtful: v.doubtful, RetryAfter: v.wait, Quota: v.quota, Until: v.until,
	}
	for _, code := range []string{said.Type, v.code} {
		if out.Code == "" {
			out.Code = c.scrub.clean(code)
		}
	}
	if v.code == codeNoServer {
		out.Code = v.code
	}
	// After a gateway's timeout (524 is Cloudflare's) the endpoint may have gone on.
	out.MayBeBilled = v.class == Transient && (ex.status == http.StatusGatewayTimeout || ex.status == 524)
	return out
}

// decide is the table of errors. status is 0 for an error that came with a 200. The endpoint's
// own codes and words take precedence over the status: llama.cpp reports a full context as 500,
// Together as 403, and OpenAI an empty account as 429.
func (c classifier) decide(status int, h http.Header, p providererror.Error) verdict {
	sent := 0
	if c.sent != nil {
		sent = c.sent()
	}
	switch {
	case p.TooLong(status, sent, c.output):
		return verdict{class: ContextLength, advice: "the request does not fit the model's context window"}
	case p.Refused():
		return verdict{class: Refused, advice: "the provider's content filter refused the document"}
	case status == http.StatusTooManyRequests, status == http.StatusPaymentRequired, status < 500 && p.NoCredit(), p.RateLimited():
		return c.limit(status, h, p)
	case p.Cancelled():
		return verdict{class: Transient, advice: "the endpoint gave the call up", wait: providererror.Wait(h, p, c.now)}
	}
	if v, ok := c.settings(status, p); ok {
		return v
	}
	switch {
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		return c.notFound(status, p)
	case status == http.StatusForbidden:
		return verdict{class: Halted, doubtful: true, advice: "the endpoint forbids this: check what " + c.keyName + " may do (model, project, region) and --base-url"}
	case status >= 300 && status < 400 && h.Get("Location") != "", status == http.StatusMovedPermanently, status == http.StatusPermanentRedirect:
		return verdict{class: Halted, advice: c.redirected(status, h)}
	case status == http.StatusConflict, status == http.StatusFailedDependency:
		return verdict{class: Transient, doubtful: true, advice: "the endpoint failed", wait: providererror.Wait(h, p, c.now)}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == 499, status >= 500, status < 400, p.Passes():
		return verdict{class: Transient, advice: "the endpoint failed", wait: providererror.Wait(h, p, c.now)}
	}
	return verdict{class: BadRequest, doubtful: true, advice: "the endpoint refused the request"}
}

// settings decides errors that are the same for every document: the key, the country, the model,
// the URL.
func (c classifier) settings(status int, p providererror.Error) (verdict, bool) {
	halted := func(advice string) (verdict, bool) { return verdict{class: Halted, advice: advice}, true }
	switch {
	case status == http.StatusUnauthorized, status < 500 && p.BadKey():
		if !c.keySent {
			return halted("the endpoint wants an API key: set " + c.keyName)
		}
		return halted("the endpoint refused the API key: check " + c.keyName)
	case status == http.StatusProxyAuthRequired:
		return halted("a proxy wants credentials: check HTTPS_PROXY")
	case p.Country():
		return halted("the endpoint forbids this, it does not serve this country: check " + c.keyName + " and --base-url")
	case status < 500 && p.AccountBlocked():
		return halted("the account is blocked: check it at the endpoint, then resume the run")
	case p.OtherAPI():
		return halted(fmt.Sprintf("model %q has no chat completions here, which is the API that gistmill calls: check --model", c.model))
	case status < 500 && p.WrongPath() && !c.answered:
		return halted(c.wrongURL(p))
	case p.UnknownModel(status):
		return halted(fmt.Sprintf("the endpoint has no model %q for this key: check --model", c.model))
	}
	return verdict{}, false
}

// limit decides errors of limits: what no waiting cures, a quota of hours or more, and a rate
// limit. A short wait beside a quota of a day is not believed, because Gemini sends "Please retry
// in 5s" with one (google-gemini/gemini-cli issue 8437), unless the quota refills continuously.
func (c classifier) limit(status int, h http.Header, p providererror.Error) verdict {
	const noCredit = "the account has no credit left: check plan and billing of the endpoint, then resume the run"
	wait := providererror.Wait(h, p, c.now)
	limited := verdict{class: RateLimited, advice: "the endpoint's rate limit is reached", wait: wait}
	long := verdict{class: Quota, advice: "a quota is used up", quota: "requests"}
	quota, named := p.LongQuota(c.now)
	if wait >= longWait || named && wait >= trueWait {
		long.wait, long.until = wait, c.now.Add(wait)
	}
	if named {
		long.quota = quota.Name
		if long.until.IsZero() && quota.Reset.After(c.now) {
			long.wait, long.until = quota.Reset.Sub(c.now), quota.Reset
		}
	}
	switch {
	case p.LimitZero():
		return verdict{class: Halted, advice: fmt.Sprintf("this key has no quota for model %q: check plan and billing of the endpoint, or choose another --model", c.model)}
	case p.Crowded() && wait < longWait:
		return limited // of calls at once, also as 402 (OpenRouter's in-flight budget)
	case p.NoCredit() && !named && wait < longWait && (status != http.StatusPaymentRequired || wait == 0),
		status == http.StatusPaymentRequired && !named && wait == 0:
		return verdict{class: Halted, advice: noCredit}
	case named && wait < trueWait && p.Refills(quota, wait):
		return limited
	case named, wait >= longWait:
		return long
	}
	return limited
}

// notFound decides a 404, 405 or 410 whose words name no model and no path. Without an answer so
// far the URL is wrong, unless others are answered. If a proxy answers with a page of its own after
// the endpoint has answered, no server is behind it at the moment, as in the rollout of a pod.
func (c classifier) notFound(status int, p providererror.Error) verdict {
	if p.Starting() || c.answered && (p.HTML || status == http.StatusNotFound && len(p.Codes) == 0 && p.WrongPath()) {
		return verdict{class: Unavailable, advice: "a proxy answers in place of the endpoint", code: codeNoServer}
	}
	return verdict{class: Halted, doubtful: true, advice: c.wrongURL(p)}
}

// wrongURL says what to check if the endpoint has no such URL.
func (c classifier) wrongURL(p providererror.Error) string {
	advice := fmt.Sprintf("there is no chat API, or no model %q, at %s: check --base-url and --model", c.model, displayURL(c.base))
	host := c.base.Hostname()
	switch {
	case c.azure:
		return advice + ", and --api-version"
	case strings.HasSuffix(host, ".azure.com"), strings.HasSuffix(host, ".azure-api.net"), p.Says("resource not found"):
		// The last is what Azure says.
		return advice + "; Azure needs --api-version, unless --base-url ends with /openai/v1"
	}
	return advice
}

// redirected says where a redirect leads. The client follows 307 and 308 to the same scheme and
// host.
func (c classifier) redirected(status int, h http.Header) string {
	to, err := c.base.Parse(h.Get("Location"))
	where := "another URL"
	if err == nil && h.Get("Location") != "" {
		where = displayURL(to)
	}
	switch {
	case status == http.StatusFound || status == http.StatusSeeOther:
		return fmt.Sprintf("%s sends calls to %s: a sign-in page? Check --base-url and the network", displayURL(c.base), where)
	case err == nil && to.Host == c.base.Host && to.Scheme == "https" && c.base.Scheme == "http":
		return fmt.Sprintf("%s has moved to %s: use https in --base-url", displayURL(c.base), where)
	}
	return fmt.Sprintf("%s has moved to %s: check --base-url (http or https, host, path)", displayURL(c.base), where)
}

// message returns our sentence, followed by the endpoint's own message.
func (c classifier) message(ex *exchange, p providererror.Error, advice string) string {
	words := c.scrub.clean(p.Message)
	if p.HTML && words != "" {
		words = "an HTML page instead of an answer (" + words + ")"
	}
	if words == "" && p.HTML {
		words = "an HTML page instead of an answer: a proxy or gateway replied"
	}
	if words == "" && !p.Found {
		words = http.StatusText(ex.status)
	}
	if words == "" {
		return advice
	}
	return advice + ": " + words
}

// noCompletion is the error of a 200 whose body is neither a completion nor an error. Where nothing
// has ever been answered, a few of them show that there is no chat API.
func (c classifier) noCompletion(ex *exchange, p providererror.Error) *Error {
	e := c.transport(ex, ex.decodeErr)
	if p.HTML {
		e.Code, e.MayBeBilled = "no_json", false
		e.Message = "an HTML page instead of an answer: a proxy or gateway replied, or --base-url is wrong"
		if words := c.scrub.clean(p.Message); words != "" {
			e.Message = "an HTML page (" + text.Cut(words, 100) + ") instead of an answer: a proxy or gateway replied, or --base-url is wrong"
		}
	}
	if e.Code == "no_json" && !c.answered && c.strange+1 >= strangeLimit {
		e.Class, e.MayBeBilled = Halted, false
		e.Message = fmt.Sprintf("there is no chat API at %s, check --base-url: %s", displayURL(c.base), e.Message)
	}
	return e
}

// strangeLimit is the number of answers in a row without a chat completion after which the URL is
// wrong, if the endpoint has never answered.
const strangeLimit = 5
