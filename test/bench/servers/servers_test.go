package servers_test

import (
	"testing"

	"github.com/gistmill/gistmill/test/bench/servers"
)

// The benchmarks cover the use of real servers.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"", "redis://127.0.0.1:1/0"}, {"postgres://127.0.0.1:1/x", ""}, {"postgres://127.0.0.1:1/x", "http://x"}, {"://", "redis://127.0.0.1:1/0"},
		{"postgres://127.0.0.1:1/x?connect_timeout=1", "redis://127.0.0.1:1/0"},
	} {
		if place, err := servers.Open(t.Context(), c[0], c[1]); err == nil {
			t.Errorf("%q is a place: %+v", c, place)
		}
	}
}
