// Package importtest owns the rules on which package may import which, and that
// tests do not sleep, as tests over the source of the whole module. It has no
// code to import, and leaves what needs types to the linter.
package importtest
