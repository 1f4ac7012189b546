//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is the network between programs and a server. It can be slow or lose everything.
type link struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newLink(t *testing.T, server string) *link {
	t.Helper()
	l := &link{t: t, proxy: toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "link", "127.0.0.1:0", server)}
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Stop)
	return l
}

// redis returns the URL of a Redis behind the link.
func (l *link) redis() string { return "redis://" + l.proxy.Listen + "/0" }

// slow delays everything, each way.
func (l *link) slow(each time.Duration) {
	l.both("latency", map[string]any{"latency": each.Milliseconds()})
}

// cut drops all data silently: connections stay open, and new ones are accepted.
func (l *link) cut() { l.both("timeout", map[string]any{"timeout": 0}) }

// restore ends the failure. Connections that were cut are closed.
func (l *link) restore() { l.proxy.Toxics.ResetToxics(background()) }

func (l *link) both(kind string, attributes map[string]any) {
	l.t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		toxic, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
		if err != nil {
			l.t.Fatal(err)
		}
		if _, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(toxic)); err != nil {
			l.t.Fatalf("inject a network fault: %v", err)
		}
	}
}
