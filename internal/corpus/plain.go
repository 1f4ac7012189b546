package corpus

import "context"

// readPlain reads text without any markup.
func readPlain(_ context.Context, _ *Extractor, raw *Raw) (extracted, error) {
	if raw.PlainText {
		return extracted{text: raw.Data}, nil
	}
	return extracted{text: decode(raw.Data, "")}, nil
}
