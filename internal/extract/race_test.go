//go:build race

package extract

// hostileScale makes hostile documents smaller where the race detector makes everything ten
// times slower: what is looked for then are races, not sizes.
const hostileScale = 32
