package tasks

import (
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// FuzzDecode decodes payloads that anyone with access to Redis could write. An accepted payload is
// complete, and encodes to the same task again.
func FuzzDecode(f *testing.F) {
	f.Add(Partition{Run: "20261125-abc", RunID: 1, ID: 2, Generation: 3, Profile: "hash"}.Encode())
	f.Add([]byte(`{"v":2,"run":"r","run_num":1,"partition":1,"generation":1,"profile":"p"}`))
	f.Add([]byte(`{"v":1,"run":"r","run_num":9223372036854775807,"partition":1e2,"generation":1,"profile":"p","RUN":"x"}`))
	f.Add([]byte(`{"v":1,"run":"\ud800","run_num":1,"partition":1,"generation":1,"profile":"\u0000"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := Decode(payload)
		if err != nil {
			return
		}
		if p.Version != payloadVersion || p.Run == "" || p.RunID < 1 || p.ID < 1 || p.Generation < 1 || p.Profile == "" {
			t.Fatalf("%q was taken as %+v", payload, p)
		}
		again, err := Decode(p.Encode())
		if err != nil || again != p {
			t.Fatalf("%+v became %+v: %v", p, again, err)
		}
		if id := p.TaskID(); !strings.HasPrefix(id, p.Run+":") || id == (Partition{Run: p.Run, ID: p.ID, Generation: p.Generation + 1}).TaskID() {
			t.Fatalf("%+v has the id %q", p, id)
		}
	})
}

// FuzzDial expects a usable client, or an error that does not contain the password.
func FuzzDial(f *testing.F) {
	for _, address := range []string{
		"redis://localhost:6379/0", "rediss://user:PASSWORD@host", "redis-sentinel://:PASSWORD@a:1,b:2/3?master=m&sentinel_password=PASSWORD",
		"redis-cluster://[::1]:7000,[::2]", "redis://user:12/PASSWORD@host:6379/0", "redis://user:PASSWORD%zz@host", "redis://PASSWORD@/x", "http://PASSWORD", "redis://a:b:c",
	} {
		f.Add(address)
	}
	const password = "5ecretPa55"
	f.Fuzz(func(t *testing.T, address string) {
		client, err := Dial(strings.ReplaceAll(address, "PASSWORD", password))
		if err != nil {
			if strings.Contains(err.Error(), password) {
				t.Fatalf("%q: %v", address, err)
			}
			return
		}
		defer func() { _ = client.Close() }()
		single, ok := client.(*redis.Client)
		if !ok || strings.Contains(address, "sentinel") {
			return
		}
		o := single.Options()
		if _, _, err := net.SplitHostPort(o.Addr); err != nil {
			t.Fatalf("%q is dialled at %q", address, o.Addr)
		}
		if o.TLSConfig != nil != strings.HasPrefix(strings.ToLower(address), "rediss") {
			t.Fatalf("%q: TLS is %t", address, o.TLSConfig != nil)
		}
	})
}
