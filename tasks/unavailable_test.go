package tasks

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	_, replica := assess("role:slave\r\n")
	_, old := assess("redis_version:5\r\n")
	for _, c := range []struct {
		says string // Redis
		want bool
	}{
		{"OOM command not allowed when used memory > 'maxmemory'. script: 1a2b, on @user_script:9.", true},
		{"ERR Error running script (call to f_1a2b): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'.", true},
		{"READONLY You can't write against a read only replica.", true},
		{"NOREPLICAS Not enough good replicas to write.", true},
		{"LOADING Redis is loading the dataset in memory", true},
		{"WRONGPASS invalid username-password pair or user is disabled.", false},
		{"NOPERM this user has no permissions to run the 'evalsha' command", false},
	} {
		if got := IsUnavailable(fmt.Errorf("set the owner: %w", errors.New(c.says))); got != c.want {
			t.Errorf("%s: unavailable is %v", c.says, got)
		}
	}
	if !IsUnavailable(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}) || IsUnavailable(&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}) {
		t.Error("a refused connection is unavailable, a refused certificate is not")
	}
	if !IsUnavailable(fmt.Errorf("check: %w", replica)) || IsUnavailable(old) || IsUnavailable(nil) {
		t.Error("a replica is unavailable for now; an old version and no error are not")
	}
}
