package certificates

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
)

// Transport is an [http.RoundTripper] whose connections use the newest files. It is made again when
// a file has changed: requests in flight end on their connections, later ones open new connections.
// While the new files are of no use, the last transport stays. It is safe for concurrent use.
type Transport struct {
	files Files
	open  func(*tls.Config) *http.Transport
	log   *slog.Logger

	mu      sync.Mutex
	stamp   string
	current *http.Transport
}

// NewTransport returns a transport that open makes from TLS settings. The error says which file is
// of no use.
func NewTransport(files Files, log *slog.Logger, open func(*tls.Config) *http.Transport) (*Transport, error) {
	t := &Transport{files: files, open: open, log: log, stamp: files.Stamp()}
	config, err := files.Config("")
	if err != nil {
		return nil, err
	}
	t.current = open(config)
	return t, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.newest().RoundTrip(r)
}

// CloseIdleConnections closes idle connections. [http.Client] calls it.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}

// newest returns the transport with the newest files that are of use.
func (t *Transport) newest() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	stamp := t.files.Stamp()
	if stamp == t.stamp {
		return t.current
	}
	t.stamp = stamp // files of no use are not read again until they change
	config, err := t.files.Config("")
	if err != nil {
		t.log.Warn("the certificates stay, because a renewed file is of no use", slog.String("reason", err.Error()))
		return t.current
	}
	before := t.current
	t.current = t.open(config)
	before.CloseIdleConnections()
	return t.current
}
