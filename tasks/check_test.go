package tasks

import (
	"errors"
	"strings"
	"testing"
)

func TestAssessRedis(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, info  string
		unfit, warn string // a part of the only one; empty: none
	}{
		{"as it should be", "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n", "", ""},
		{"the oldest that will do", "redis_version:6.2.0\r\n", "", ""},
		{"too old", "redis_version:6.0.16\r\n", "version 6.0.16: use 6.2 or newer", ""},
		{"much too old", "redis_version:5\r\n", "use 6.2", ""},
		{"newer by two digits", "redis_version:10.0.1\r\n", "", ""},
		{"another's version", "redis_version:unstable\r\n", "", ""},
		{"a replica", "role:slave\r\n", "is a replica", ""},
		{"evicting", "maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n", "allkeys-lru and would throw tasks away", ""},
		{"evicting once it is limited", "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", "", "once maxmemory is set"},
		{"evicting what expires", "maxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n", "", "set it to noeviction"},
		{"nothing kept", "aof_enabled:0\r\n", "", "append-only file"},
		{"nothing told", "", "", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			warnings, err := assess(tc.info)
			var unfit *UnfitRedisError
			switch {
			case tc.unfit == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.unfit != "" && (!errors.As(err, &unfit) || !strings.Contains(unfit.Why, tc.unfit)):
				t.Errorf("got %v, want %q", err, tc.unfit)
			}
			said := strings.Join(warnings, "\n")
			if tc.warn == "" && said != "" || !strings.Contains(said, tc.warn) {
				t.Errorf("warned %q, want %q", said, tc.warn)
			}
		})
	}
}
