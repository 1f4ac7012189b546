package providererror

import (
	"testing"
	"time"
)

// TestTooLong has prompts that are too long in the words of servers, and errors that only look so.
// The prompt has about 3,000 tokens, and the answer's cap is 400.
func TestTooLong(t *testing.T) {
	t.Parallel()
	long := map[string]struct {
		status  int
		message string
	}{
		"vLLM 0.15":           {400, "You passed 3001 input tokens and requested 400 output tokens. However, the model's context length is only 2048 tokens, resulting in a maximum input length of 1648 tokens."},
		"SGLang":              {400, "The input (3001 tokens) is longer than the model's context length (2048 tokens)."},
		"SGLang, with output": {400, "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of 3401 tokens: 3001 tokens from the input messages and 400 tokens for the completion."},
		"LM Studio":           {400, "Trying to keep the first 3001 tokens when context the overflows. However, the model is loaded with context length of only 2048 tokens, which is not enough."},
		"TGI":                 {422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3001 `inputs` tokens and 400 `max_new_tokens`"},
		"TGI, inputs":         {422, "Input validation error: `inputs` must have less than 2048 tokens. Given: 3001"},
		"DashScope":           {400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 2048]"},
		"llama.cpp":           {500, "the request exceeds the available context size. try increasing the context size or enable context shift"},
		"Mistral":             {400, "Prompt contains 3001 tokens and 0 draft tokens, too large for model with 2048 maximum context length"},
		"Kimi":                {400, "Invalid request: Your request exceeded model token limit: 2048 (requested: 3401)"},
		"MiniMax":             {400, "invalid params, context window exceeds limit"},
		"Copilot":             {400, "prompt token count of 3001 exceeds the limit of 2048"},
		"Cohere":              {400, "too many tokens: total number of tokens in the prompt cannot exceed 2048 - received 3001. Try using a shorter prompt"},
		"OpenAI, Responses":   {400, "Your input exceeds the context window of this model. Please adjust your input and try again."},
		"Databricks":          {400, "The request has 3001 tokens, which is above what llama can take: 2048."},
		"numbers only":        {400, "prompt 3001, n_ctx 2048"},
		"unknown words":       {500, "KV cache of 2048 tokens is not enough for this sequence"},
		"Chinese":             {400, "输入长度超过模型最大上下文长度 2048"},
		"Together as 403":     {403, "Input token count + max_tokens parameter must be less than the context length of the model being queried."},
		"negative rest":       {400, "max_tokens must be at least 1, got -186."},
	}
	for name, tt := range long {
		if !(Error{Message: tt.message}).TooLong(tt.status, 3000, 400) {
			t.Errorf("%s: not taken for too long", name)
		}
	}
	short := map[string]struct {
		status  int
		message string
	}{
		"cap of the answer":   {400, "max_tokens is too large: 2048. This model supports at most 1024 completion tokens, whereas you provided 2048."},
		"cap, FastAPI":        {422, "body.max_tokens: Input should be less than or equal to 1024"},
		"cap, Anthropic":      {400, "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for claude-3-opus"},
		"temperature":         {400, "temperature must be no more than 2"},
		"a limit of a minute": {429, "Rate limit reached on tokens per min (TPM): Limit 3000, Used 2500, Requested 1200."},
		"a schema":            {400, "Invalid schema for response_format 'answer': In context=(), 'additionalProperties' is required"},
		"a model":             {404, "The model `gpt-2048` does not exist in this context"},
		"a key":               {401, "Incorrect API key with 51 characters, at most 48"},
		"a server's failure":  {500, "Failed to parse input at pos 0: <|channel|>commentary"},
		"another failure":     {503, "The server had an error while processing your request"},
	}
	for name, tt := range short {
		if (Error{Message: tt.message}).TooLong(tt.status, 3000, 400) {
			t.Errorf("%s: taken for too long", name)
		}
	}
	if (Error{Message: "tokens: at most 1500"}).TooLong(400, 90, 400) {
		t.Error("a prompt of 90 tokens is taken for too long")
	}
}

// TestMeanings has what endpoints say, and what it means. Each message has one meaning.
func TestMeanings(t *testing.T) {
	t.Parallel()
	meanings := map[string]func(Error) bool{
		"refused":  Error.Refused,
		"credit":   Error.NoCredit,
		"key":      Error.BadKey,
		"model":    func(e Error) bool { return e.UnknownModel(400) },
		"api":      Error.OtherAPI,
		"path":     Error.WrongPath,
		"blocked":  Error.AccountBlocked,
		"canceled": Error.Cancelled,
		"starting": Error.Starting,
		"limit":    Error.RateLimited,
		"country":  Error.Country,
	}
	tests := []struct {
		means string // "" : nothing
		code  string
		words string
	}{
		{"refused", "", "Content violates usage guidelines. Team: t-1, API key ID: k-1, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"},
		{"refused", "", "Failed check: SAFETY_CHECK_TYPE_CYBER"},
		{"refused", "invalid_request_error", "Content Exists Risk"},
		{"refused", "", "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."},
		{"refused", "", "Output blocked by content filtering policy"},
		{"refused", "", "Your request was rejected as a result of our safety system."},
		{"refused", "", "Input data may contain inappropriate content."},
		{"refused", "", "The request was rejected because it was considered high risk"},
		{"refused", "", "openai/gpt-4o requires moderation. Your input was flagged for \"violence\""},
		{"refused", "1301", "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。"},
		{"refused", "InputTextSensitiveContentDetected", "The request failed because the input text may contain sensitive information."},
		{"refused", "", "Guardrail was enabled and the guardrail intervened."},
		{"refused", "", "The prompt violates our terms of service"},

		{"credit", "1113", "余额不足或无可用资源包,请充值。"},
		{"credit", "budget_exceeded", "Budget has been exceeded! Current cost: 10.51, Max budget: 10.00"},
		{"credit", "", "ExceededBudget: User=default_user over budget. Spend=10.51, Budget=10.0"},
		{"credit", "", "Your newly created teams doesn't have any credits yet. You can purchase credits on https://console.x.ai/team/x."},
		{"credit", "", "Your credit balance is too low to access the Anthropic API."},
		{"credit", "", "This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 2666."},
		{"credit", "", "Insufficient Balance"},
		{"credit", "", "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."},
		{"credit", "Arrearage", "Access denied, please make sure your account is in good standing."},
		{"credit", "", "Billing hard limit has been reached"},
		{"credit", "", "Your prepaid balance has run out"},
		{"credit", "", "您的账户已欠费"},

		{"key", "", "API key not valid. Please pass a valid API key."},
		{"key", "", "Incorrect API key provided: sk-x"},
		{"key", "", "Authentication Error, Invalid proxy server token passed. Unable to find token in cache or db: invalid api key"},
		{"key", "", "No api key passed in."},
		{"key", "", "无效的令牌"},

		{"model", "", "The model `x` does not exist or you do not have access to it."},
		{"model", "", "model 'llama3.2' not found"},
		{"model", "", "No such model @cf/x or task"},
		{"model", "", "No endpoints found for x/y:free."},
		{"model", "", "Invalid model name passed in model=x. Call `/v1/models` to view available models for your key."},
		{"model", "", "Your organization must be verified to use the model `o3`."},
		{"model", "", "model is not loaded: please load a model first"},
		{"model", "", "The model `llama-2` has been decommissioned and is no longer supported."},

		{"api", "", "This model is only supported in v1/responses and not in v1/chat/completions."},
		{"api", "", "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?"},
		{"api", "", "Unsupported legacy protocol: /v1/chat/completions is not supported. Please use /v1/responses."},
		{"path", "", "Unexpected endpoint or method. (POST /v1/chat/completions)"},
		{"path", "", "Invalid URL (POST /v1/v1/chat/completions)"},
		{"path", "", "Cannot POST /v1/chat/completions"},
		{"path", "", "no Route matched with those values"},
		{"blocked", "", "Your organization has been disabled."},
		{"blocked", "", "Your account has been flagged for potentially violating our policies"},
		{"canceled", "CANCELLED", "The operation was cancelled."},
		{"canceled", "", "Client disconnected"},
		{"starting", "", "default backend - 404"},
		{"starting", "", "no healthy upstream"},
		{"starting", "", "Loading model"},
		{"limit", "", "maximum pending requests exceeded"},
		{"limit", "", "Rate limit reached"},
		{"limit", "ThrottlingException", "slower please"},
		{"country", "", "User location is not supported for the API use."},

		{"", "invalid_value", "temperature must be no more than 2"},
		{"", "", "Unsupported parameter: 'temperature' is not supported with this model."},
		{"", "", "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."},
		{"", "", "This response_format type is unavailable now"},
		{"", "", "System role not supported"},
		{"", "", "Developer instruction is not enabled for models/gemma-3-27b-it"},
		{"", "", "parameter.enable_thinking must be set to false for non-streaming calls"},
		{"", "", "Budget 0 is invalid. This model only works in thinking mode."},
		{"", "", "The thinking budget exceeds max_tokens"},
		{"", "", "Invalid schema for response_format 'answer'"},
		{"", "", "body.messages: field required"},
		{"", "", "Unrecognized request argument supplied: max_completion_tokens"},
		{"", "", "Reasoning effort 'low' is not supported by this model"},
	}
	for _, tt := range tests {
		e := Error{Code: tt.code, Message: tt.words}
		if tt.means != "" && !meanings[tt.means](e) {
			t.Errorf("%q does not mean %s", tt.words, tt.means)
		}
		for name, means := range meanings {
			if name != tt.means && means(e) {
				switch {
				case name == "limit" && tt.means == "credit", name == "credit" && tt.means == "limit", name == "blocked" && tt.means == "refused":
				default:
					t.Errorf("%q means %s too", tt.words, name)
				}
			}
		}
	}
}

func TestLongQuota(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		e     Error
		name  string // "" : none
		reset time.Time
	}{
		"a minute":                  {e: Error{Message: "Rate limit reached on tokens per min (TPM): Limit 30000"}},
		"a day of tokens":           {e: Error{Message: "on tokens per day (TPD): Limit 100000"}, name: "tokens per day"},
		"a day of requests":         {e: Error{Message: "on requests per day (RPD): Limit 200"}, name: "requests per day"},
		"only RPD":                  {e: Error{Message: "RPD limit reached"}, name: "requests per day"},
		"Gemini":                    {e: Error{Message: "Please retry in 2s.", Quotas: []Violation{{ID: "GenerateRequestsPerMinutePerProject"}, {ID: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", Value: "20"}}}, name: "requests per day", reset: time.Date(2026, 3, 3, 8, 1, 0, 0, time.UTC)},
		"Gemini's minute":           {e: Error{Quotas: []Violation{{ID: "GenerateContentInputTokensPerModelPerMinute-FreeTier"}}}},
		"OpenRouter":                {e: Error{Message: "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"}, name: "requests per day"},
		"OpenRouter's minute":       {e: Error{Message: "Rate limit exceeded: free-models-per-min. Add credits to unlock 1000 requests per day"}},
		"OpenRouter's limit_source": {e: Error{Message: "Rate limit exceeded", Codes: []string{"429", "openrouter_free_tier_daily"}}, name: "requests per day"},
		"GitHub":                    {e: Error{Message: "Rate limit of 150 per 86400s exceeded for UserByModelByDay."}, name: "requests per day"},
		"three hours":               {e: Error{Message: "Rate limit of 50 per 10800s exceeded"}, name: "requests per 3 hours"},
		"ten seconds":               {e: Error{Message: "Rate limit of 15 per 60s exceeded for UserByModelByMinute"}},
		"a month of credits":        {e: Error{Message: "You have exceeded your monthly included credits for Inference Providers."}, name: "credits per month"},
		"Cohere":                    {e: Error{Message: "You are using a Trial key, which is limited to 1000 API calls / month."}, name: "requests per month"},
		"daily":                     {e: Error{Message: "Daily limit reached"}, name: "requests per day"},
		"weekly":                    {e: Error{Message: "You have hit your weekly usage limit"}, name: "requests per week"},
		"Chinese":                   {e: Error{Message: "每天的请求次数已达上限"}, name: "requests per day"},
		"a birthday":                {e: Error{Message: "The birthday of the limiter is on Monday"}},
		"nothing":                   {e: Error{Message: "slow down"}},
	}
	for name, tt := range tests {
		q, ok := tt.e.LongQuota(now)
		if ok != (tt.name != "") || ok && (q.Name != tt.name || !q.Reset.Equal(tt.reset)) {
			t.Errorf("%s: %+v, %t", name, q, ok)
		}
	}
}

func TestRefills(t *testing.T) {
	t.Parallel()
	tokens := Error{Message: "Limit 100000, Used 99926, Requested 1739. Please try again in 23m58.56s."}
	requests := Error{Message: "on requests per day (RPD): Limit 10000, Used 10000, Requested 1."}
	for _, tt := range []struct {
		e    Error
		wait time.Duration
		want bool
	}{
		{tokens, 23*time.Minute + 58*time.Second, true},
		{tokens, 5 * time.Second, false},
		{requests, 8640 * time.Millisecond, true},
		{Error{Message: "Limit 200, Used 200, Requested 1."}, 5 * time.Second, false},
		{Error{Message: "slow down"}, 5 * time.Second, false},
	} {
		if got := tt.e.Refills(Quota{Window: day}, tt.wait); got != tt.want {
			t.Errorf("%q and %s: %t", tt.e.Message, tt.wait, got)
		}
	}
}

func TestLimitZero(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{
		"* Quota exceeded for metric: x/requests, limit: 0, model: y": true,
		"on tokens per min (TPM): Limit 0, Used 0, Requested 8":       true,
		"limit: 0.": true, "limit: 0.5": false, "limit: 20": false, "Limit 03": false, "limit 0": true,
	} {
		if (Error{Message: words}).LimitZero() != want {
			t.Errorf("%q: want %t", words, want)
		}
	}
	if !(Error{Quotas: []Violation{{Value: "0"}}}).LimitZero() {
		t.Error("a quota of 0 is not seen")
	}
}
