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
		err  error
		want bool
	}{
		{errors.New("OOM command not allowed when used memory > 'maxmemory'. script: 1a2b, on @user_script:9."), true},
		{errors.New("ERR Error running script (call to f_1a2b): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'."), true},
		{fmt.Errorf("mark the queue: %w", errors.New("READONLY You can't write against a read only replica.")), true},
		{errors.New("NOREPLICAS Not enough good replicas to write."), true},
		{errors.New("LOADING Redis is loading the dataset in memory"), true},
		{fmt.Errorf("check: %w", replica), true},
		{old, false},
		{errors.New("WRONGPASS invalid username-password pair or user is disabled."), false},
		{errors.New("NOPERM this user has no permissions to run the 'evalsha' command"), false},
		{nil, false},
	} {
		if got := Refuses(c.err); got != c.want {
			t.Errorf("%v: refuses is %v", c.err, got)
		}
	}
}
