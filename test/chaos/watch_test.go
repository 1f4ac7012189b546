package main

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	claimed := row{state: "claimed", epoch: 3, worker: 1, attempts: 1}
	done := row{state: "done", epoch: 3, worker: 1, attempts: 2}
	for name, c := range map[string]struct {
		before, after row
		wrong         string
	}{
		"done":                     {claimed, done, ""},
		"claimed by another":       {claimed, row{state: "claimed", epoch: 4, worker: 2, attempts: 1}, ""},
		"handed back":              {claimed, row{state: "pending", epoch: 3, attempts: 1}, ""},
		"taken without an epoch":   {claimed, row{state: "claimed", epoch: 3, worker: 2, attempts: 1}, "without a new epoch"},
		"claimed without an epoch": {row{state: "pending", epoch: 3}, row{state: "claimed", epoch: 3, worker: 2}, "without a new epoch"},
		"an older epoch":           {claimed, row{state: "pending", epoch: 2, attempts: 1}, "epoch 2 after 3"},
		"done and pending":         {done, row{state: "pending", epoch: 3, attempts: 2}, "had ended"},
		"done again":               {done, row{state: "done", epoch: 4, worker: 2, attempts: 3}, "had ended"},
		"a crash taken back":       {row{state: "claimed", epoch: 3, worker: 1, crashes: 2}, row{state: "claimed", epoch: 3, worker: 1, crashes: 1}, ""},
		"a crash forgotten":        {row{state: "claimed", epoch: 3, worker: 1, crashes: 2}, row{state: "claimed", epoch: 4, worker: 1, crashes: 1}, "shrank"},
		"an attempt forgotten":     {claimed, row{state: "pending", epoch: 3}, "shrank"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := rowID{1, 2}
			wrong := compare(map[rowID]row{id: c.before}, map[rowID]row{id: c.after})
			if c.wrong == "" && len(wrong) > 0 || c.wrong != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], c.wrong)) {
				t.Errorf("%q", wrong)
			}
		})
	}
	if wrong := compare(map[rowID]row{{1, 2}: done}, nil); len(wrong) != 1 || !strings.Contains(wrong[0], "is gone") {
		t.Errorf("%q", wrong)
	}
}
