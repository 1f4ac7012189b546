package providererror

import (
	"net/http"
	"testing"
	"time"
)

// FuzzRateHeaders reads an endpoint's rate-limit headers and message: a wait is never negative
// and never longer than a month.
func FuzzRateHeaders(f *testing.F) {
	f.Add("12", "", "", "0", "6m0s", "Please try again in 1m12.5s.")
	f.Add("", "1e999", "Wed, 25 Nov 2026 10:00:00 GMT", "-1", "-5", "retry after 99999999999 hours")
	f.Add("Wed, 25 Nov 9999 10:00:00 GMT", "NaN", "Wed, 25 Nov 1026 10:00:00 GMT", "", "1h1h1h", "try again in .s")
	f.Fuzz(func(t *testing.T, after, afterMS, date, remaining, reset, message string) {
		h := http.Header{}
		for name, value := range map[string]string{
			"Retry-After": after, "retry-after-ms": afterMS, "Date": date, "x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": reset,
		} {
			h.Set(name, value)
		}
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		if wait := Wait(h, Error{Message: message}, now); wait < 0 || wait > MaxWait {
			t.Errorf("wait %s", wait)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(400, []byte(`{"error":{"message":["a",{"b":1}],"code":4.5,"innererror":{"code":null}}}`))
	f.Add(400, []byte(`[{"error":"x"}]`))
	f.Add(422, []byte(`{"detail":[{"loc":["a",1],"msg":"m"}]}`))
	f.Add(200, []byte("data: {\"error\":{\"message\":\"{\\\"error\\\":{}}\"}}\n\n"))
	f.Add(503, []byte(`<html><title>x</title><h1>y</h1>`))
	f.Add(404, []byte(`<Error><Code>NoSuchKey</Code><Message>no</Message></Error>`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		e := Parse(status, b)
		if status >= 200 && status < 300 && !e.Found && !e.HTML && (e.Message != "" || e.Code != "") {
			t.Errorf("not found, but %+v", e)
		}
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		if q, ok := e.LongQuota(now); ok && (q.Window < leastQuota || q.Name == "") {
			t.Errorf("%+v", q)
		}
		if wait := Wait(nil, e, now); wait < 0 || wait > MaxWait {
			t.Errorf("wait %s", wait)
		}
		_ = e.TooLong(status, 3000, 400)
		_ = e.Refused() || e.NoCredit() || e.RateLimited() || e.BadKey() || e.UnknownModel(status) || e.OtherAPI() || e.WrongPath() || e.Starting() || e.Cancelled()
	})
}
