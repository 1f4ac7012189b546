//go:build race

package extract

// hostileScale makes hostile documents smaller. The race detector slows tests down tenfold, and
// these runs look for races only.
const hostileScale = 32
