package tasks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// Certificates are the PEM files for TLS to Redis: CA holds the authorities that Redis'
// certificate is checked against (empty: the system's), Cert and Key a client certificate for
// a Redis that asks for one. They mean the same as --cacert, --cert and --key of redis-cli.
// They are read for each new connection, so renewed files take effect.
type Certificates struct{ CA, Cert, Key string }

// config reads the files. With an empty name, a connection verifies the name of the server it
// dials.
func (c Certificates) config(name string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if c.CA != "" {
		authorities, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read redis-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("read redis-ca: %s has no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read redis-cert and redis-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// dialer returns a function that opens TLS connections.
func (c Certificates) dialer(name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := c.config(name)
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: config}).DialContext(ctx, network, address)
	}
}
