package sqldb

import (
	"database/sql"
	"iter"
	"strconv"
	"strings"
	"time"
)

// maxChunk is the largest number of rows in one statement of [Chunks]. On SQLite a row costs the
// same from about four rows on; on a server each statement costs a round trip.
const maxChunk = 32

// Chunks cuts rows into chunks whose lengths are powers of two. A connection that keeps compiled
// statements then has few to keep.
func Chunks[T any](rows []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for size := maxChunk; len(rows) > 0; {
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

// ValuesCTE begins a statement that reads its parameters as rows of a table "args". columns lists
// names with types, as in "run BIGINT, name TEXT"; the parameters are those of row after row.
func (db *DB) ValuesCTE(rows int, columns string) string {
	var names, types []string
	for column := range strings.SplitSeq(columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		names, types = append(names, name), append(types, kind)
	}
	return `WITH args(` + strings.Join(names, ", ") + `) AS (VALUES ` + db.dialect.rows(rows, types) + `)`
}

// Placeholders is "$from,$from+1,…", n of them.
func Placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i))
	}
	return b.String()
}

// Rows is "($1,$2),($3,$4)…" for a multi-row statement, where from is 1.
func Rows(from, rows, columns int) string {
	var b strings.Builder
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		b.WriteString(Placeholders(from+i*columns, columns))
		b.WriteByte(')')
	}
	return b.String()
}

// Time converts a column of Unix milliseconds. NULL is the zero time.
func Time(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
