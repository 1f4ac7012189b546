//go:build !race

package extract

// hostileScale is 1: hostile documents have sizes that would do harm.
const hostileScale = 1
