package tasks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Dial makes a client for a redis://, rediss://, redis-sentinel://…?master=NAME or redis-cluster:// address (the last two
// also with rediss, and with several hosts), and does not connect yet. asynq's own parser loses the user name.
func Dial(address string) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the Redis address is not a URL; for example redis://localhost:6379/0")
	}
	o := &redis.UniversalOptions{
		Addrs:           strings.Split(u.Host, ","),
		DialTimeout:     5 * time.Second,
		ReadTimeout:     5 * time.Second,
		WriteTimeout:    5 * time.Second,
		PoolTimeout:     10 * time.Second,
		MaxRetries:      2,
		DisableIdentity: true,
	}
	for i, a := range o.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			o.Addrs[i] = net.JoinHostPort(strings.Trim(a, "[]"), "6379")
		}
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil {
			// Not repeated: part of a badly escaped password can end up here.
			return nil, errors.New("what follows the host of the Redis address is not the number of a database (a / in a password is written %2F)")
		}
	}
	kind := strings.TrimPrefix(u.Scheme, "rediss")
	if strings.HasPrefix(u.Scheme, "rediss") {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: tlsName(o.Addrs)}
	} else {
		kind = strings.TrimPrefix(u.Scheme, "redis")
	}
	q := u.Query()
	switch kind {
	case "":
	case "-sentinel":
		o.MasterName = q.Get("master")
		o.SentinelUsername, o.SentinelPassword = q.Get("sentinel_username"), q.Get("sentinel_password")
		if o.MasterName == "" {
			return nil, errors.New("a redis-sentinel address needs ?master=NAME")
		}
	case "-cluster":
		o.IsClusterMode = true
	default:
		return nil, fmt.Errorf("the Redis address has the unknown scheme %q", u.Scheme)
	}
	client := redis.NewUniversalClient(o)
	client.AddHook(&patience{})
	return client, nil
}

// tlsName is the host to verify; with several hosts each connection verifies its own.
func tlsName(addresses []string) string {
	if len(addresses) != 1 {
		return ""
	}
	host, _, _ := net.SplitHostPort(addresses[0])
	return host
}
