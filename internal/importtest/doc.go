// Package importtest owns the rules on which package may import which, as a
// test. It has no code to import, and leaves to the linter what is a matter of
// single calls rather than of packages.
package importtest
