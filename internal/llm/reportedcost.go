package llm

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxReported is more than one call costs, in USD.
	maxReported = 1000
	// maxFactor is how far a reported cost and that of the table can be apart. Beyond it they are
	// not in the same unit.
	maxFactor = 100
	// ticks are xAI's units in one US dollar.
	ticks = 1e10
)

// Billed returns what a usage cost in USD: what the endpoint reported, where that is plausible,
// else the cost by the table of prices. A reported 0 counts only if the table has no price.
func (u Usage) Billed(byTable float64, known bool) (usd float64, isKnown bool) {
	switch {
	case !u.CostReported, u.CostUSD > maxReported:
		return byTable, known
	case !known:
		return u.CostUSD, true
	case u.CostUSD == 0 && byTable > 0, u.CostUSD > byTable*maxFactor, u.CostUSD*maxFactor < byTable:
		return byTable, known
	}
	return u.CostUSD, true
}

// reportedCost returns the cost of a call in USD as its answer reports it:
//   - OpenRouter: usage.cost, in credits of 1 USD. With the account's own key at the provider
//     (is_byok) it is the fee, and cost_details.upstream_inference_cost is the provider's charge
//     (https://openrouter.ai/docs/use-cases/usage-accounting).
//   - xAI: usage.cost_in_usd_ticks (https://docs.x.ai/developers/cost-tracking)
//   - Perplexity: usage.cost.total_cost (https://docs.perplexity.ai/api-reference)
//   - DeepInfra: usage.estimated_cost (https://deepinfra.com/docs)
//   - LiteLLM: the header x-litellm-response-cost (litellm/proxy/common_request_processing.py)
func reportedCost(body []byte, header http.Header) (usd float64, ok bool) {
	if bytes.Contains(body, []byte("cost")) {
		var answer struct {
			Usage map[string]jsontext.Value `json:"usage"`
		}
		if json.UnmarshalDecode(jsontext.NewDecoder(bytes.NewBuffer(body), lenient), &answer) == nil {
			if usd, ok := costOf(answer.Usage); ok {
				return usd, true
			}
		}
	}
	return amountOf(jsontext.Value(header.Get("X-Litellm-Response-Cost")))
}

// costOf returns the cost that a usage names.
func costOf(usage map[string]jsontext.Value) (usd float64, ok bool) {
	if n, ok := amountOf(usage["cost_in_usd_ticks"]); ok {
		return n / ticks, true
	}
	var parts struct {
		Total    jsontext.Value `json:"total_cost"`
		Upstream jsontext.Value `json:"upstream_inference_cost"`
	}
	if usage["cost"].Kind() == '{' && json.Unmarshal(usage["cost"], &parts) == nil {
		return amountOf(parts.Total)
	}
	usd, ok = amountOf(usage["cost"])
	if !ok {
		return amountOf(usage["estimated_cost"])
	}
	if string(usage["is_byok"]) == "true" && json.Unmarshal(usage["cost_details"], &parts) == nil {
		upstream, _ := amountOf(parts.Upstream)
		usd += upstream
	}
	return usd, true
}

// amountOf reads an amount that is a number or a text.
func amountOf(value jsontext.Value) (amount float64, ok bool) {
	amount, err := strconv.ParseFloat(strings.Trim(string(value), `" `), 64)
	if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) || amount < 0 {
		return 0, false
	}
	return amount, true
}

// addReportedCost adds the reported cost to a usage that the endpoint reported.
func (ex *exchange) addReportedCost(u *Usage) {
	if *u != (Usage{}) {
		u.CostUSD, u.CostReported = reportedCost(ex.body, ex.header)
	}
}
