package llm

// What endpoints add to a prompt before they count it: the frame of each message, and what their chat templates put in front
// (a date, a standing instruction: some 100 tokens with gpt-oss, 30 with Llama 3.1 and Qwen 2.5), and the words around a
// schema. On the high side.
const (
	boundPerMessage = 16
	boundPerRequest = 128
)

// BoundPrompt is a number of prompt tokens that no endpoint bills a request above, to reserve money by. Where the model's
// vocabulary is known it is the count and a twentieth for what providers count otherwise, and no less than EstimateTokens;
// where it is not, it is the number of bytes: a text has no more tokens than that in any vocabulary that falls back to bytes.
func BoundPrompt(r Request) int {
	t := TokenizerFor(r.Model)
	part := func(text string) int {
		if !t.Exact() {
			return len(text)
		}
		n := t.Count(text)
		return min(len(text), max(EstimateTokens(text), n+n/20))
	}
	total := boundPerRequest + part(string(r.Schema))
	for _, m := range r.Messages {
		total += boundPerMessage + part(m.Content)
	}
	return total
}
