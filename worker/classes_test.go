package worker

import (
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// The ledger keeps the classes that other packages give to failures.
func TestClasses(t *testing.T) {
	t.Parallel()
	for class, theirs := range map[ledger.Class]string{
		ledger.ClassRefused:       string(llm.Refused),
		ledger.ClassBadRequest:    string(llm.BadRequest),
		ledger.ClassTransient:     string(llm.Transient),
		ledger.ClassOK:            llm.ClassOK,
		ledger.ClassOutputTooLong: summarize.OutputTooLong,
		ledger.ClassBadOutput:     summarize.BadOutput,
	} {
		if string(class) != theirs {
			t.Errorf("the ledger has %q, the package that decides it %q", class, theirs)
		}
	}
}
