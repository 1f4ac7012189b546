package worker

import (
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestDecideRefusal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		times int64
		now   bool
		r     ledger.Refusals
		want  refusal
	}{
		"the first of many":                          {1, true, ledger.Refusals{Others: true, Ever: true}, askLater},
		"no answer since":                            {1, false, ledger.Refusals{Others: true, Ever: true}, askLater},
		"others were answered":                       {1, false, ledger.Refusals{Others: true, Ever: true, Answered: true}, secondTry},
		"again, and answers before that":             {2, true, ledger.Refusals{Others: true, Ever: true, Answered: true}, askLater},
		"again, and answers after that":              {2, false, ledger.Refusals{Others: true, Ever: true, Answered: true}, itsFault},
		"the last one":                               {1, true, ledger.Refusals{Ever: true}, askLater},
		"the last one, second try":                   {1, false, ledger.Refusals{Ever: true}, secondTry},
		"the last one, again":                        {2, true, ledger.Refusals{Ever: true}, itsFault},
		"the only one":                               {1, true, ledger.Refusals{}, askLater},
		"the only one, again":                        {2, true, ledger.Refusals{}, theirs},
		"the last two":                               {1, true, ledger.Refusals{Ever: true, Suspects: 1}, theirs},
		"all of two":                                 {1, true, ledger.Refusals{Suspects: 1}, theirs},
		"nine in a row":                              {1, true, ledger.Refusals{Others: true, Ever: true, Suspects: 8}, askLater},
		"ten in a row":                               {1, true, ledger.Refusals{Others: true, Ever: true, Suspects: 9}, theirs},
		"three, and nothing was ever answered":       {1, true, ledger.Refusals{Others: true, Suspects: 2}, theirs},
		"ten in a row, but an answer after this one": {2, false, ledger.Refusals{Others: true, Ever: true, Answered: true, Suspects: 12}, itsFault},
	} {
		if got := decideRefusal(tt.times, tt.now, tt.r); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
