package ledger

import (
	"iter"
	"strings"
)

// givenMost is the most rows that are given to one statement. From about four rows on a row costs the same on SQLite; on a server the round
// trips count.
const givenMost = 32

// inPowers cuts rows into pieces whose lengths are powers of two, so that a connection that keeps the programs of its statements has few to
// keep.
func inPowers[T any](rows []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for size := givenMost; len(rows) > 0; {
			if len(rows) < size {
				size /= 2
				continue
			}
			if !yield(rows[:size:size]) {
				return
			}
			rows = rows[size:]
		}
	}
}

// given begins a statement that is given so many rows: it can read them from the table "given". Columns are names with types, as in
// "run BIGINT, name TEXT".
func (l *Ledger) given(rows int, columns string) string {
	var names, types []string
	for column := range strings.SplitSeq(columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		names, types = append(names, name), append(types, kind)
	}
	return `WITH given(` + strings.Join(names, ", ") + `) AS (VALUES ` + l.dialect.values(rows, types) + `)`
}
