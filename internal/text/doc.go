// Package text prepares text for people, models and terminals: it cleans, cuts, wraps and
// flattens strings.
//
// It owns what these operations keep and drop. It imports nothing of gistmill, and it knows no
// document format, prompt or output file.
package text
