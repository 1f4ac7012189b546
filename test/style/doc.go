// Package style owns the rules on words and widths, as tests over the source of the whole
// module: comments of at most 100 columns, names that are retired, and phrases that are not
// plain English. It has no code to import. Rules that need types belong to the linter, and
// rules about imports to internal/importtest.
package style
