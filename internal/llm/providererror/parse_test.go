package providererror

import (
	"strings"
	"testing"
)

// TestParse has a body of each shape that endpoints and gateways send.
func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status  int // 0: 400
		body    string
		message string // "" : none
		code    string
		param   string
		codes   []string // among others
		none    bool     // no error
	}{
		"OpenAI":                   {body: `{"error":{"message":"Unsupported value","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`, message: "Unsupported value", code: "unsupported_value", param: "temperature", codes: []string{"invalid_request_error"}},
		"the text of an error":     {body: `{"error":"model requires more system memory"}`, message: "model requires more system memory"},
		"vLLM before 0.10":         {body: `{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}`, message: "too long", code: "400"},
		"Google's list":            {body: `[{"error":{"code":400,"message":"no such thing","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]`, message: "no such thing", code: "400", codes: []string{"INVALID_ARGUMENT", "API_KEY_INVALID"}},
		"FastAPI's list":           {status: 422, body: `{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":"a secret"}]}`, message: "body.seed: Extra inputs are not permitted", param: "body.seed", codes: []string{"extra_forbidden"}},
		"FastAPI's text":           {body: `{"detail":"Model is not ready"}`, message: "Model is not ready"},
		"FastAPI's object":         {body: `{"detail":{"error":"Invalid model name passed in model=x","code":"m1"}}`, message: "Invalid model name passed in model=x", code: "m1"},
		"Cloudflare's list":        {body: `{"success":false,"errors":[{"code":7009,"message":"No such model @cf/x or task"}],"messages":[],"result":null}`, message: "No such model @cf/x or task", code: "7009"},
		"a list of texts":          {body: `{"errors":["first","second"]}`, message: "first, second"},
		"a map of fields":          {body: `{"title":"One or more validation errors occurred.","status":400,"errors":{"x":{"message":"n must be 1"}}}`, message: "One or more validation errors occurred.", code: "400"},
		"OpenRouter's raw text":    {body: `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"'temperature' is not supported\"}}","provider_name":"Crucible"}},"user_id":"u"}`, message: "Provider returned error (Crucible): 'temperature' is not supported", code: "400", codes: []string{"invalid_request_error"}},
		"OpenRouter's raw object":  {body: `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":{"error":{"message":"too long","code":"context_length_exceeded"}},"provider_name":"X"}}}`, message: "Provider returned error (X): too long", code: "context_length_exceeded"},
		"OpenRouter's raw words":   {body: `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream"}}}`, message: "Provider returned error: x is temporarily rate-limited upstream", code: "429"},
		"JSON in a message":        {body: `{"error":{"message":"{\n \"error\": {\"code\": 400, \"message\": \"API key not valid.\", \"status\": \"INVALID_ARGUMENT\"}}\n","code":400,"status":"Bad Request"}}`, message: "API key not valid.", code: "400", codes: []string{"INVALID_ARGUMENT"}},
		"JSON behind a prefix":     {body: `{"error":{"message":"litellm.BadRequestError: OpenAIException - {\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}","code":"400"}}`, message: "litellm.BadRequestError: OpenAIException: too long", code: "context_length_exceeded"},
		"a message that is object": {body: `{"message":{"error":{"message":"inside","code":"c"}}}`, message: "inside", code: "c"},
		"a list of messages":       {body: `{"error":{"message":["one","two"]}}`, message: "one, two"},
		"Apigee":                   {status: 500, body: `{"fault":{"faultstring":"Rate limit quota violation.","detail":{"errorcode":"policies.ratelimit.QuotaViolation"}}}`, message: "Rate limit quota violation.", code: "policies.ratelimit.QuotaViolation"},
		"OAuth":                    {status: 401, body: `{"error":"invalid_token","error_description":"The access token expired"}`, message: "The access token expired: invalid_token", codes: []string{"invalid_token"}},
		"RFC 9457":                 {status: 404, body: `{"type":"about:blank","title":"Not Found","status":404,"detail":"No route"}`, message: "Not Found: No route", code: "404"},
		"AWS":                      {body: `{"__type":"ValidationException","Message":"Input is too long"}`, message: "Input is too long", codes: []string{"ValidationException"}},
		"Capital letters":          {body: `{"Error":{"Code":"X1","Message":"bad"}}`, message: "bad", code: "X1"},
		"Azure's inner error":      {body: `{"error":{"message":"filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, message: "filtered", code: "content_filter", codes: []string{"ResponsibleAIPolicyViolation"}},
		"msg and errcode":          {body: `{"errcode":40001,"errmsg":"no"}`, message: "no", code: "40001"},
		"xAI":                      {status: 403, body: `{"code":"The caller does not have permission","error":"Content violates usage guidelines."}`, message: "Content violates usage guidelines.", code: "The caller does not have permission"},
		"Zod":                      {body: `{"error":{"issues":[],"name":"ZodError"},"message":"bad input","path":["body","seed"]}`, message: "bad input", param: "body.seed"},
		"BOM":                      {body: "\ufeff" + `{"error":"x y"}`, message: "x y"},

		"text":                     {status: 422, body: "Failed to deserialize the JSON body: `json_schema` is unavailable", message: "Failed to deserialize the JSON body: `json_schema` is unavailable"},
		"a long text":              {status: 400, body: strings.Repeat("word ", 1000), message: strings.Repeat("word ", 60)},
		"JSON of an unknown shape": {body: `{"problem":{"what":"odd"}}`, message: `{"problem":{"what":"odd"}}`},
		"a title":                  {status: 502, body: "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>", message: "502 Bad Gateway"},
		"a title and a heading":    {status: 403, body: "<!doctype html><title>Attention Required! | Cloudflare</title><h1>Sorry, you have been &lt;blocked&gt;</h1>", message: "Attention Required! | Cloudflare: Sorry, you have been <blocked>"},
		"a page without either":    {status: 503, body: "<html><style>a{}</style><body><p>Down for maintenance</p></body></html>", message: "Down for maintenance"},
		"XML":                      {status: 403, body: `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`, message: "Access Denied", code: "AccessDenied"},
		"an event":                 {status: 200, body: ": ping\n\nevent: error\ndata: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n", message: "overloaded", code: "529"},
		"an event among others":    {status: 200, body: "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":\"lost\"}\n\ndata: [DONE]\n\n", message: "lost"},

		"200 with an error":         {status: 200, body: `{"error":{"message":"late","code":502}}`, message: "late", code: "502"},
		"200 with the text of one":  {status: 200, body: `{"error":"Unexpected endpoint or method. (POST /x)"}`, message: "Unexpected endpoint or method. (POST /x)"},
		"200 with words":            {status: 200, body: `upstream request timeout`, message: "upstream request timeout"},
		"200 MiniMax":               {status: 200, body: `{"choices":null,"base_resp":{"status_code":1004,"status_msg":"login fail"}}`, message: "login fail", code: "1004"},
		"200 MiniMax without error": {status: 200, body: `{"choices":[],"base_resp":{"status_code":0,"status_msg":"success"}}`, none: true},
		"200 without choices":       {status: 200, body: `{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":3}}`, none: true},
		"200 with a null error":     {status: 200, body: `{"error":null,"choices":[{"message":{"content":"x"}}]}`, none: true},
		"200 with code and message": {status: 200, body: `{"code":1001,"msg":"no such user","success":false}`, message: "no such user", code: "1001"},
		"200 with a text":           {status: 200, body: `The harbour was rebuilt.`, none: true},
		"nothing":                   {body: ``, none: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := tt.status
			if status == 0 {
				status = 400
			}
			e := Parse(status, []byte(tt.body))
			if strings.TrimSpace(e.Message) != strings.TrimSpace(tt.message) || e.Code != tt.code || e.Param != tt.param {
				t.Errorf("got %+v", e)
			}
			if tt.none && e.Found {
				t.Errorf("found %+v", e)
			}
			for _, code := range tt.codes {
				if !e.Is(code) {
					t.Errorf("no code %s: %+v", code, e)
				}
			}
		})
	}
}

func TestGoogleDetails(t *testing.T) {
	t.Parallel()
	e := Parse(429, []byte(`[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[
		{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]},
		{"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"Learn more","url":"https://x"}]},
		{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.5s"}]}}]`))
	if len(e.Quotas) != 1 || e.Quotas[0] != (Violation{"GenerateRequestsPerDayPerProjectPerModel-FreeTier", "20"}) || e.Header.Get("Retry-After") != "2.5" || e.Message != "Quota exceeded" {
		t.Errorf("got %+v", e)
	}
}

func TestQuotedHeaders(t *testing.T) {
	t.Parallel()
	e := Parse(429, []byte(`{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1741305600000"}}}}`))
	if e.Header.Get("X-RateLimit-Reset") != "1741305600000" {
		t.Errorf("got %+v", e)
	}
}
