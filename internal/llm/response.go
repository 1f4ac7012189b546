package llm

// Finish reasons of a [Response]. An answer that a content filter stopped is an [Error] of class
// Refused instead.
const (
	FinishStop   = "stop"
	FinishLength = "length" // the answer was cut at MaxOutputTokens
)

// Usage counts tokens as the endpoint reported them.
type Usage struct {
	In       int // prompt tokens, cached ones included
	CachedIn int // the part of In that the endpoint read from its prompt cache
	// CacheWriteIn is the part of In that was written to the prompt cache. GPT-5.6 and later models
	// charge for it.
	CacheWriteIn int
	Out          int // completion tokens, thought included
	Thought      int // the part of Out that the endpoint reports as thought; 0: not reported
	// CostUSD is the cost that the endpoint reported. It is valid if CostReported is set; see
	// [Usage.Billed].
	CostUSD      float64
	CostReported bool
}

// Add returns the sum of two usages. The sum has a reported cost if each usage has one or is empty.
func (u Usage) Add(v Usage) Usage {
	reported := (u.CostReported || u == Usage{}) && (v.CostReported || v == Usage{}) && (u.CostReported || v.CostReported)
	return Usage{
		In:           u.In + v.In,
		CachedIn:     u.CachedIn + v.CachedIn,
		CacheWriteIn: u.CacheWriteIn + v.CacheWriteIn,
		Out:          u.Out + v.Out,
		CostUSD:      u.CostUSD + v.CostUSD,
		CostReported: reported,
		Thought:      u.Thought + v.Thought,
	}
}

// A Response is a model's answer.
type Response struct {
	Content      string
	FinishReason string // FinishStop, FinishLength, or another one of the endpoint
	Model        string // as the endpoint names it, for example a dated variant
	Endpoint     string // host (and port) of the endpoint that answered
	Usage        Usage
	Tier         Tier // at which the call is billed, as the endpoint names it; see [Prices.Cost]
	// Thoughts is the size in bytes of the model's thoughts, which Content does not have. It is 0 if
	// the endpoint sent none.
	Thoughts int
	// Thought is the tokens that the model spent on thought, reported or estimated from the answer.
	Thought int
	// AtMost is set if the cap was the most output that the model is known to give, so that a larger
	// one changes nothing.
	AtMost bool
}
