package providererror

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Is compares codes with all codes and types of the error, without regard to case, underscores,
// hyphens, dots and spaces: providers use one for the other.
func (e Error) Is(codes ...string) bool {
	has := func(code string) bool {
		return slices.ContainsFunc(codes, func(c string) bool { return squeeze(c) == squeeze(code) })
	}
	return e.Code != "" && has(e.Code) || e.Type != "" && has(e.Type) || slices.ContainsFunc(e.Codes, has)
}

func squeeze(code string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(code))
}

// Says reports whether the message contains one of the phrases, which are in lower case.
func (e Error) Says(phrases ...string) bool {
	message := e.lower()
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(message, p) })
}

func (e Error) lower() string { return lower(e.Message) }

// lower returns a text in lower case, with the quotes of ASCII.
func lower(s string) string {
	return strings.NewReplacer("’", "'", "‘", "'", "`", "'", "“", `"`, "”", `"`).Replace(strings.ToLower(s))
}

// all returns codes and message in lower case.
func (e Error) all() string {
	return lower(strings.Join(e.Codes, " ") + " " + e.Code + " " + e.Type + ". " + e.Message)
}

// sentence splits a message where a new thought begins, so that words of different sentences are
// not read together.
var sentence = regexp.MustCompile(`[.!?。！？]+(?:\s+|$)|[\n;；]|: `)

// anySentence reports whether one sentence matches.
func (e Error) anySentence(r *regexp.Regexp) bool {
	return slices.ContainsFunc(sentence.Split(e.lower(), -1), r.MatchString)
}

// Rules about the length of a prompt.
var (
	lengthNoun = regexp.MustCompile(`\b(?:tokens?|length|context|window|prompt|inputs?|messages|characters|sequence|n_ctx|num_ctx|max_model_len|max_seq_len|kv cache)\b|n_ctx|长度|上下文|输入`)
	tooMuch    = regexp.MustCompile(`exceed|longer|too long|too large|too big|too many|larger|greater|bigger|more than|at most|maximum|<=|less than|must be|should be|range of|limit|not enough|overflow|overlong|reduce|shorten|shorter|smaller|truncat|does not fit|doesn't fit|cannot fit|can't fit|out of|beyond|超过|超出|过长|超长`)
	// outputOnly matches a cap on the answer: another prompt would not change it. OpenAI
	// "max_tokens is too large: 2048. This model supports at most 1024 completion tokens".
	outputOnly   = regexp.MustCompile(`max_(?:completion_|output_|new_)?tokens|completion tokens|output tokens|output length`)
	ofPrompt     = regexp.MustCompile(`\b(?:prompt|context|inputs?|messages|n_ctx|sequence)\b|max_model_len`)
	number       = regexp.MustCompile(`\d[\d,]*`)
	strongLength = regexp.MustCompile(`(?:prompt|input|context|message|request|text|sequence|conversation|content)s?[^.;:]{0,60}(?:too long|too large|longer than|exceeds?|exceeded|overflow|over the limit|does not fit|doesn't fit)[^.;:]{0,80}(?:token|context|length|window|limit|maximum|model|size)|` +
		`(?:too long|longer than|exceeds?|exceeded|overflows?|greater than|larger than|beyond|less than)[^.;:]{0,60}(?:context|window|token limit|maximum (?:number of )?tokens|input length|prompt length|sequence length|max_model_len|n_ctx)|` +
		`too many (?:input |prompt )?tokens|(?:prompt|input|request) is too long|maximum (?:context|prompt|input|sequence) length|reduce the (?:length|size) of (?:the |your )?(?:messages|prompt|input|text)|` +
		`context[ _-]?(?:length|window|size)[^.;:]{0,30}exceed|(?:上下文|输入|提示词)[^。；]{0,20}(?:超过|超出|过长|超长)`)
)

// TooLong reports whether the prompt is larger than the window, or than the token limit of a
// minute, which waiting does not change. sent estimates the tokens of the prompt, and output is the
// cap of the answer.
//
// Codes and known phrases go first, then numbers: words about tokens, and a number that is a
// limit below what was sent, or about what was sent. Sources of wordings:
//   - OpenAI, Azure, vLLM, OpenRouter, LiteLLM: "This model's maximum context length is N tokens.
//     However, …" (openai-python, vllm issue 20409)
//   - vLLM: "max_tokens must be at least 1, got -186" (issue 4667)
//   - OpenAI 429: "Request too large for gpt-4o … on tokens per min (TPM): Limit 30000, Requested
//     30601" (aider issue 1880)
//   - llama.cpp: type exceed_context_size_error (PR 15780), "Context size has been exceeded." as
//     500 (issue 19774); llama-cpp-python: "Requested tokens (2285) exceed context window of 2048"
//   - Ollama: "input length exceeds maximum context length"; LM Studio "greater than the context
//     length" and "when context the overflows" (lmstudio-bug-tracker issue 237)
//   - SGLang: "is longer than the model's context length" (issue 8096)
//   - TGI: "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: …" (chat-ui issue 340)
//   - DashScope: "Range of input length should be [1, 30720]" (qwen-code issue 98)
//   - Together as 403: "Input token count + max_tokens parameter must be less than the context
//     length"
//   - Anthropic, Gemini, xAI, Bedrock, Groq, Copilot, MiniMax, Kimi, Mistral: the list in pi-mono,
//     packages/ai/src/utils/overflow.ts
func (e Error) TooLong(status, sent, output int) bool {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return true
	case e.Is("context_length_exceeded", "exceed_context_size_error", "string_above_max_length", "request_too_large", "context_window_exceeded",
		"max_context_length_exceeded", "model_max_prompt_tokens_exceeded", "prompt_too_long", "tokens_limit_reached", "context_too_large", "input_too_long"):
		return true
	case e.Says("request too large for", "request too large on"):
		return true
	case status == http.StatusTooManyRequests, status == http.StatusUnauthorized, status == http.StatusPaymentRequired:
		return false // here "too many tokens" means a rate limit
	case e.Says("max_tokens must be at least 1, got -", "max_new_tokens must be at least 1, got -"):
		return true
	}
	message := e.lower()
	if outputOnly.MatchString(message) && !ofPrompt.MatchString(withoutOutput(message)) {
		return false
	}
	if strongLength.MatchString(message) || e.Says("available context size", "exceeded model token limit", "context the overflows") {
		return true
	}
	if status != 0 && status != http.StatusBadRequest && status != http.StatusUnprocessableEntity && status != http.StatusForbidden && status < 500 {
		return false
	}
	if sent < leastSuspect || !lengthNoun.MatchString(message) {
		return false
	}
	over := tooMuch.MatchString(message)
	numbers := numbersIn(message)
	for _, n := range numbers {
		// A tokenizer of another maker counts up to twice as many or half as many tokens.
		limit := over && n >= leastWindow && n <= 2*sent+output
		echo := n >= sent/2 && n <= 2*sent+output && len(numbers) > 1
		if limit || echo {
			return true
		}
	}
	return false
}

const (
	// leastSuspect is the size of a prompt, in tokens, from which its length may be the reason of
	// an error that says so without numbers or in unknown words.
	leastSuspect = 700
	// leastWindow is the smallest number that is taken for a window in tokens.
	leastWindow = 256
)

// withoutOutput removes the names of caps from a message: "max_tokens must be less than the context
// length" is about the prompt, "max_tokens: input should be at most 8192" is not.
func withoutOutput(message string) string {
	return strings.NewReplacer("input should be", "", "input validation error", "", "invalid input", "", "max_tokens", "").Replace(message)
}

func numbersIn(message string) []int {
	var all []int
	for _, text := range number.FindAllString(message, 40) {
		if n, err := strconv.Atoi(strings.ReplaceAll(text, ",", "")); err == nil {
			all = append(all, n)
		}
	}
	return all
}

var refusal = regexp.MustCompile(`content exists? risk|` +
	`violat\w*.{0,60}(?:guideline|polic|terms|rules)|` +
	`(?:content|usage|safety|moderation|filter\w*|responsible ai|acceptable use) (?:management |filtering |safety |moderation |usage |use )?(?:policy|policies|filter|guidelines|checks?|system)\b.{0,60}(?:violat|block|reject|flag|refus|trigger|fail|stop|denied|detect)|` +
	`(?:block|reject|filter|flag|refus|stopp|trigger|declin|denied|detect)\w*.{0,80}(?:content (?:management|filter|moderation|safety|policy|polic)|safety (?:system|filter|check|polic|reason|setting)|moderation|guardrail|usage polic|sensitive|prohibited content|harmful|responsible ai)|` +
	`(?:prompt|input|inputs|output|content|text|response|message|messages|request|document|data)\b.{0,60}\b(?:was flagged|were flagged|is flagged|been flagged|flagged (?:as|for|by)|inappropriate|sensitive|unsafe|harmful|objectionable|prohibited|illegal|high risk|not safe|offensive)|` +
	`(?:inappropriate|sensitive|unsafe|harmful|prohibited|objectionable|illegal|offensive) (?:content|prompt|input|text|language|words?|information|data)|` +
	`requires moderation|safety_check|content[_ ]?filter|content[_ ]moderation|guardrail.{0,30}(?:interven|block|violat)|blocked by (?:our |the )?(?:safety|moderation|content)|` +
	`敏感|不安全|违规|违禁|违法|审核未通过|内容审核|不合规|安全审查|风险内容|高风险`)

// accountFlagged matches an account that is flagged, not a document.
var accountFlagged = regexp.MustCompile(`\b(?:account|organi[sz]ation|api key|user|team|project|workspace|tenant|subscription)\b[^.;,]{0,40}\b(?:has|have|was|is|were)\b(?: been)?(?: temporarily| permanently)? (?:flagged|suspended|blocked|banned|disabled|restricted|deactivated|terminated|locked|inactive|not active)|account_(?:deactivated|suspended|disabled)|access_terminated`)

// Refused recognizes content filters: OpenAI and Azure content_filter and
// ResponsibleAIPolicyViolation; OpenAI's reasoning models "Invalid prompt: your prompt was
// flagged"; OpenRouter's moderation, a 403; DashScope data_inspection_failed; xAI, a 403 "Content
// violates usage guidelines … Failed check: SAFETY_CHECK_TYPE_BIO" (inspect_ai issue 2267);
// DeepSeek "Content Exists Risk" (DeepSeek-V2 issue 30); Anthropic "Output blocked by content
// filtering policy" (support.claude.com article 10023638); Volcengine
// InputTextSensitiveContentDetected; Zhipu 1301; Kimi "considered high risk"; Bedrock and LiteLLM
// guardrails.
func (e Error) Refused() bool {
	if e.Is("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "invalid_prompt", "data_inspection_failed", "content_filtered",
		"content_blocked", "content_moderation", "content_safety", "prompt_blocked", "prohibited_content", "safety", "blocklist", "spii", "moderation_blocked",
		"sensitive_content_detected", "input_text_sensitive_content_detected", "output_text_sensitive_content_detected", "guardrail_intervened",
		"guardrail_violation", "cyber_policy_violation", "content_policy", "moderation_failed") {
		return true
	}
	return e.anySentence(refusal) && !accountFlagged.MatchString(e.lower())
}

// AccountBlocked recognizes an account or a key that was suspended.
func (e Error) AccountBlocked() bool { return accountFlagged.MatchString(e.all()) }

// Nouns of money, and what is wrong with it.
const (
	money = `(?:credits?|balance|funds?|budgets?|billing|payments?|prepaid|spend(?:ing)?(?: limits?| caps?| quota)?|hard limit|usage limits?|tokens? balance|subscription|free (?:trial|tier|quota|allocation|credits?)|trial)`
	wrong = `(?:insufficient|not enough|not have enough|no|low|out of|exhausted|used up|used all|depleted|exceed(?:ed|s)?|over|negative|zero|expired|required|requires? more|suspended|inactive|not active|reached|past due|overdue|not have any|'t have any|ran out|run out|can only afford|is 0|too low|unpaid|lacks?|need more|blocked)`
)

// noMoney has both in either order in one sentence.
var noMoney = regexp.MustCompile(`\b` + money + `\b.{0,60}\b` + wrong + `\b|\b` + wrong + `\b.{0,50}\b` + money + `\b|余额不足|欠费|余额|无可用资源包|请充值|arrearage|\barrears?\b|\bover_?budget\b|exceeded_?(?:token_?)?budget|can only afford`)

// billingAdvice is what endpoints add to any limit; it says nothing about money.
var billingAdvice = regexp.MustCompile(`(?:please )?(?:check|review|see|verify) your plan(?: and billing)?(?: details)?|https?://\S+|need more tokens\?[^.]*|(?:thinking|reasoning)[ _]?budget|upgrade to[^.]*|add \d+ credits to unlock[^.]*`)

// NoCredit recognizes an account without money, or the budget of a key at a proxy that is used up:
// what no waiting cures. The sentence "You exceeded your current quota" alone is not enough: Gemini
// uses it for a rate limit too, with status RESOURCE_EXHAUSTED and a time to retry. Zhipu's code is
// 1113 (continue issue 10296), Volcengine's AccountOverdueError, DashScope's Arrearage, LiteLLM's
// budget_exceeded (litellm issues 14144, 36729).
func (e Error) NoCredit() bool {
	if e.Is("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted", "insufficient_balance",
		"insufficient_credits", "insufficient_funds", "access_terminated", "budget_exceeded", "over_budget", "arrearage", "account_overdue_error",
		"exceeded_current_quota_error", "1113", "payment_required", "billing_error", "insufficient_user_quota", "pre_consume_token_quota_failed",
		"no_credits", "credits_exhausted", "spend_limit_reached", "enforced_spend_limit_reached", "billing_cap_exceeded", "credit_limit_exceeded") {
		return true
	}
	if e.Says("exceeded your current quota") && !e.Is("resource_exhausted") && !e.Says("retry in", "try again in") {
		return true
	}
	said := Error{Message: billingAdvice.ReplaceAllString(e.lower(), " ")}
	return said.anySentence(noMoney)
}

// limitZero matches a quota of nothing: Gemini names "limit: 0" for a model that is not in the free
// tier (gemini-cli issue 22486), and OpenAI "Limit 0".
var limitZero = regexp.MustCompile(`\b(?:limit|quota)(?: value)?:? ?0(?:[^\d.,]|[.,](?:\D|$)|$)`)

// LimitZero recognizes a limit of 0.
func (e Error) LimitZero() bool {
	for _, v := range e.Quotas {
		if v.Value == "0" {
			return true
		}
	}
	return limitZero.MatchString(e.lower())
}

var (
	limited   = regexp.MustCompile(`rate[ _-]?limit|too many (?:concurrent )?requests|throttl|requests? (?:rate )?limit|quota (?:has been |is |was )?(?:exceeded|reached|exhausted)|exceeded (?:your|the) (?:\w+ ){0,3}(?:quota|limit)|limit (?:has been |is |was )?(?:reached|exceeded)|请求过于频繁|速率限制|并发|频率|限流`)
	crowded   = regexp.MustCompile(`concurren|in[ _-]?flight|parallel requests|maximum pending requests|simultaneous`)
	paramWord = regexp.MustCompile(`unsupported|not supported|unrecognized|unknown parameter|invalid`)
)

// RateLimited recognizes a limit with a status other than 429: OpenAI's 503 slow_down, Ollama's 503
// for a full queue ("maximum pending requests exceeded", ollama/server/sched.go), nginx' limit_req,
// which answers 503 (the page names no reason), AWS ThrottlingException, and errors in a 200.
func (e Error) RateLimited() bool {
	return e.Is("rate_limit_exceeded", "rate_limit_error", "too_many_requests", "slow_down", "resource_exhausted", "throttling_error", "throttling",
		"throttling_exception", "rate_limited", "rate_limit", "rate_limit_reached", "request_limit_exceeded", "quota_exceeded", "requests_limit_exceeded", "tokens_limit_exceeded") ||
		e.Says("maximum pending requests exceeded") || e.anySentence(limited) && !e.anySentence(paramWord)
}

// Crowded recognizes a limit on the calls at once: OpenRouter's in_flight_budget.
func (e Error) Crowded() bool { return crowded.MatchString(e.all()) }

var badKey = regexp.MustCompile(`(?:api[ _-]?key|access token|auth(?:entication|orization)? (?:token|header|key)|bearer token|api token|credentials?|x-api-key|secret key|令牌|密钥).{0,60}\b(?:invalid|incorrect|not valid|wrong|malformed|missing|expired|revoked|not found|required|disabled|denied|unauthorized|not provided|unknown|does not exist|rejected|inactive)|` +
	`\b(?:invalid|incorrect|wrong|malformed|missing|expired|revoked|unknown|no|bad)\b.{0,20}(?:api[ _-]?key|access token|authentication|authorization|bearer token|api token|credentials?|x-api-key)|` +
	`authentication (?:failed|error|fails)|could not (?:validate|verify) (?:credentials|the key)|not authenticated|login fail|(?:令牌|密钥|api ?key).{0,10}(?:无效|错误|过期|不存在)|无效的(?:令牌|密钥)`)

// BadKey recognizes keys that are refused with a 400 (Gemini API_KEY_INVALID), a 403 or in a 200.
func (e Error) BadKey() bool {
	return e.Is("invalid_api_key", "invalid_authentication", "authentication_error", "api_key_invalid", "unauthenticated", "invalid_key", "invalid_token",
		"expired_api_key", "missing_api_key", "authentication_failed", "invalid_authentication_error", "incorrect_api_key_error", "unrecognized_client_exception") ||
		e.anySentence(badKey)
}

// Country recognizes a region that the provider does not serve.
func (e Error) Country() bool {
	return e.Is("unsupported_country_region_territory", "unsupported_country") ||
		e.Says("country, region, or territory", "user location is not supported", "not available in your country", "not available in your region", "location is not supported")
}

var unknownModel = regexp.MustCompile(`\b(?:no such|unknown|invalid|unsupported|unrecognized|nonexistent) (?:model|deployment|engine)\b|` +
	`\b(?:model|deployment|engine)s?\b.{0,100}\b(?:not found|does not exist|doesn't exist|not exist|no longer (?:available|supported)|deprecated|retired|decommissioned|discontinued|is not a valid|not (?:deployed|loaded|pulled|served|hosted|installed|enabled|activated|accessible)|(?:do|does) not have access|don't have access|not (?:available|permitted|allowed) (?:for|to|on|in|with)|access (?:denied|is denied))|` +
	`\bnot a valid (?:model|deployment)|\bno (?:allowed |available )?(?:endpoints?|providers?|channels?|instances?|deployments?) (?:found|available)?.{0,20}\b(?:for|with|found|available)|` +
	`could not find (?:the )?model|not find model|(?:access|permission) to (?:the |this )?model|model.{0,30}(?:not supported|unsupported)$|(?:requested|specified|selected|given) model is not (?:supported|available)|must be verified to use|模型.{0,20}(?:不存在|不支持|未开通|已下线)|无可用渠道`)

// UnknownModel recognizes a model that the endpoint does not have for this key: OpenAI and vLLM
// "The model `x` does not exist", Ollama "model 'x' not found", Azure DeploymentNotFound, Scaleway
// 422 "Model Not Found", Mistral "Invalid model", Cloudflare "No such model @cf/x or task",
// OpenRouter "No endpoints found for x", OpenAI "Your organization must be verified to use the
// model". A parameter that a model does not support is not one.
func (e Error) UnknownModel(status int) bool {
	if e.Is("model_not_found", "deploymentnotfound", "model_not_available", "invalid_model", "unsupported_model", "model_not_supported", "unknown_model",
		"model_not_exist", "modelnotopen", "model_deprecated", "model_decommissioned", "no_such_model", "model_terms_required", "invalidendpointormodel.notfound") {
		return true
	}
	if e.Param != "" && !strings.EqualFold(e.Param, "model") && !strings.HasSuffix(strings.ToLower(e.Param), ".model") || status >= 500 {
		return e.Says("model") && e.Says("try pulling", "model not found")
	}
	return e.anySentence(unknownModel)
}

var otherAPI = regexp.MustCompile(`v1/responses|responses api|not a chat model|not supported in the v1/chat/completions|(?:use|via|through|to) (?:the )?/?v1/(?:responses|completions|messages|embeddings)|does not support (?:the )?chat(?: completions?)?\b|not supported (?:in|by|on) (?:the )?/?v1/chat|legacy protocol|chat completions? (?:api |endpoint )?is not supported|chat/completions is not (?:supported|available)`)

// OtherAPI recognizes a model or gateway that has no chat completions. OpenAI: "This model is only
// supported in v1/responses and not in v1/chat/completions."
func (e Error) OtherAPI() bool { return otherAPI.MatchString(e.lower()) }

var wrongPath = regexp.MustCompile(`unexpected endpoint or method|invalid url \(|unknown request url|unrecognized request url|(?:no|unknown|invalid) (?:such )?(?:route|endpoint|path)\b|no route matched|cannot post /|route [^ ]* ?not found|method not allowed|path not found|endpoint not found|page not found|no handler found|unknown_url`)

// WrongPath recognizes a server that knows no such URL: LM Studio "Unexpected endpoint or method"
// (lmstudio-bug-tracker issue 618), OpenAI "Invalid URL (POST /v1/x)", Kong "no Route matched",
// Express "Cannot POST /x".
func (e Error) WrongPath() bool { return e.Is("unknown_url") || wrongPath.MatchString(e.lower()) }

// Starting recognizes an endpoint that has no server at the moment: a Kubernetes rollout answers
// 404 "default backend - 404" (ingress-nginx), "no healthy upstream" (Envoy), or "no available
// server" (Traefik).
func (e Error) Starting() bool {
	return e.Says("default backend", "no healthy upstream", "no available server", "upstream connect error", "service temporarily unavailable", "loading model",
		"model is loading", "is currently loading", "model is not ready", "modelnotready", "warming up", "starting up", "cold start") ||
		e.Is("model_not_ready", "modelnotreadyexception", "model_loading", "unavailable_error")
}

var cancelled = regexp.MustCompile(`\b(?:operation|request|call|generation) (?:was |has been |is )?(?:cancel|abort)l?ed|client (?:closed|disconnected)|context cancell?ed`)

// Cancelled recognizes a call that the server gave up: Gemini 499 CANCELLED (gemini-cli issue
// 20309), nginx 499, vLLM "Client disconnected".
func (e Error) Cancelled() bool {
	return e.Is("cancelled", "canceled", "499", "aborted", "client_closed_request") || e.anySentence(cancelled)
}

var passes = regexp.MustCompile(`overload|temporar|\bbusy\b|internal (?:server )?error|timed? ?out|upstream (?:error|connect|request)|backend error|connection (?:error|reset|refused)|服务繁忙|稍后`)

// Passes recognizes a failure that a later call may not meet, whatever its status.
func (e Error) Passes() bool {
	return e.Is("overloaded_error", "server_error", "internal_error", "backenderror", "unavailable", "internal", "api_error", "internal_server_error", "service_unavailable", "overloaded", "capacity_exceeded") ||
		passes.MatchString(e.lower())
}
