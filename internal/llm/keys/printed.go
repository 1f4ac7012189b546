package keys

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// printed is a key that a command has printed.
type printed struct {
	text string
	ends time.Time // zero: unknown
}

func (p printed) endsBefore(t time.Time) bool { return !p.ends.IsZero() && p.ends.Before(t) }

// parsePrinted reads a key and when it expires. Commands print the key alone, or JSON:
//   - Kubernetes' ExecCredential (client.authentication.k8s.io/v1): status.token and
//     status.expirationTimestamp
//   - az account get-access-token: accessToken, expires_on (Unix seconds), expiresOn (local time)
//   - OAuth 2.0 (RFC 6749, 5.1): access_token, expires_in (seconds)
//   - AWS' and others' helpers: Expiration, expires_at, expiry (RFC 3339)
//
// A key that is a JSON Web Token (RFC 7519) names its end in the claim exp.
func parsePrinted(out string, now time.Time) printed {
	if !strings.HasPrefix(out, "{") {
		return printed{out, tokenEnd(out)}
	}
	var all map[string]any
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.UseNumber()
	if decoder.Decode(&all) != nil {
		return printed{text: out} // refused as a key
	}
	if status, ok := all["status"].(map[string]any); ok {
		all = status
	}
	var p printed
	for _, name := range []string{"token", "access_token", "accessToken", "key", "api_key", "apiKey"} {
		if text, ok := all[name].(string); ok && p.text == "" {
			p.text = strings.TrimSpace(text)
		}
	}
	for _, name := range []string{"expirationTimestamp", "expires_on", "Expiration", "expiration", "expires_at", "expiry", "expires_in"} {
		if value, ok := all[name]; ok && p.ends.IsZero() {
			p.ends = parseEnd(name, value, now)
		}
	}
	if p.ends.IsZero() {
		p.ends = tokenEnd(p.text)
	}
	return p
}

// parseEnd reads a time in RFC 3339, Unix seconds or milliseconds, or seconds from now.
func parseEnd(name string, value any, now time.Time) time.Time {
	var text string
	switch v := value.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || n <= 0:
		return time.Time{}
	case name == "expires_in" && n < 1e9:
		return now.Add(time.Duration(n * float64(time.Second)))
	case n > 1e11: // milliseconds: as seconds it would be after the year 5000
		return time.UnixMilli(int64(n))
	}
	return time.Unix(int64(n), 0)
}

// tokenEnd returns the end of a JSON Web Token. It checks no signature: the endpoint does.
func tokenEnd(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		End float64 `json:"exp"`
	}
	if json.Unmarshal(body, &claims) != nil || claims.End <= 0 || claims.End > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.End), 0)
}
