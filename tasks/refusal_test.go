package tasks

import (
	"errors"
	"fmt"
	"testing"
)

func TestRefuses(t *testing.T) {
	t.Parallel()
	_, replica := judge("role:slave\r\n")
	_, old := judge("redis_version:5\r\n")
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
		if got := Refuses(fmt.Errorf("mark the queue: %w", errors.New(c.says))); got != c.want {
			t.Errorf("%s: refuses is %v", c.says, got)
		}
	}
	if !Refuses(fmt.Errorf("check: %w", replica)) || Refuses(old) || Refuses(nil) {
		t.Error("of a replica, an old version and no error the first is to be taken for a refusal")
	}
}
