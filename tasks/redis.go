package tasks

import (
	"context"
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

// dialTimeout bounds the opening of a connection, including TLS.
const dialTimeout = 5 * time.Second

// TLS returns the TLS settings of a connection that verifies the given name of the server. With an
// empty name it verifies the one that it dials. It is called for each new connection, so renewed
// certificates take effect.
type TLS func(name string) (*tls.Config, error)

// Dial is [DialTLS] with the system's certificate authorities and no client certificate.
func Dial(address string) (redis.UniversalClient, error) {
	return DialTLS(address, func(name string) (*tls.Config, error) {
		return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}, nil
	})
}

// DialTLS returns a client for an address of the form redis://, rediss://,
// redis-sentinel://…?master=NAME or redis-cluster://. The last two may begin with rediss and
// have several hosts. It does not connect yet. secure applies to rediss only; its first error is
// returned. asynq's own parser ignores the user name, therefore it is not used.
func DialTLS(address string, secure TLS) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the Redis address is not a URL; for example redis://localhost:6379/0")
	}
	o := &redis.UniversalOptions{
		Addrs:           strings.Split(u.Host, ","),
		DialTimeout:     dialTimeout,
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
			// The error does not quote it: part of a badly escaped password can end up here.
			return nil, errors.New("what follows the host of the Redis address is not the number of a database (a / in a password is written %2F)")
		}
	}
	kind := strings.TrimPrefix(u.Scheme, "rediss")
	if strings.HasPrefix(u.Scheme, "rediss") {
		name := tlsName(o.Addrs)
		if o.TLSConfig, err = secure(name); err != nil {
			return nil, err
		}
		o.Dialer = secure.dialer(name)
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
	client.AddHook(&pauseHook{})
	return client, nil
}

// dialer returns a function that opens TLS connections.
func (t TLS) dialer(name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := t(name)
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: config}).DialContext(ctx, network, address)
	}
}

// tlsName returns the host name to verify. With several hosts it is empty, and each connection
// verifies its own.
func tlsName(addresses []string) string {
	if len(addresses) != 1 {
		return ""
	}
	host, _, _ := net.SplitHostPort(addresses[0])
	return host
}
