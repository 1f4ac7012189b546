// Package importtest holds rules over the source of the whole module, as tests: which package
// may import which, how many files a package may have, that job and claim do not travel in a
// context, and that tests do not sleep. It has no code to import. Rules that need types belong
// to the linter, and rules about words to test/style.
package importtest
