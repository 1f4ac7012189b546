package llm

// Finish reasons a Response can carry. A content filter is an *Error of class
// Refused instead.
const (
	FinishStop   = "stop"
	FinishLength = "length" // the answer was cut at MaxOutputTokens; the caller decides
)

// Usage counts tokens as the endpoint reported them.
type Usage struct {
	In       int // prompt tokens, cached ones included
	CachedIn int // the part of In that the endpoint took from its prompt cache
	// CacheWriteIn is the part of In that was written to the prompt cache,
	// which GPT-5.6 and later models charge for.
	CacheWriteIn int
	Out          int // completion tokens, reasoning included
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		In:           u.In + v.In,
		CachedIn:     u.CachedIn + v.CachedIn,
		CacheWriteIn: u.CacheWriteIn + v.CacheWriteIn,
		Out:          u.Out + v.Out,
	}
}

// A Response is a model's answer.
type Response struct {
	Content      string
	FinishReason string // FinishStop, FinishLength, or what else the endpoint says
	Model        string // as the endpoint names it, e.g. a dated variant
	Endpoint     string // host (and port) of the endpoint that answered
	Usage        Usage
}
