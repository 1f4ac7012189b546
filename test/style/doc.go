// Package style owns the rules on words and widths, as tests over the source of the whole
// module: comments of at most 100 columns, names that are retired, and phrases that are not
// plain English. It has no code to import. What needs types is the linter's, and imports are
// internal/importtest's.
package style
