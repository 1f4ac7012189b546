package fakellm

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Config is everything that can be set: as a flag of the command (max_in_flight is
// -max-in-flight), and at run time by POST /_fake/config with any of the fields. The zero
// value, with Defaults, is an endpoint without limits or faults.
type Config struct {
	Seed int64 `json:"seed" help:"seed of latencies and faults; the same seed and order of calls give the same run"`

	Keys   []string `json:"keys" help:"accepted API keys, as a JSON list; empty accepts everything"`
	Models []string `json:"models" help:"known models, as a JSON list; empty knows every model"`

	Latency Latency `json:"latency" help:"300ms, uniform:100ms-500ms or lognormal:300ms,0.5 (median, sigma)"`

	Words         int     `json:"words" help:"length of an answer"`
	BytesPerToken float64 `json:"bytes_per_token" help:"how tokens are counted"`

	ContextTokens int    `json:"context_tokens" help:"window, prompt and output cap together; 0 is unlimited"`
	ContextStyle  string `json:"context_style" help:"how a prompt beyond the window is treated: openai, vllm, llamacpp (their errors) or ollama (cut silently)"`
	NoSchema      bool   `json:"no_schema" help:"refuse response_format json_schema"`

	RPM         float64  `json:"rpm" help:"requests a minute; 0 is unlimited"`
	TPM         float64  `json:"tpm" help:"tokens a minute; 0 is unlimited"`
	LimitMode   string   `json:"limit_mode" help:"bucket (refilled continuously) or window (refilled at once)"`
	LimitPeriod Duration `json:"limit_period" help:"length of a window, and what a bucket holds: 60s is a whole minute's worth"`
	// Azure checks requests over 1 s and over 10 s, and tokens over a minute.
	RequestWindows []Duration `json:"request_windows" help:"requests have to fit each of these windows instead, as a JSON list ([\"1s\",\"10s\"] is Azure)"`
	LimitStart     string     `json:"limit_start" help:"how a limit begins: full, or empty (a window is then used up)"`
	ChargeMode     string     `json:"charge_mode" help:"tokens charged at admission: sum (prompt + output cap) or max (the larger)"`
	ChargeRefused  bool       `json:"charge_refused" help:"calls answered 429 count against the limits too"`
	MaxInFlight    int        `json:"max_in_flight" help:"calls at once beyond which the answer is 429; 0 is unlimited"`
	LimitHeaders   string     `json:"limit_headers" help:"x-ratelimit headers: openai (durations), azure (seconds) or none"`
	RetryAfter     string     `json:"retry_after" help:"on 429: seconds, ms, date or none"`

	Rate429      float64  `json:"rate_429" help:"share of calls answered 429 whatever the limits"`
	Wait429      Duration `json:"wait_429" help:"Retry-After of those"`
	Rate500      float64  `json:"rate_500" help:"share answered 500"`
	Rate502HTML  float64  `json:"rate_502_html" help:"share answered 502 with an HTML page"`
	RateError200 float64  `json:"rate_error_200" help:"share answered 200 with an error body"`
	RateNoChoice float64  `json:"rate_no_choice" help:"share answered 200 without choices"`
	RateTruncate float64  `json:"rate_truncate" help:"share whose body breaks off"`
	RateReset    float64  `json:"rate_reset" help:"share whose connection is reset"`
	RateHang     float64  `json:"rate_hang" help:"share that is never answered"`
	RateSlow     float64  `json:"rate_slow" help:"share that takes slow_latency longer"`
	SlowLatency  Duration `json:"slow_latency" help:"see rate_slow"`
	RateBadJSON  float64  `json:"rate_bad_json" help:"share of structured answers that do not fit the schema"`
	Error200     string   `json:"error_200" help:"code of the error in rate_error_200"`
	NoCredit     bool     `json:"no_credit" help:"answer everything 429 insufficient_quota"`
	Down         bool     `json:"down" help:"answer everything 503"`

	NoFlex       bool    `json:"no_flex" help:"refuse service_tier flex, as OpenAI does for models that do not have it"`
	FlexRefused  float64 `json:"flex_refused" help:"share of calls with service_tier flex that are refused for want of capacity"`
	FlexStandard float64 `json:"flex_standard" help:"share of them that are answered at the standard tier"`

	RefuseMarker string `json:"refuse_marker" help:"a prompt with it is refused by the model"`
	FilterMarker string `json:"filter_marker" help:"a prompt with it is refused by the content filter"`
	FailMarker   string `json:"fail_marker" help:"a prompt with it is answered 500, always"`

	Record bool `json:"record" help:"list each call and know prompts again; off for throughput (totals are counted anyway)"`
}

// Defaults returns an endpoint that answers at once and records its calls.
func Defaults() Config {
	return Config{
		Words:         60,
		BytesPerToken: 4,
		ContextStyle:  "openai",
		LimitMode:     "bucket",
		LimitPeriod:   Duration(time.Minute),
		LimitStart:    "full",
		ChargeMode:    "sum",
		LimitHeaders:  "openai",
		RetryAfter:    "seconds",
		Wait429:       Duration(time.Second),
		SlowLatency:   Duration(10 * time.Second),
		Error200:      "server_error",
		RefuseMarker:  "FAKELLM-REFUSE",
		FilterMarker:  "FAKELLM-FILTER",
		FailMarker:    "FAKELLM-FAIL",
		Record:        true,
	}
}

// Validate reports every invalid setting.
func (c Config) Validate() error {
	var errs []error
	oneOf := func(name, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		errs = append(errs, fmt.Errorf("%s is %q, not one of %v", name, value, allowed))
	}
	oneOf("context_style", c.ContextStyle, "openai", "vllm", "llamacpp", "ollama")
	oneOf("limit_mode", c.LimitMode, "bucket", "window")
	oneOf("charge_mode", c.ChargeMode, "sum", "max")
	oneOf("limit_headers", c.LimitHeaders, "openai", "azure", "none")
	oneOf("retry_after", c.RetryAfter, "seconds", "ms", "date", "none")
	oneOf("limit_start", c.LimitStart, "full", "empty")
	for _, period := range append([]Duration{c.LimitPeriod}, c.RequestWindows...) {
		switch {
		case period <= 0:
			errs = append(errs, fmt.Errorf("a limit_period or request_windows of %s is not positive", period))
		case c.RPM > 0 && c.RPM*time.Duration(period).Minutes() < 1-slack && (period != c.LimitPeriod || len(c.RequestWindows) == 0):
			errs = append(errs, fmt.Errorf("at %g requests a minute %s never hold one", c.RPM, period))
		}
	}
	if c.BytesPerToken <= 0 {
		errs = append(errs, errors.New("bytes_per_token is not positive"))
	}
	sum := 0.0
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("json")
		if f, ok := v.Field(i).Interface().(float64); ok && len(name) > 5 && name[:5] == "rate_" {
			if f < 0 || f > 1 {
				errs = append(errs, fmt.Errorf("%s is %g, not a share of 1", name, f))
			}
			if name != "rate_slow" && name != "rate_bad_json" {
				sum += f
			}
		}
	}
	if sum > 1+1e-9 {
		errs = append(errs, fmt.Errorf("the shares of faults add up to %g, more than 1", sum))
	}
	if c.FlexRefused < 0 || c.FlexStandard < 0 || c.FlexRefused+c.FlexStandard > 1 {
		errs = append(errs, fmt.Errorf("flex_refused %g and flex_standard %g are not shares of 1", c.FlexRefused, c.FlexStandard))
	}
	return errors.Join(errs...)
}

// Duration is a time.Duration written as text ("300ms") in JSON.
type Duration time.Duration

// String formats like time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText formats like time.Duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts what time.ParseDuration accepts.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// merge returns c with the fields of a JSON object applied to it.
func (c Config) merge(patch []byte) (Config, error) {
	// A slice or string is replaced as a whole: json.Unmarshal would write into the backing array
	// that readers of the old settings hold.
	c.Keys = append([]string(nil), c.Keys...)
	c.Models = append([]string(nil), c.Models...)
	c.RequestWindows = append([]Duration(nil), c.RequestWindows...)
	if err := json.Unmarshal(patch, &c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}
