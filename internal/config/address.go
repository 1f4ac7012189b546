package config

import (
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// RedactURL replaces the password of a URL by "xxxxx", wherever drivers take
// one: before the host and in the parameters. Text that is no URL comes back
// as it is. Addresses with several hosts (h1:6379,h2:6379) are understood.
//
// A password may hold any character that its author forgot to escape, so all
// between the first colon and the last @ is taken for it: of a malformed URL
// rather too much is hidden than too little.
func RedactURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	if main, query, ok := strings.Cut(rest, "?"); ok {
		params := strings.Split(query, "&")
		for i, p := range params {
			key, _, _ := strings.Cut(p, "=")
			if k := strings.ToLower(key); strings.Contains(k, "password") || strings.Contains(k, "passphrase") {
				params[i] = key + "=xxxxx"
			}
		}
		rest = main + "?" + strings.Join(params, "&")
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":xxxxx" + rest[at:]
		}
	}
	return scheme + "://" + rest
}

// hasPassword tells whether a URL carries one.
func hasPassword(raw string) bool { return RedactURL(raw) != raw }

// checkStore accepts sqlite:PATH and postgres://HOST…; the driver reads the rest.
func checkStore(raw string) string {
	if path, ok := strings.CutPrefix(raw, "sqlite:"); ok {
		if path == "" || strings.HasPrefix(path, "//") {
			return "has no path after sqlite: : give e.g. sqlite:.gistmill/ledger.db"
		}
		return ""
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		// A socket folder comes as ?host=, so the host itself may be missing.
		if why := checkHosts(rest); why != "" && !strings.Contains(rest, "host=") {
			return why + ": give e.g. postgres://user@db.example:5432/gistmill"
		}
		return ""
	case ok:
		return "has the scheme " + quote(scheme) + ", which is no ledger: give sqlite:PATH or postgres://user@host/database"
	default:
		return "is no ledger: give sqlite:PATH or postgres://user@host/database"
	}
}

// checkRedis accepts the addresses of a single Redis, of sentinels and of a
// cluster; the client reads the rest.
func checkRedis(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "has no scheme: give e.g. redis://localhost:6379/0"
	}
	switch scheme {
	case "redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster":
	default:
		return "has the scheme " + quote(scheme) + ", which is no Redis: give redis://, rediss://, redis-sentinel:// or redis-cluster://"
	}
	if why := checkHosts(rest); why != "" {
		return why + ": give e.g. " + scheme + "://localhost:6379"
	}
	return ""
}

// checkHosts looks at "user:password@h1:1,h2:2/path?query". The standard
// parser refuses several hosts with ports.
func checkHosts(rest string) string {
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	hosts, _, _ := strings.Cut(rest, "/")
	if hosts == "" {
		return "has no host"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		host := h
		if strings.HasSuffix(h, "]") { // an IPv6 address without a port
			host = strings.Trim(h, "[]")
		} else if i := strings.LastIndex(h, ":"); i >= 0 {
			host = h[:i]
			n, err := strconv.Atoi(h[i+1:])
			// A further colon is a password whose @ was forgotten, which would be looked up as a host, and logged.
			if err != nil || n < 1 || n > 65535 || strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
				// Not repeated: a badly escaped password can end up here.
				return "has a port that is no number from 1 to 65535 (escape @, / and : in a password as %40, %2F and %3A)"
			}
		}
		if host == "" {
			return "has an empty host"
		}
	}
	return ""
}

// checkListen accepts HOST:PORT and :PORT; port 0 takes a free one.
func checkListen(raw string) string {
	_, port, err := net.SplitHostPort(raw)
	if err != nil {
		return quote(raw) + " is not HOST:PORT: give e.g. 127.0.0.1:8080"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return quote(raw) + " has no port from 0 to 65535: give e.g. 127.0.0.1:8080"
	}
	return ""
}

// isLoopback tells whether only this machine reaches the address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true // checkListen has said it
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// checkQueue keeps the braces that Redis Cluster hashes by, and blanks, out of
// the key names.
func checkQueue(raw string) string {
	if queueName.MatchString(raw) {
		return ""
	}
	return quote(raw) + " is no queue name: use letters, digits, dot, hyphen and underscore"
}

func checkOut(raw string) string {
	if strings.Contains(raw, "://") {
		return "is a URL, and run writes to a local folder: give a folder or -, and take the summaries elsewhere with gistmill export"
	}
	return ""
}

// checkKeys is checkKey for each of several.
func checkKeys(raw string) string {
	for i, key := range strings.Split(raw, ",") {
		if why := checkKey(strings.TrimSpace(key)); why != "" {
			return "item " + strconv.Itoa(i+1) + " " + why
		}
	}
	return ""
}

// checkKey finds what can never travel in an HTTP header.
func checkKey(raw string) string {
	for _, r := range raw {
		if r <= ' ' || r > '~' {
			return "holds a blank, a line break or a character that no key has: copy the key again"
		}
	}
	return ""
}
