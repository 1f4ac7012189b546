package text

import "testing"

func TestUnescapeName(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"a b": "a b", "100% sure": "100% sure", "a%0Ab%2541": "a\nb%41", "%": "%", "%4": "%4", "%zz": "%zz", "%ff": "\xff", "": "",
	} {
		if got := UnescapeName(uri); got != want {
			t.Errorf("%q became %q", uri, got)
		}
	}
}
