package ledger

import "testing"

func TestPattern(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"empty document": "empty document",
		"the server failed (status 500, server_error)":                       "the server failed (status 500, server_error)",
		"too large: 80 MiB, the limit is 64 MiB (--max-document-bytes)":      "too large: … MiB, the limit is … MiB (--max-document-bytes)",
		"nothing listens at 127.0.0.1:18105":                                 "nothing listens at …",
		`no field "id" (--id-field)`:                                         "no field … (--id-field)",
		"can't read `a.txt` of the document's folder":                        "can't read … of the document's folder",
		"quoted 'with apostrophes' here":                                     "quoted … here",
		"request req_8f3a1b-77 failed: 6ba7b810-9dad-11d1-80b4-00c04fd430c8": "request … failed: …",
		`said "a \"quoted\" word" twice`:                                     "said … twice",
	} {
		if got := (DeadLetter{Message: message}).pattern(); got != want {
			t.Errorf("pattern of %q is %q, want %q", message, got, want)
		}
	}
}
