package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// WaitReason is what holds up a run.
type WaitReason string

// The reasons of waits.
const (
	WaitRateLimit    WaitReason = "rate_limit"   // the endpoint's rate limit
	WaitBudget       WaitReason = "budget"       // a budget of the run or of the day
	WaitQuota        WaitReason = "quota"        // a quota longer than a minute, or no credit
	WaitEndpoint     WaitReason = "endpoint"     // an endpoint that is down
	WaitCapacity     WaitReason = "capacity"     // an endpoint without capacity for the flex tier
	WaitPlanner      WaitReason = "planner"      // another process plans the source
	WaitLease        WaitReason = "lease"        // another process holds the remaining documents
	WaitRedis        WaitReason = "redis"        // Redis cannot be reached
	WaitNoWorkers    WaitReason = "no_workers"   // no worker is alive
	WaitRetry        WaitReason = "retry"        // all remaining documents are retried later
	WaitConfirmation WaitReason = "confirmation" // a person has to confirm the cost
)

// Severity ranks reasons: of several waits the most severe one is shown.
func (r WaitReason) Severity() int {
	switch r {
	case WaitRedis:
		return 3
	case WaitEndpoint, WaitQuota:
		return 2
	case WaitRateLimit, WaitCapacity:
		return 1
	}
	return 0
}

// Wait is what a worker waits for, as it writes it to its row. Its times are the worker's.
type Wait struct {
	Reason   WaitReason `json:"reason"`
	Endpoint string     `json:"endpoint,omitempty"` // host
	Since    time.Time  `json:"since,omitzero"`
	Until    time.Time  `json:"until,omitzero"` // zero: unknown
	Cause    string     `json:"cause,omitempty"`
}

// Message describes the wait in a sentence that follows "waiting because".
func (w Wait) Message(now time.Time) string {
	clock := func(t time.Time) string { return t.Local().Format("15:04:05") }
	because := ""
	if w.Cause != "" {
		because = " (" + w.Cause + ")"
	}
	left := max(w.Until.Sub(now).Round(time.Second), 0)
	switch w.Reason {
	case WaitRateLimit:
		s := "the rate limit of " + w.Endpoint + " is used up" + because
		if left > 0 {
			s += fmt.Sprintf("; the next call goes at %s, in %s", clock(w.Until), left)
		}
		return s
	case WaitCapacity:
		s := w.Endpoint + " has no capacity for the flex tier"
		if !w.Since.IsZero() {
			s += " since " + clock(w.Since)
		}
		if left > 0 {
			s += fmt.Sprintf("; the next call goes at %s, in %s", clock(w.Until), left)
		}
		return s
	case WaitQuota:
		return fmt.Sprintf("the quota of %s is used up%s; nothing is sent until %s, in %s", w.Endpoint, because, ClockTime(w.Until), left)
	case WaitEndpoint:
		s := "endpoint " + w.Endpoint + " is down"
		if !w.Since.IsZero() {
			s += " since " + clock(w.Since)
		}
		s += because
		switch {
		case left > 0:
			return s + fmt.Sprintf("; next try in %s", left)
		case w.Until.IsZero():
			return s + "; it is being tried now"
		}
		return s + "; next try now"
	case WaitRedis:
		return "Redis cannot be reached"
	}
	return w.Cause
}

// ClockTime returns a time for people, in the local zone.
func ClockTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// SetWait writes what a worker waits for to its row; nil clears it.
func (l *Ledger) SetWait(ctx context.Context, worker WorkerID, w *Wait) error {
	var value any
	if w != nil {
		b, err := json.Marshal(w)
		if err != nil {
			return err
		}
		value = string(b)
	}
	if _, err := l.write.Exec(ctx, `UPDATE workers SET waiting = $1 WHERE id = $2`, value, worker); err != nil {
		return fmt.Errorf("write what the worker waits for: %w", err)
	}
	return nil
}

// LiveWorker is a worker that may work on a run.
type LiveWorker struct {
	ID         WorkerID
	Name       string // host and process id
	Process    string // see [WorkerProcess]
	LeaseUntil time.Time
	Wait       *Wait // nil: it waits for nothing
	Claims     int64 // documents of the run that it holds
	// Silent is set if the worker has missed a renewal: it may be dead.
	Silent bool
}

// silentAfter is the time without a renewal after which a worker counts as silent: one renewal, and
// some slack.
const silentAfter = Lease/3 + 2*time.Second

// Workers lists the workers with a valid lease that may work on a run, and those whose lease has
// lapsed and whose claims on its documents were not released yet.
func (l *Ledger) Workers(ctx context.Context, run RunID) ([]LiveWorker, error) {
	workers, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (w LiveWorker, err error) {
		var until, now int64
		var waiting sql.NullString
		if err := rows.Scan(&w.ID, &w.Name, &w.Process, &until, &waiting, &w.Claims, &now); err != nil {
			return w, err
		}
		w.LeaseUntil = time.UnixMilli(until).UTC()
		w.Silent = until-now < (Lease - silentAfter).Milliseconds()
		if waiting.Valid {
			w.Wait = &Wait{}
			if err := json.Unmarshal([]byte(waiting.String), w.Wait); err != nil { // of a newer program
				w.Wait = nil
			}
		}
		return w, nil
	}, `SELECT * FROM (SELECT w.id, w.name, w.process, w.lease_until, w.waiting,
		(SELECT COUNT(*) FROM run_documents x WHERE x.worker_id = w.id AND x.run_num = $1 AND x.state = 'claimed') AS claims, CAST(@now AS BIGINT) AS now
		FROM workers w WHERE w.ended_at IS NULL AND (w.only_runs = '' OR w.only_runs LIKE $2)) live
		WHERE lease_until >= now OR claims > 0 ORDER BY id`, run, fmt.Sprintf("%%,%d,%%", run))
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	return workers, nil
}

// Standing counts the open documents of a running run by what becomes of them next.
type Standing struct {
	Due     int64     // pending, and a worker may claim them now; 1 means one or more
	Claimed int64     // held by workers
	Later   int64     // pending, and due later
	NextDue time.Time // the first of these; zero if there is none
	Planned int64     // in partitions that are not published
}

// Standing counts the open documents of a run. If a worker may claim one now, it counts no
// others: that is cheap for a run of any size.
func (l *Ledger) Standing(ctx context.Context, run RunID) (Standing, error) {
	var s Standing
	fail := func(err error) (Standing, error) { return s, fmt.Errorf("count the open documents: %w", err) }
	if err := l.read.QueryRow(ctx, `SELECT CASE WHEN EXISTS (SELECT 1`+openDocuments+` AND p.state = 'ready' AND x.state = 'pending' AND x.due_at <= @now)
		THEN 1 ELSE 0 END`, run).Scan(&s.Due); err != nil {
		return fail(err)
	}
	if s.Due > 0 {
		return s, nil
	}
	var next sql.NullInt64
	if err := l.read.QueryRow(ctx, `SELECT COUNT(*) FILTER (WHERE p.state = 'ready' AND x.state = 'claimed'),
		COUNT(*) FILTER (WHERE p.state = 'ready' AND x.state = 'pending'), MIN(x.due_at) FILTER (WHERE p.state = 'ready' AND x.state = 'pending'),
		COUNT(*) FILTER (WHERE p.state = 'planned')`+openDocuments, run).Scan(&s.Claimed, &s.Later, &next, &s.Planned); err != nil {
		return fail(err)
	}
	s.NextDue = sqldb.Time(next)
	return s, nil
}

// PlannerAlive reports whether a process holds the planning lease of a run's source and profile.
func (l *Ledger) PlannerAlive(ctx context.Context, run Run) (bool, error) {
	var alive bool
	err := l.read.QueryRow(ctx, `SELECT CASE WHEN `+plannerAlive+` THEN 1 ELSE 0 END FROM runs WHERE num = $1`, run.ID).Scan(&alive)
	if err != nil {
		return false, fmt.Errorf("look for a planner: %w", err)
	}
	return alive, nil
}

// Mark is a moment in a ledger. It separates what begins later from what began before.
type Mark struct {
	At   time.Time
	call CallID // the last one so far
}

// Mark returns the present moment.
func (l *Ledger) Mark(ctx context.Context) (Mark, error) {
	var m Mark
	var now int64
	if err := l.read.QueryRow(ctx, `SELECT CAST(@now AS BIGINT), COALESCE(MAX(id), 0) FROM calls`).Scan(&now, &m.call); err != nil {
		return m, fmt.Errorf("read the last call: %w", err)
	}
	m.At = time.UnixMilli(now).UTC()
	return m, nil
}

// Others is what the other workers do for a run.
type Others struct {
	Live    int64 // workers that may work on the run and renew their leases
	Claims  int64 // documents of the run that these hold
	Ended   int64 // documents that live workers ended, from some seconds before the mark on
	Answers int64 // calls with an answer for the run, which live workers began after the mark
}

// Others returns what workers other than this one do for a run since a mark.
func (l *Ledger) Others(ctx context.Context, run RunID, worker WorkerID, since Mark) (Others, error) {
	workers, err := l.Workers(ctx, run)
	if err != nil {
		return Others{}, err
	}
	var o Others
	for _, w := range workers {
		if w.ID != worker && !w.Silent {
			o.Live++
			o.Claims += w.Claims
		}
	}
	live := `JOIN workers k ON k.id = w.holder WHERE ` + leased("k") + ` AND w.run_num = $1 AND w.holder <> $2`
	from := since.At.UnixMilli()/bucketMillis*bucketMillis - bucketMillis
	err = l.read.QueryRow(ctx, `SELECT
		(SELECT CAST(COALESCE(SUM(w.documents), 0) AS BIGINT) FROM work w `+live+` AND w.bucket >= $3),
		(SELECT COUNT(*) FROM (SELECT run_num, worker_id AS holder FROM calls WHERE id > $4 AND finished_at IS NOT NULL AND class = '`+string(ClassOK)+`') w `+live+`)`,
		run, worker, from, since.call).Scan(&o.Ended, &o.Answers)
	if err != nil {
		return o, fmt.Errorf("read what other workers do: %w", err)
	}
	return o, nil
}
