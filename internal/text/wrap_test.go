package text

import (
	"slices"
	"testing"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	if got, want := Wrap("finishing 8 calls, up to 1m50s", 12), []string{"finishing 8", "calls, up to", "1m50s"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
