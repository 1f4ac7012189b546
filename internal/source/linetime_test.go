package source

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseLineTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 30, 5, 0, time.UTC)
	local := time.Date(2026, 1, 31, 12, 30, 5, 0, time.Local)
	for raw, want := range map[string]time.Time{
		`"2026-01-31T12:30:05Z"`: at, `"2026-01-31T13:30:05+01:00"`: at, `"2026-01-31T13:30:05+0100"`: at,
		`"2026-01-31T12:30:05.250Z"`: at.Add(250 * time.Millisecond), `"2026-01-31 12:30:05Z"`: at, ` "2026"`[1:]: time.Unix(2026, 0),
		`"2026-01-31 12:30:05"`: local, `"2026-01-31T12:30:05"`: local, `" 2026-01-31T12:30 "`: local.Add(-5 * time.Second),
		`"2026-01-31"`: time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local), `"2026-01-31T12:30:05\u005a"`: at,
		`1769862605`: at, `1769862605.5`: at.Add(500 * time.Millisecond), `1769862605000`: at, `1769862605000000`: at, `1769862605000000000`: at,
		`"1769862605"`: at, `1.769862605e9`: at, `0`: time.Unix(0, 0), `-86400`: time.Unix(-86400, 0),
		`""`: {}, `"yesterday"`: {}, `true`: {}, `{}`: {}, `["2026-01-31"]`: {}, `1e300`: {}, `"NaN"`: {}, `"31.01.2026"`: {}, `"0001-01-01T00:00:00Z"`: {},
	} {
		got, ok := parseLineTime([]byte(raw))
		if ok == want.IsZero() || ok && !got.Equal(want) {
			t.Errorf("%s: %s %v, want %s", raw, got, ok, want)
		}
	}
}

func TestTimeField(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"e.txt": "E", "d.jsonl": strings.Join([]string{
		`{"id":"jan","text":"x","at":"2026-01-31T23:59:59Z"}`, `{"at":"2026-02-01T00:00:00Z","id":"feb","text":"x"}`,
		`{"id":"none","text":"x"}`, `{"id":"null","text":"x","at":null}`, `{"id":"bad","text":"x","at":"soon"}`, `{"id":"mar","text":"x","at":1772323200}`,
	}, "\n")})
	o := Options{TimeField: "at", Since: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	s := open1(t, filepath.Join(dir, "d.jsonl"), o)
	same(t, describe(t, s), []string{"d.jsonl#feb", "d.jsonl#none", "d.jsonl#null", "d.jsonl#bad"})
	if got := list(t, s)[0].Modified; !got.Equal(o.Since) {
		t.Errorf("the time of a line is %s", got)
	}
	if got := s.UnknownTimes(); got != (UnknownTimes{Missing: 2, Unreadable: 1}) {
		t.Errorf("%+v", got)
	}
	if got := s.LeftOut(); got != (LeftOut{Older: 1, Newer: 1}) {
		t.Errorf("%+v", got)
	}
	if plain := open1(t, filepath.Join(dir, "d.jsonl"), Options{}); plain.URL() != s.URL() {
		t.Error("the time field is part of the identity")
	}
	// A line that a time left out is not gone. The ledger may have another time for it.
	if s.Matches("d.jsonl#jan", o.Since) {
		t.Error("a line that is left out counts as gone")
	}
	if all := open1(t, dir, Options{TimeField: "at"}); len(list(t, all)) != 7 || !all.Matches("d.jsonl#old", time.Time{}) {
		t.Error("without bounds all are listed, and a missing line is gone")
	}
}

func TestSurveyOfTimeField(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"d.jsonl": `{"id":1,"n":5,"text":"x","created_at":"2026-01-31","closed":null}`})
	for field, want := range map[string]string{
		"created_at": "",
		"created":    `d.jsonl: no line has "created"; the lines have id, n, text, created_at, closed: try --time-field created_at`,
		"closed":     `d.jsonl: no line has a time in "closed"`,
	} {
		_, err := open1(t, dir, Options{TimeField: field}).Survey(t.Context())
		if bad := (*FieldsError)(nil); want == "" && err != nil || want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
