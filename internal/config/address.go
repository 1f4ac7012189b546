package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checkStore accepts sqlite:PATH and postgres://HOST…; the driver checks the rest. No text repeats
// the value, because any part of a malformed address may belong to a password.
func checkStore(raw string) string {
	const forms = "use sqlite:PATH or postgres://user@host/database"
	if path, ok := strings.CutPrefix(raw, "sqlite:"); ok {
		switch {
		case strings.Trim(path, "/") == "":
			return "has no path; example: sqlite:.gistmill/ledger.db"
		case strings.HasPrefix(path, "//"): // [sqlitePath] accepts three slashes
			return "has a host: write sqlite:PATH, or sqlite:///PATH for an absolute path"
		case strings.Contains(path, "://"):
			return "is not an address of a ledger: " + forms
		}
		return ""
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		if why := checkEncoding(rest, postgresParams()); why != "" {
			return why
		}
		// The host may be missing: ?host= names a folder of sockets.
		if why := checkHosts(rest); why != "" && !strings.Contains(rest, "host=") {
			return why + "; example: postgres://user@db.example:5432/gistmill"
		}
		return ""
	case ok:
		return unknownScheme(scheme) + ": " + forms
	case strings.Contains(raw, "host=") || strings.Contains(raw, "dbname="):
		return "is a list of keywords, which is not supported: " + forms
	default:
		return "is not an address of a ledger: " + forms
	}
}

// unknownScheme quotes only schemes that are not part of a password.
func unknownScheme(scheme string) string {
	if slices.Contains([]string{"http", "https", "mysql", "mariadb", "mongodb", "sqlite3", "file", "tcp", "unix", "s3"}, scheme) {
		return "has the unknown scheme " + quote(scheme)
	}
	return "has an unknown scheme"
}

// checkRedis accepts the addresses of a single Redis, of sentinels and of a cluster; the client
// checks the rest.
func checkRedis(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "has no scheme; example: redis://localhost:6379/0"
	}
	switch scheme {
	case "redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster":
	default:
		return unknownScheme(scheme) + ": use redis://, rediss://, redis-sentinel:// or redis-cluster://"
	}
	if why := checkEncoding(rest, []string{"master", "sentinel_username", "sentinel_password"}); why != "" {
		return why
	}
	if why := checkHosts(rest); why != "" {
		return why + "; example: " + scheme + "://localhost:6379"
	}
	return ""
}

// checkHosts checks the hosts of "user:password@h1:1,h2:2/path?query". The standard parser rejects
// several hosts with ports.
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
			// Another colon means a password without its @. It would be looked up as a
			// host and logged.
			if err != nil || n < 1 || n > 65535 || strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
				// The text does not repeat the port, which may be part of a badly
				// escaped password.
				return "has an invalid port: it must be from 1 to 65535 (escape @, / and : in a password as %40, %2F and %3A)"
			}
		}
		if host == "" {
			return "has an empty host"
		}
	}
	return ""
}

// checkListen accepts HOST:PORT and :PORT; port 0 means any free port.
func checkListen(raw string) string {
	_, port, err := net.SplitHostPort(raw)
	if err != nil {
		return quote(raw) + " is not HOST:PORT; example: 127.0.0.1:8080"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return quote(raw) + " has an invalid port: it must be from 0 to 65535; example: 127.0.0.1:8080"
	}
	return ""
}

// isLoopback reports whether only this machine can reach the address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true // checkListen reports it
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// IsLocalURL reports whether the host of a URL is this machine or in a private network by its
// address (RFC 1918, RFC 4193, link-local) or its name (one label, *.local, *.localhost). It looks
// nothing up.
func IsLocalURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost") {
		return true
	}
	// Some resolvers take a name that begins with a digit for an IPv4 address.
	return host != "" && !strings.Contains(host, ".") && host[0] >= 'a' && host[0] <= 'z'
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// checkQueue rejects white space and braces. The queue's name is part of keys, and Redis Cluster
// hashes a key by the text in braces.
func checkQueue(raw string) string {
	if queueName.MatchString(raw) {
		return ""
	}
	return quote(raw) + " is not a valid name: use letters, digits, dots, hyphens and underscores"
}

func checkOut(raw string) string {
	if strings.Contains(raw, "://") {
		return "is a URL, but run writes to a local folder: use a folder or -, and copy the summaries with gistmill export"
	}
	return ""
}
