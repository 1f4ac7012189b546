package llm

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// A Tier is a service tier of an endpoint: when it works on a call, and at which price.
type Tier string

// The tiers with a price of their own. The empty tier asks for nothing, and is paid at the
// standard price.
const (
	TierStandard Tier = "standard"
	// TierFlex is cheaper and slower, and may be refused for want of capacity ([Capacity]).
	TierFlex Tier = "flex"
	// TierBatch is the price of a batch API, for comparison: no call is made at it.
	TierBatch Tier = "batch"
	// TierPriority is dearer. No call asks for it, but a project's own setting may choose it.
	TierPriority Tier = "priority"
)

// tierNamed returns the tier that an answer names. All other names are names of the standard tier:
// default and scale (OpenAI, Azure), on_demand (Groq), standard (Anthropic, Gemini), or of a plan.
func tierNamed(name string) Tier {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "flex":
		return TierFlex
	case "batch":
		return TierBatch
	case "priority", "fast", "ultrafast":
		return TierPriority
	}
	return TierStandard
}

// billedTier returns the tier at which an answer is billed: that which the endpoint names in the
// body, or in Gemini's header. Endpoints that ignore service_tier name none, and bill the
// standard price.
func billedTier(ex *exchange) Tier {
	if named := ex.answer.Tier; named != "" {
		return tierNamed(named)
	}
	// https://ai.google.dev/gemini-api/docs/flex-inference
	return tierNamed(ex.header.Get("x-gemini-service-tier"))
}

// serviceTier returns the value of service_tier that asks this endpoint for a tier; "" leaves it
// out. OpenAI, Azure and OpenRouter take default for the standard tier. Without it a project's own
// setting applies. Groq knows no default, and Gemini names it standard; both use the standard tier
// if nothing is asked for.
func (c *Client) serviceTier(t Tier) string {
	switch t {
	case TierFlex:
		return "flex"
	case TierStandard:
		host := strings.ToLower(c.base.Hostname())
		if !strings.HasSuffix(host, "groq.com") && !strings.HasSuffix(host, "googleapis.com") {
			return "default"
		}
	}
	return ""
}

// flexRefusal returns the class of an error that is about the flex tier, with advice; "" if it is
// about something else. A call at another tier has no such errors, except Groq's status 498.
func (c classifier) flexRefusal(status int, ex *exchange, p providererror.Error) (Class, string) {
	switch {
	case status == statusFlexCapacity, c.tier == TierFlex && lacksCapacity(p, status, ex):
		return Capacity, noCapacity
	case c.tier == TierFlex && refusesTier(p, status):
		return Halted, fmt.Sprintf("the endpoint refuses the flex tier for model %q: choose a model that has it, or pay the standard price with --service standard", c.model)
	}
	return "", ""
}

// noCapacity is the message of class Capacity.
const noCapacity = "the endpoint has no capacity for the flex tier now"

// statusFlexCapacity is Groq's status for "Flex Tier Capacity Exceeded"
// (https://console.groq.com/docs/errors).
const statusFlexCapacity = 498

// lacksCapacity recognizes a refusal of a flex call for want of capacity. What such a refusal says
// is not documented by all makers, so the rule is: the call came to a server that is up (429, 503
// or 529), and the endpoint speaks of capacity or resources, or it sends a 429 that names no limit
// of the account. A limit has words of its own, or a header that says that nothing is left.
//
// Sources: OpenAI 429 "Resource Unavailable", code resource_unavailable, not billed
// (https://developers.openai.com/api/docs/guides/flex-processing); Groq 498 capacity_exceeded
// (https://console.groq.com/docs/flex-processing); Gemini 503 "The system is currently at
// capacity" and "The model is overloaded", and 429 RESOURCE_EXHAUSTED without a QuotaFailure
// (https://ai.google.dev/gemini-api/docs/flex-inference); Azure 429 "NoCapacity"; gateways 429
// flex_unavailable.
func lacksCapacity(p providererror.Error, status int, ex *exchange) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, 529:
	default:
		return false
	}
	if p.NoCredit() || namesQuota(ex.body) {
		return false
	}
	said := strings.ToLower(p.Code + " " + p.Type + " " + p.Message)
	if capacityWords.MatchString(said) {
		return true
	}
	return status == http.StatusTooManyRequests && !limitWords.MatchString(said) && !nothingLeft(ex.header)
}

var (
	capacityWords = regexp.MustCompile(`capacity|overloaded|high demand|flex_unavailable|` +
		`resources?[ _]+(are |is )?(currently |temporarily |not )*(un)?available|` +
		`(insufficient|lacks?|enough|no|sufficient)[ _]+(\w+[ _]+)?resources?\b`)
	limitWords = regexp.MustCompile(`rate.?limit|\blimit\b|too many|too_many|per (second|minute|min|hour|day|month)|\b[rt]pm\b|\b[rt]pd\b|` +
		`exceeded (your|the) .*quota|quota exceeded|throttl|slow.?down|concurren|credit|billing|budget|spend`)
)

// namesQuota reports whether an error names a quota of the account as Google's APIs do
// (google.rpc.QuotaFailure).
func namesQuota(body []byte) bool { return strings.Contains(string(body), "QuotaFailure") }

// nothingLeft reports whether a header says that a limit of the account is used up.
func nothingLeft(h http.Header) bool {
	for name, values := range h {
		if strings.HasPrefix(strings.ToLower(name), "x-ratelimit-remaining") && len(values) > 0 && strings.TrimSpace(values[0]) == "0" {
			return true
		}
	}
	return false
}

// refusesTier recognizes an endpoint or a model without the flex tier. It is not written again
// without service_tier, because that would be paid at the standard price.
//
// Sources: OpenAI 400 "Flex is not available for this model." (inspect_ai,
// tests/model/providers/test_openai.py), "Unsupported service_tier: flex" (codex issue 15099);
// Groq 400 "`service_tier` `flex` is not available for this org" (hindsight issue 89); Azure 400
// (https://learn.microsoft.com/azure/foundry/openai/how-to/flex-processing); FastAPI servers 422
// with service_tier in loc.
func refusesTier(p providererror.Error, status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusNotImplemented:
	default:
		return false
	}
	said := strings.ToLower(p.Param + " " + p.Code + " " + p.Message)
	return tierWords.MatchString(said) && !p.RateLimited()
}

var tierWords = regexp.MustCompile(`service.?tier|\bflex\b`)

// KnownWithoutFlex reports whether a model at an endpoint is known not to have the flex tier. The
// price table decides at the endpoints of the makers whose tiers it has. An empty URL is OpenAI's.
func KnownWithoutFlex(p *Prices, baseURL, model string) bool {
	u, err := url.Parse(cmp.Or(baseURL, DefaultBaseURL))
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Hostname()) {
	case "api.anthropic.com": // https://platform.claude.com/docs/en/api/service-tiers
		return true
	case "api.openai.com", "generativelanguage.googleapis.com":
		return p.WithoutFlex(model)
	}
	return false
}
