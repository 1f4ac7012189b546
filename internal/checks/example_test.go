package checks_test

import (
	"fmt"

	"github.com/gistmill/gistmill/internal/checks"
)

// Findings name the piece of the summary and what is wrong with it.
func Example() {
	document := checks.Document{
		Text:   "The board met in the old hall. It agreed to spend 1,203,400 euros on the roof.",
		Around: []string{"Minutes of 5 March 2024"},
	}
	summary := "On 5 March 2024 the board agreed to spend 1.2 million euros, and 50 people voted with Ada Stone."
	for _, f := range checks.Check(document, []string{summary}, checks.Asked{}) {
		fmt.Printf("%s %q: %s\n", f.Check, f.Found, f.Message)
	}
	// Output:
	// number "50": this number is not in the document
	// name "Ada Stone": this name is not in the document
}
