// Package certificates makes TLS settings of PEM files that are renewed while a program runs: those
// for Redis and those for the endpoint.
//
// It owns reading and checking the files. It refuses to own connections: its users ask again for
// each new one, or when [Files.Stamp] changes.
package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Files are the PEM files of a client. CA holds the authorities that the server's certificate is
// checked against (empty: the system's), Cert and Key a client certificate for a server that asks
// for one (empty: none).
type Files struct {
	// For begins the names of the settings, for errors: redis of redis-ca.
	For           string
	CA, Cert, Key string
}

// Any reports whether a file is named.
func (f Files) Any() bool { return f.CA != "" || f.Cert != "" || f.Key != "" }

// Config reads the files. A connection verifies the given name of the server; with an empty one,
// the name that it dials. The error names the setting of the file that is of no use.
func (f Files) Config(name string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if f.CA != "" {
		authorities, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read %s-ca: %w", f.For, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("read %s-ca: %s has no certificate in PEM", f.For, f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("read %s-cert and %s-key: %w", f.For, f.For, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Stamp changes when a file is replaced or rewritten. It is cheap: it reads no content. A file that
// is missing for a moment changes it too.
func (f Files) Stamp() string {
	stamp := ""
	for _, path := range []string{f.CA, f.Cert, f.Key} {
		stamp += Stamp(path) + ";"
	}
	return stamp
}

// Stamp is a mark of the state of one file, which changes with its content: size, and time of the
// last change. It follows links, such as those of a Secret's volume in Kubernetes.
func Stamp(path string) string {
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return "missing"
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}
