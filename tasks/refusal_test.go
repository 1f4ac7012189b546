package tasks

import (
	"fmt"
	"testing"
)

// answer is an error as Redis words it.
type answer string

func (a answer) Error() string { return string(a) }

func TestRefuses(t *testing.T) {
	t.Parallel()
	_, replica := judge("role:slave\r\n")
	_, old := judge("redis_version:5\r\n")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{answer("OOM command not allowed when used memory > 'maxmemory'. script: 1a2b, on @user_script:9."), true},
		{answer("ERR Error running script (call to f_1a2b): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'."), true},
		{fmt.Errorf("mark the queue: %w", answer("READONLY You can't write against a read only replica.")), true},
		{answer("NOREPLICAS Not enough good replicas to write."), true},
		{answer("LOADING Redis is loading the dataset in memory"), true},
		{fmt.Errorf("check: %w", replica), true},
		{old, false},
		{answer("WRONGPASS invalid username-password pair or user is disabled."), false},
		{answer("NOPERM this user has no permissions to run the 'evalsha' command"), false},
		{nil, false},
	} {
		if got := Refuses(c.err); got != c.want {
			t.Errorf("%v: refuses is %v", c.err, got)
		}
	}
}
