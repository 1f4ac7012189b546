package rouge_test

import (
	"math"
	"testing"

	"github.com/gistmill/gistmill/test/quality/rouge"
)

// The first case is the example in section 3.1 of Lin 2004, with values worked by hand.
func TestOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		candidate, reference string
		want                 rouge.Score
	}{
		"lin":       {"police kill the gunman", "police killed the gunman", rouge.Score{One: 0.75, Two: 1. / 3, L: 0.75}},
		"order":     {"the gunman kill police", "police killed the gunman", rouge.Score{One: 0.75, Two: 1. / 3, L: 0.5}},
		"same":      {"A b, c.", "a B c", rouge.Score{One: 1, Two: 1, L: 1}},
		"repeated":  {"a a a a", "a b", rouge.Score{One: 1. / 3, Two: 0, L: 1. / 3}},
		"empty":     {"", "a b", rouge.Score{}},
		"one word":  {"a", "a", rouge.Score{One: 1, Two: 0, L: 1}},
		"not ascii": {"Über-Maß", "über maß", rouge.Score{One: 1, Two: 1, L: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rouge.Of(c.candidate, c.reference)
			for _, d := range []float64{got.One - c.want.One, got.Two - c.want.Two, got.L - c.want.L} {
				if math.Abs(d) > 1e-9 {
					t.Fatalf("got %+v, want %+v", got, c.want)
				}
			}
		})
	}
}
