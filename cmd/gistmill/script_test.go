package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gistmill": main})
}

// TestScripts runs the real program. A script has $LLM, an endpoint of its own, and $QUEUE, a
// Redis of its own. "endpoint JSON" changes the endpoint's settings, "calls N" compares the number
// of calls that it had, and "calls" sets $CALLS to it. If GISTMILL_TEST_PROGRAM names another build
// of the program, the scripts run that one, to see which of them an older version fails.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// newest sets $RUN to the name of the newest run.
			"newest": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(ts.Exec("gistmill", "runs", "--limit", "1", "-o", "json"))
				var runs []struct{ Run string }
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &runs))
				ts.Setenv("RUN", runs[0].Run)
			},
			"endpoint": func(ts *testscript.TestScript, _ bool, args []string) {
				var err error
				ts.Check(endpointOf(ts).Set(func(c *fakellm.Config) { err = json.Unmarshal([]byte(args[0]), c) }))
				ts.Check(err)
			},
			"calls": func(ts *testscript.TestScript, _ bool, args []string) {
				calls := strconv.FormatInt(endpointOf(ts).Stats().Calls, 10)
				if len(args) == 0 {
					ts.Setenv("CALLS", calls)
				} else if calls != args[0] {
					ts.Fatalf("the endpoint had %s calls, want %s", calls, args[0])
				}
			},
		},
		Setup: func(env *testscript.Env) error {
			endpoint, err := fakellm.New(fakellm.Defaults())
			if err != nil {
				return err
			}
			env.Values[endpointKey{}] = endpoint
			model := httptest.NewServer(endpoint)
			env.Defer(model.Close)
			redis := miniredis.NewMiniRedis()
			if err := redis.Start(); err != nil {
				return err
			}
			env.Defer(redis.Close)
			env.Setenv("LLM", model.URL+"/v1")
			env.Setenv("QUEUE", "redis://"+redis.Addr())
			env.Setenv("HOME", env.WorkDir)
			if program := os.Getenv("GISTMILL_TEST_PROGRAM"); program != "" {
				env.Setenv("PATH", filepath.Dir(program)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			}
			// Without this, a program under the race detector exits a second later.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

type endpointKey struct{}

func endpointOf(ts *testscript.TestScript) *fakellm.Server {
	return ts.Value(endpointKey{}).(*fakellm.Server)
}
