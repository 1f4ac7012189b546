package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// This file owns the rule that no part of a password in a URL is printed or looked up. Addresses in
// which the end of the password is ambiguous are refused ([checkEncoding]) before anything connects
// to them, and what is printed of the others is redacted ([RedactURL]).

// encoded is the problem of an address whose password may end elsewhere than a parser thinks.
const encoded = "the password contains characters that must be percent-encoded: " +
	"@ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25, & as %26, a space as %20"

// userInfo matches the user or the password of a URL (RFC 3986, 3.2.1, without the colon).
var userInfo = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*$`)

// paramValue matches a password among the parameters of a URL (RFC 3986, 3.4).
var paramValue = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$'()*+,/:?=-]|%[0-9A-Fa-f]{2})*$`)

// checkEncoding checks what follows the "://" of an address. known are the parameters that may be
// next to a password: an unescaped & in it would make a parameter of its rest, which servers quote
// in errors.
func checkEncoding(rest string, known []string) string {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.ContainsAny(tail, "@#") {
		return encoded
	}
	if user, host, ok := strings.Cut(authority, "@"); ok {
		name, password, _ := strings.Cut(user, ":")
		if strings.Contains(host, "@") || !userInfo.MatchString(name) || !userInfo.MatchString(password) {
			return encoded
		}
	}
	if strings.ContainsAny(authority, " \t\r\n\\") {
		return encoded
	}
	_, query, _ := strings.Cut(tail, "?")
	pairs := strings.Split(query, "&")
	if !slices.ContainsFunc(pairs, func(pair string) bool { return isSecretParam(keyOf(pair)) }) {
		return ""
	}
	for _, pair := range pairs {
		key, value, has := strings.Cut(pair, "=")
		if !has || !isSecretParam(key) && !slices.Contains(known, key) || isSecretParam(key) && !paramValue.MatchString(value) {
			return encoded
		}
	}
	return ""
}

// postgresParams returns the parameters of a PostgreSQL URL: those of libpq and pgx, and settings
// of the server that people set there.
func postgresParams() []string {
	return []string{
		"host", "hostaddr", "port", "user", "dbname", "database", "passfile", "service", "servicefile",
		"sslmode", "sslkey", "sslcert", "sslrootcert", "sslsni", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
		"min_protocol_version", "max_protocol_version", "channel_binding", "require_auth", "gssencmode", "krbsrvname", "krbspn",
		"connect_timeout", "target_session_attrs", "application_name", "fallback_application_name", "client_encoding", "options", "search_path",
		"role", "timezone", "TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "tcp_user_timeout",
		"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity",
	}
}

func keyOf(pair string) string {
	key, _, _ := strings.Cut(pair, "=")
	return key
}

// isSecretParam reports whether a parameter of a URL is a password, a key or a token by its name.
func isSecretParam(key string) bool {
	key = strings.ToLower(key)
	if slices.Contains([]string{"passfile", "sslkey", "require_auth"}, key) { // paths, and methods
		return false
	}
	return slices.ContainsFunc([]string{"pass", "pwd", "key", "token", "secret", "sig", "cred", "auth"},
		func(word string) bool { return strings.Contains(key, word) })
}

// RedactURL replaces the secrets of a URL with "xxxxx": the password before the host, and
// parameters whose names say that they hold a secret. The user of an http or https URL is often a
// token, and a user alone in a Redis URL is often a password: they are replaced too, as are all
// parameters of an http or https URL but api-version. Text that is not a URL is returned
// unchanged. Addresses may have several hosts (h1:6379,h2:6379).
//
// Everything between the first colon and the last @ counts as the password, because it may contain
// characters that the user forgot to escape. In a malformed URL that hides too much rather than too
// little.
func RedactURL(raw string) string {
	const redacted = "xxxxx"
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	web := scheme == "http" || scheme == "https"
	if main, query, ok := strings.Cut(rest, "?"); ok {
		params := strings.Split(query, "&")
		for i, p := range params {
			key, value, _ := strings.Cut(p, "=")
			if isSecretParam(key) || web && key != "api-version" && value != "" {
				params[i] = key + "=" + redacted
			}
		}
		rest = main + "?" + strings.Join(params, "&")
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		switch user, _, has := strings.Cut(rest[:at], ":"); {
		case web, !has && !strings.HasPrefix(scheme, "postgres"):
			rest = redacted + rest[at:]
		case has:
			rest = user + ":" + redacted + rest[at:]
		}
	}
	return scheme + "://" + rest
}

// hasPassword reports whether a URL contains a password.
func hasPassword(raw string) bool { return RedactURL(raw) != raw }

// checkHTTP accepts an http:// or https:// URL. The error of the parser is not used: it repeats the
// URL with its password.
func checkHTTP(raw string) string {
	const example = "is not an http:// or https:// URL; example: http://localhost:11434/v1"
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return example
	}
	if why := checkEncoding(rest, nil); why != "" {
		return why
	}
	if u, err := url.Parse(raw); err != nil || u.Hostname() == "" {
		return example
	}
	return ""
}

// checkForeign checks variables of other tools that hold the address of a server and may contain a
// password: proxies, and OpenTelemetry's endpoints. The libraries that read them quote malformed
// ones in errors.
func checkForeign(env map[string]string) []string {
	var problems []string
	for _, name := range []string{
		"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
	} {
		raw := strings.TrimSpace(env[name])
		if raw == "" {
			continue
		}
		_, rest, ok := strings.Cut(raw, "://")
		if !ok {
			rest = raw // net/http accepts a proxy without a scheme
		}
		why := checkEncoding(rest, nil)
		if why == "" {
			why = checkHosts(rest)
		}
		if why != "" {
			problems = append(problems, sentence(name, why))
		}
	}
	return problems
}
