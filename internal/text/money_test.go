package text

import "testing"

func TestUSD(t *testing.T) {
	t.Parallel()
	for amount, want := range map[float64]string{
		0:          "$0.00",
		1e-9:       "$0.000000001",
		0.00016965: "$0.00017",
		0.0042:     "$0.0042",
		0.005:      "$0.005",
		0.009949:   "$0.0099",
		0.00999:    "$0.01",
		0.01:       "$0.01",
		0.03596:    "$0.04",
		0.98:       "$0.98",
		0.999:      "$1.00",
		1.506:      "$1.51",
		5:          "$5.00",
		128.04:     "$128.04",
		1234.5:     "$1,234.50",
		1234567.89: "$1,234,567.89",
	} {
		if got := USD(amount); got != want {
			t.Errorf("USD(%v) = %q, want %q", amount, got, want)
		}
	}
}
