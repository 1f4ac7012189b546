package main

import (
	"context"
	"fmt"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// network holds the proxies between processes and servers, one for each link of each slot.
type network struct {
	api *toxiproxy.ApiServer // required by proxies; it serves nothing
}

func newNetwork() *network {
	return &network{api: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// links are the proxies of one slot.
type links map[link]*toxiproxy.Proxy

// connect starts a slot's proxies to servers at HOST:PORT.
func (n *network) connect(name string, servers map[link]string) (links, error) {
	all := links{}
	for l, upstream := range servers {
		p := toxiproxy.NewProxy(n.api, name+"-"+string(l), "127.0.0.1:0", upstream)
		if err := p.Start(); err != nil {
			return nil, fmt.Errorf("start a proxy to %s: %w", l, err)
		}
		all[l] = p
	}
	return all, nil
}

func (l links) close() {
	for _, p := range l {
		p.Stop()
	}
}

// toxics returns the toxics of a cut in toxiproxy's JSON.
func (c cut) toxics() []string {
	const form = `{"name": "%[1]s", "type": "%[2]s", "stream": "%[1]s", "attributes": %[3]s}`
	up, down := "upstream", "downstream"
	switch c {
	case reset:
		return []string{fmt.Sprintf(form, up, "reset_peer", `{"timeout": 0}`)}
	case slow:
		return []string{fmt.Sprintf(form, up, "latency", `{"latency": 500, "jitter": 200}`), fmt.Sprintf(form, down, "latency", `{"latency": 500, "jitter": 200}`)}
	case blackhole:
		return []string{fmt.Sprintf(form, up, "timeout", `{"timeout": 0}`), fmt.Sprintf(form, down, "timeout", `{"timeout": 0}`)}
	case lostReplies:
		return []string{fmt.Sprintf(form, down, "timeout", `{"timeout": 0}`)}
	}
	return nil
}

// fail makes a link fail; restore ends the failure.
func (l links) fail(which link, c cut) error {
	p := l[which]
	if c == refuse {
		p.Stop()
		return nil
	}
	for _, toxic := range c.toxics() {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("cut off %s: %w", p.Name, err)
		}
	}
	return nil
}

func (l links) restore(ctx context.Context, which link, c cut) error {
	p := l[which]
	if c == refuse {
		return p.Start()
	}
	p.Toxics.ResetToxics(ctx)
	return nil
}
