//go:build !race

package extract

// hostileScale is 1: the documents have the sizes that would do harm.
const hostileScale = 1
