package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Run is the work on one source with one profile, from planning until no document remains.
type Run struct {
	ID         RunID
	Name       string
	Source     string
	SourceID   SourceID
	Profile    string // hash
	ProfileID  ProfileID
	Model      string
	State      State
	Reason     Reason    // empty unless stopped
	Message    string    // why it was stopped, for people
	Until      time.Time // when what stopped it ends; zero if that is unknown
	Quota      string    // which quota stopped it, such as "requests per day", or [CreditQuota]
	Scan       int64     // number of the run's listings of the source
	ForcedAt   time.Time // summaries older than this do not count; zero: all count
	BudgetNano *int64    // nano-USD; nil: no cap
	Tokens     *int64    // token cap; nil: none
	// Service is the service tier of the run's calls, "" or "standard" or "flex". FlexFallback lets
	// flex calls use the standard price where the endpoint has no capacity for them.
	Service      string
	FlexFallback bool
	Created      time.Time
	Started      time.Time
	Finished     time.Time
}

const runColumns = `r.num, r.name, s.url, r.source_id, p.hash, r.profile_id, p.model, r.state, COALESCE(r.reason, ''), r.message, r.stopped_until, r.quota, r.scan,
	r.forced_at, r.budget_nano, r.budget_tokens, r.service, r.flex_fallback, r.created_at, r.started_at, r.finished_at
	FROM runs r JOIN sources s ON s.id = r.source_id JOIN profiles p ON p.id = r.profile_id`

func scanRun(row interface{ Scan(...any) error }) (Run, error) {
	var r Run
	var fallback int64
	var until, forced, budget, tokens, created, started, finished sql.NullInt64
	err := row.Scan(&r.ID, &r.Name, &r.Source, &r.SourceID, &r.Profile, &r.ProfileID, &r.Model, &r.State, &r.Reason, &r.Message, &until, &r.Quota, &r.Scan,
		&forced, &budget, &tokens, &r.Service, &fallback, &created, &started, &finished)
	r.Until, r.ForcedAt, r.Created, r.Started, r.Finished = sqldb.Time(until), sqldb.Time(forced), sqldb.Time(created), sqldb.Time(started), sqldb.Time(finished)
	r.FlexFallback = fallback != 0
	if budget.Valid {
		r.BudgetNano = &budget.Int64
	}
	if tokens.Valid {
		r.Tokens = &tokens.Int64
	}
	return r, err
}

// noRunsError reports that a ledger has no runs. It is an [ErrNotFound].
type noRunsError struct{ place string }

func (e noRunsError) Error() string { return "no runs yet in " + e.place }

func (e noRunsError) Is(target error) bool { return target == ErrNotFound }

// Run finds a run by its name, or by an unambiguous prefix of it; "" is the newest run. It fails
// with [ErrNotFound], and with another error when the prefix is ambiguous.
func (l *Ledger) Run(ctx context.Context, name string) (Run, error) {
	if name == "" {
		run, err := scanRun(l.read.QueryRow(ctx, `SELECT `+runColumns+` ORDER BY r.num DESC LIMIT 1`))
		if errors.Is(err, sql.ErrNoRows) {
			return run, noRunsError{l.Place()}
		}
		return run, err
	}
	found, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (Run, error) { return scanRun(rows) },
		`SELECT `+runColumns+` WHERE r.name = $1 OR substr(r.name, 1, $2) = $3 ORDER BY CASE WHEN r.name = $4 THEN 0 ELSE 1 END LIMIT 2`,
		name, len(name), name, name)
	switch {
	case err != nil:
		return Run{}, fmt.Errorf("find run %s: %w", name, err)
	case len(found) == 0:
		return Run{}, fmt.Errorf("run %q: %w; `gistmill runs` lists them", name, ErrNotFound)
	case len(found) == 2 && found[0].Name != name:
		return Run{}, fmt.Errorf("run %q: more than one name begins with it (%s, %s, …)", name, found[0].Name, found[1].Name)
	}
	return found[0], nil
}

// RunByID finds a run by its id, or fails with [ErrNotFound].
func (l *Ledger) RunByID(ctx context.Context, id RunID) (Run, error) {
	run, err := scanRun(l.read.QueryRow(ctx, `SELECT `+runColumns+` WHERE r.num = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return run, err
}

// Runs lists runs, newest first, at most limit; 0 lists all.
func (l *Ledger) Runs(ctx context.Context, limit int) ([]Run, error) {
	statement := `SELECT ` + runColumns + ` ORDER BY r.num DESC`
	if limit > 0 {
		statement += fmt.Sprintf(" LIMIT %d", limit)
	}
	return sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (Run, error) { return scanRun(rows) }, statement)
}

// RunningRuns lists the runs that are running, the oldest first.
func (l *Ledger) RunningRuns(ctx context.Context) ([]Run, error) {
	return sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (Run, error) { return scanRun(rows) },
		`SELECT `+runColumns+` WHERE r.state = 'running' ORDER BY r.num`)
}

// PutProfile stores a profile under its hash, if it is new, and returns its id.
func (l *Ledger) PutProfile(ctx context.Context, hash, model, body string) (ProfileID, error) {
	id, err := l.put(ctx, `INSERT INTO profiles (hash, model, body, created_at) VALUES ($1, $2, $3, @now) ON CONFLICT DO NOTHING`,
		`SELECT id FROM profiles WHERE hash = $1`, hash, model, body)
	return ProfileID(id), err
}

// Profile returns the body of a profile by its hash, or fails with [ErrNotFound].
func (l *Ledger) Profile(ctx context.Context, hash string) (string, error) {
	var body string
	err := l.read.QueryRow(ctx, `SELECT body FROM profiles WHERE hash = $1`, hash).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("profile %.12s: %w", hash, ErrNotFound)
	}
	return body, err
}

// ProfileInUse returns which of the profiles with these hashes a source uses: the profile of its
// newest run that is unfinished, or that was published under a profile with results for the source.
// It returns "" when there is no such run. A run that was never published, such as one that was not
// confirmed, counts only if no other does. At least one hash is needed.
func (l *Ledger) ProfileInUse(ctx context.Context, sourceURL string, hashes ...string) (string, error) {
	// Whether there are results depends on source and profile only. NOT EXISTS makes the look-up
	// through the documents run once per profile, and not once per run.
	args := []any{sourceURL}
	for _, h := range hashes {
		args = append(args, h)
	}
	var hash string
	err := l.read.QueryRow(ctx, `SELECT p.hash FROM runs r JOIN sources s ON s.id = r.source_id JOIN profiles p ON p.id = r.profile_id
		WHERE s.url = $1 AND p.hash IN (`+sqldb.Placeholders(2, len(hashes))+`) AND (`+UnfinishedRun("r")+` OR r.started_at IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM runs n WHERE n.source_id = r.source_id AND n.profile_id = r.profile_id AND n.num > r.num AND n.started_at IS NOT NULL)
		AND EXISTS (SELECT 1 FROM documents d JOIN results res ON res.document_id = d.id AND res.profile_id = r.profile_id WHERE d.source_id = r.source_id))
		ORDER BY CASE WHEN r.started_at IS NULL THEN 1 ELSE 0 END, r.num DESC LIMIT 1`, args...).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("look for the profile in use: %w", err)
	}
	return hash, nil
}

// PutSource stores a source's URL, if it is new, and returns its id.
func (l *Ledger) PutSource(ctx context.Context, url string) (SourceID, error) {
	id, err := l.put(ctx, `INSERT INTO sources (url, created_at) VALUES ($1, @now) ON CONFLICT DO NOTHING`,
		`SELECT id FROM sources WHERE url = $1`, url)
	return SourceID(id), err
}

// put inserts a row if its key, the first argument, is new, and returns its id.
func (l *Ledger) put(ctx context.Context, insert, find string, args ...any) (int64, error) {
	var id int64
	err := l.read.QueryRow(ctx, find, args[0]).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if _, err := l.write.Exec(ctx, insert, args...); err != nil {
		return 0, err
	}
	return id, l.read.QueryRow(ctx, find, args[0]).Scan(&id)
}

// UnfinishedRun is the SQL condition that a run, by its name in the statement, is not over. It is
// the condition of the index runs_unfinished.
func UnfinishedRun(run string) string {
	return run + `.state <> 'finished' AND (` + run + `.reason IS NULL OR ` + run + `.reason <> 'cancelled')`
}

// superseded is the SQL condition that another run of the same source and profile as the row in
// runs is not over.
func superseded() string {
	return `EXISTS (SELECT 1 FROM runs o WHERE o.source_id = runs.source_id AND o.profile_id = runs.profile_id AND o.num <> runs.num AND ` + UnfinishedRun("o") + `)`
}

// plannerAlive is the SQL condition that a process holds the planning lease of the row in runs.
const plannerAlive = `EXISTS (SELECT 1 FROM planners q WHERE q.source_id = runs.source_id AND q.profile_id = runs.profile_id AND q.lease_until >= @now)`

// OpenRun returns the unfinished run of a source and profile, with continued true, or starts one in
// state [Planning]. Call it under the planning lease. With force, summaries made before do not
// count for the plan and, once it is published, for the run. Without force, OpenRun takes back what
// a plan with force has added that was not confirmed. OpenRun does not change the run's state:
// [Ledger.Publish] does, after the plan was confirmed.
func (l *Ledger) OpenRun(ctx context.Context, sourceID SourceID, profileID ProfileID, force bool) (run Run, continued bool, err error) {
	err = l.db.Tx(ctx, func(tx sqldb.Handle) error {
		find := func() (err error) {
			run, err = scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` WHERE r.source_id = $1 AND r.profile_id = $2 AND `+UnfinishedRun("r"), sourceID, profileID))
			return err
		}
		continued = false
		err := find()
		if errors.Is(err, sql.ErrNoRows) {
			if _, err := tx.Exec(ctx, `INSERT INTO runs (name, source_id, profile_id, state, created_at) VALUES ($1, $2, $3, 'planning', @now)`,
				runName(), sourceID, profileID); err != nil {
				return err
			}
		} else if err != nil {
			return err
		} else {
			continued = true
		}
		if err := find(); err != nil {
			return err
		}
		if !force {
			if err := l.unforce(ctx, tx, run); err != nil {
				return err
			}
		}
		if force && run.ForcedAt.IsZero() {
			if _, err := tx.Exec(ctx, `UPDATE runs SET force_planned_at = COALESCE(force_planned_at, @now) WHERE num = $1`, run.ID); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE runs SET scan = scan + 1 WHERE num = $1`, run.ID); err != nil {
			return err
		}
		return find()
	})
	if err != nil {
		return run, false, fmt.Errorf("open a run: %w", err)
	}
	return run, continued, nil
}

func nullable(p *int64) any {
	if p == nil {
		return nil
	}
	return *p
}

// runName returns a name that sorts by day and whose prefix is short to type: 20261123-k7m2qd.
func runName() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return time.Now().UTC().Format("20060102") + "-" +
		strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:]))[:6]
}

// CreditQuota is the quota of a run that was stopped because the account has no credit.
const CreditQuota = "credit"

// Stop is why a run is stopped.
type Stop struct {
	Reason  Reason
	Message string
	// Ends is set if it is known when the reason ends, and After is how long that takes from now on.
	// The ledger's clock decides.
	Ends  bool
	After time.Duration
	Quota string // see [Run]
}

// Stop stops a run that is planning or running, and reports whether this call did it: when many
// workers meet the same wrong key, one of them says so. A stopped run can still be stopped as
// [Cancelled]. A run that is [Halted] forgets which documents were refused: the cause was not
// theirs.
func (l *Ledger) Stop(ctx context.Context, run RunID, s Stop) (bool, error) {
	states := `('planning', 'running')`
	if s.Reason == Cancelled {
		states = `('planning', 'running', 'stopped')`
	}
	until := `NULL`
	if s.Ends {
		until = fmt.Sprintf(`@now + %d`, s.After.Milliseconds())
	}
	var n int64
	err := l.db.Tx(ctx, func(tx sqldb.Handle) (err error) {
		n, err = tx.Exec(ctx, `UPDATE runs SET state = 'stopped', reason = $1, message = $2, quota = $3, stopped_until = `+until+`
			WHERE num = $4 AND state IN `+states+` AND COALESCE(reason, '') <> 'cancelled'`, string(s.Reason), s.Message, s.Quota, run)
		if err == nil && s.Reason == Halted {
			err = forgetRefusals(ctx, tx, run)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("stop the run: %w", err)
	}
	return n == 1, nil
}

// Restart makes runs that stopped because of a quota running again as soon as the quota has reset,
// and returns them. What was not confirmed stays invisible to workers. A run that a process plans
// is left to that process.
func (l *Ledger) Restart(ctx context.Context) ([]Run, error) {
	const due = `state = 'stopped' AND reason = 'quota' AND stopped_until <= @now AND NOT ` + plannerAlive
	ids, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (id RunID, err error) { return id, rows.Scan(&id) }, `SELECT num FROM runs WHERE `+due+` ORDER BY num`)
	if err != nil {
		return nil, fmt.Errorf("look for runs whose quota has reset: %w", err)
	}
	var restarted []Run
	for _, id := range ids {
		var run Run
		began := false
		err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
			n, err := tx.Exec(ctx, `UPDATE runs SET state = 'running', `+unstopped+`, resumed_at = @now WHERE num = $1 AND `+due, id)
			if began = n == 1; err != nil || !began {
				return err
			}
			if err := l.nextGenerations(ctx, tx, id); err != nil {
				return err
			}
			run, err = scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` WHERE r.num = $1`, id))
			return err
		})
		if err != nil {
			return restarted, fmt.Errorf("continue a run whose quota has reset: %w", err)
		}
		if began {
			restarted = append(restarted, run)
		}
	}
	return restarted, nil
}

// unstopped is the SQL assignment that removes why a run was stopped.
const unstopped = `reason = NULL, message = '', stopped_until = NULL, quota = ''`

// nextGenerations gives the open partitions of a run that was stopped a new generation, because
// tasks of the old one may still be in progress.
func (l *Ledger) nextGenerations(ctx context.Context, tx sqldb.Handle, run RunID) error {
	_, err := tx.Exec(ctx, `UPDATE partitions SET generation = generation + 1 WHERE run_num = $1 AND state = 'ready'`, run)
	return err
}

// FinishRun settles a running run that has no open partition, and reports whether it did: the run
// is finished. If it has planned partitions that no live planner can publish any more, because
// their plan was not confirmed or its process was killed, the run is stopped as [Paused] instead.
// Call it after the commit that closed a partition: when two are closed at once, one of the calls
// sees both.
func (l *Ledger) FinishRun(ctx context.Context, run RunID) (bool, error) {
	const planned = `EXISTS (SELECT 1 FROM partitions p WHERE p.run_num = runs.num AND p.state <> 'done' AND p.state = 'planned')`
	n, err := l.write.Exec(ctx, `UPDATE runs SET state = CASE WHEN `+planned+` THEN 'stopped' ELSE 'finished' END,
		reason = CASE WHEN `+planned+` THEN 'paused' END, message = CASE WHEN `+planned+` THEN $1 ELSE '' END, stopped_until = NULL, quota = '',
		finished_at = CASE WHEN NOT `+planned+` THEN @now END
		WHERE num = $2 AND state = 'running' AND NOT EXISTS (SELECT 1 FROM partitions p WHERE p.run_num = runs.num AND p.state <> 'done' AND p.state = 'ready')
		AND NOT (`+planned+` AND `+plannerAlive+`)`,
		NotConfirmed, run)
	if err != nil {
		return false, fmt.Errorf("finish the run: %w", err)
	}
	return n == 1, nil
}

// Totals counts a run's documents by state. Each number is counted from rows, none from the others.
type Totals struct {
	Total     int64 `json:"total"`
	Done      int64 `json:"done"`
	Dead      int64 `json:"dead"`
	Skipped   int64 `json:"skipped"`
	Remaining int64 `json:"remaining"`
}

// Balanced reports whether every document is in exactly one of the numbers.
func (t Totals) Balanced() bool { return t.Total == t.Done+t.Dead+t.Skipped+t.Remaining }

// Account is what the ended calls of a run have used.
type Account struct {
	Calls, TokensIn, TokensOut int64
	CostNano                   int64 // nano-USD, of calls with a known price
	CostKnown                  bool  // false when the price of a call is unknown
	StandardCalls              int64 // calls that were billed at the standard tier
}

// Totals counts a run's documents and calls in one snapshot.
func (l *Ledger) Totals(ctx context.Context, run RunID) (Totals, Account, error) {
	var t Totals
	var a Account
	var unknown int64
	err := l.read.QueryRow(ctx, `SELECT d.*, c.* FROM (SELECT COUNT(*),
		COUNT(*) FILTER (WHERE state = 'done'), COUNT(*) FILTER (WHERE state = 'dead'),
		COUNT(*) FILTER (WHERE state = 'skipped'), COUNT(*) FILTER (WHERE state IN ('pending', 'claimed'))
		FROM run_documents WHERE run_num = $1) d, (SELECT COUNT(*), CAST(COALESCE(SUM(tokens_in), 0) AS BIGINT), CAST(COALESCE(SUM(tokens_out), 0) AS BIGINT),
		CAST(COALESCE(SUM(cost_nano), 0) AS BIGINT), COUNT(*) FILTER (WHERE cost_nano IS NULL AND tokens_in + tokens_out > 0),
		COUNT(*) FILTER (WHERE tier = 'standard') FROM calls WHERE run_num = $2 AND finished_at IS NOT NULL) c`, run, run).
		Scan(&t.Total, &t.Done, &t.Dead, &t.Skipped, &t.Remaining, &a.Calls, &a.TokensIn, &a.TokensOut, &a.CostNano, &unknown, &a.StandardCalls)
	if err != nil {
		return t, a, fmt.Errorf("count the run: %w", err)
	}
	a.CostKnown = unknown == 0
	return t, a, nil
}
