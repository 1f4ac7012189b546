package text

import (
	"math"
	"strconv"

	"github.com/dustin/go-humanize"
)

// USD formats an amount in US dollars for people: from one cent on in cents ("$0.98",
// "$1,234.50"), and below with two significant digits ("$0.0042"). It loses precision: JSON has
// the number.
func USD(amount float64) string {
	// Rounded to two digits, 0.00999 is one cent.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(amount, 'e', 1, 64), 64)
	if err == nil && rounded != 0 && math.Abs(rounded) < 0.01 {
		return "$" + strconv.FormatFloat(rounded, 'f', -1, 64)
	}
	return "$" + humanize.FormatFloat("#,###.##", amount)
}
