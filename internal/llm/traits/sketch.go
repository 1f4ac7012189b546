package traits

import (
	"maps"
	"math"
	"slices"
)

// Sketch counts numbers of tokens in buckets whose bounds grow by a factor, so that a quantile has
// a relative error of at most 5 % (DDSketch: Masson, Rim & Lee, VLDB 2019). The sketches of several
// workers are added. Old counts lose weight: by half when there are many, and by half at each
// answer that thought cut off, so that a model that changes is followed within a few calls.
type Sketch struct {
	// Weights are the counts by bucket. Bucket 0 is for no thought.
	Weights map[int]float64 `json:"weights,omitempty"`
	// Keep is set in a lesson: the share of the weight that older counts keep; 0 means all.
	Keep float64 `json:"keep,omitempty"`
}

const (
	// growth is the ratio of a bucket's bounds.
	growth = 1.1
	// mostWeight is the weight at which older counts are halved.
	mostWeight = 512
	// leastWeight is the weight below which a bucket is dropped.
	leastWeight = 1.0 / 64
	// quantile of thought that the headroom covers, before its margin.
	quantile = 0.98
)

// IsZero reports whether nothing was counted.
func (s Sketch) IsZero() bool { return len(s.Weights) == 0 && s.Keep == 0 }

// seen returns the sketch of one answer with its tokens of thought.
func seen(tokens int) Sketch { return Sketch{Weights: map[int]float64{bucket(tokens): 1}} }

// cutAt returns the lesson of an answer that was cut, with the tokens of its thought. What it
// would have taken is not known. Twice as much is the guess of a search that doubles.
func cutAt(tokens int) Sketch {
	s := seen(2 * tokens)
	s.Keep = 0.5
	return s
}

// merge returns s with a later lesson.
func (s Sketch) merge(lesson Sketch) Sketch {
	if lesson.IsZero() {
		return s
	}
	keep := lesson.Keep
	if keep == 0 {
		keep = 1
	}
	out := Sketch{Weights: make(map[int]float64, len(s.Weights)+len(lesson.Weights))}
	if s.Keep != 0 || lesson.Keep != 0 { // s is itself a lesson, or empty
		out.Keep = keep
		if s.Keep != 0 {
			out.Keep *= s.Keep
		}
	}
	for b, w := range s.Weights {
		out.Weights[b] = w * keep
	}
	for b, w := range lesson.Weights {
		out.Weights[b] += w
	}
	factor := 1.0
	for total := out.weight(); total*factor > mostWeight; factor /= 2 {
	}
	for b := range out.Weights {
		if out.Weights[b] *= factor; out.Weights[b] < leastWeight {
			delete(out.Weights, b)
		}
	}
	return out
}

func (s Sketch) weight() float64 {
	total := 0.0
	for _, w := range s.Weights {
		total += w
	}
	return total
}

// Thinks reports whether any answer thought.
func (s Sketch) Thinks() bool {
	for b := range s.Weights {
		if b > 0 {
			return true
		}
	}
	return false
}

// Typical returns the mean tokens of thought of an answer.
func (s Sketch) Typical() int {
	sum := 0.0
	for b, w := range s.Weights {
		sum += w * float64(bound(b))
	}
	if sum == 0 {
		return 0
	}
	return int(sum / s.weight())
}

// Headroom returns the tokens to add to the cap of an answer, so that about 1 in 100 answers is cut
// off by thought: the 98 % quantile and a margin. The margin is a quarter, and larger while few
// answers were seen: thought is distributed with a long tail, and the quantile of a few answers is
// the largest of them.
func (s Sketch) Headroom() int {
	total := s.weight()
	if !s.Thinks() || total == 0 {
		return 0
	}
	rest, at := total*(1-quantile), 0
	for _, b := range slices.Backward(slices.Sorted(maps.Keys(s.Weights))) {
		at = b
		if rest -= s.Weights[b]; rest < 0 {
			break
		}
	}
	margin := 1.25 + 0.75/math.Sqrt(max(total, 1))
	return (int(float64(bound(at))*margin) + 63) / 64 * 64
}

// bucket returns the number of the bucket for a number of tokens.
func bucket(tokens int) int {
	if tokens <= 0 {
		return 0
	}
	return 1 + int(math.Ceil(math.Log(float64(min(tokens, 1<<20)))/math.Log(growth)))
}

// bound returns the most tokens of a bucket.
func bound(b int) int {
	if b <= 0 {
		return 0
	}
	return int(math.Pow(growth, float64(b-1)))
}
