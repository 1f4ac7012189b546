package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/traits"
	runprogress "github.com/gistmill/gistmill/internal/progress"
	"github.com/gistmill/gistmill/internal/text"
)

// statusView is the status of a run. Its JSON fields are an interface for users.
type statusView struct {
	Run     string         `json:"run"`
	Source  string         `json:"source"`
	Model   string         `json:"model"`
	Profile string         `json:"profile"`
	State   ledger.State   `json:"state"`
	Reason  *ledger.Reason `json:"reason"`
	Message string         `json:"message,omitempty"`
	// Until is when what stopped the run ends, and Quota which quota stopped it; null if that is
	// unknown, or not why it stopped.
	Until     *time.Time    `json:"until"`
	Quota     *string       `json:"quota"`
	Documents ledger.Totals `json:"documents"`
	Flagged   int64         `json:"flagged"` // done documents with findings
	Tokens    tokensView    `json:"tokens"`
	Calls     int64         `json:"calls"`
	CostUSD   *float64      `json:"cost_usd"`
	BudgetUSD *float64      `json:"budget_usd"`
	// Service is the tier of the run's calls. StandardCalls counts the calls that were billed at the
	// standard tier.
	Service       string     `json:"service"`
	FlexFallback  bool       `json:"flex_fallback"`
	StandardCalls int64      `json:"standard_calls"`
	Reused        int64      `json:"reused"`    // done documents whose summary the ledger had
	Saved         float64    `json:"saved_usd"` // what these summaries had cost
	Queue         *queueView `json:"queue"`
	Workers       int64      `json:"workers"`
	Rate          float64    `json:"documents_per_second"` // of the last minute; finished: the mean
	ETA           *float64   `json:"eta_seconds"`
	// Waiting is why the run does not go on now, else null. Interrupted is set if no process works
	// on it.
	Waiting     *runprogress.Waiting `json:"waiting"`
	Interrupted bool                 `json:"interrupted"`
	// Learned is what is known of the run's model at its endpoints, the newest first.
	Learned []learnedView `json:"learned"`
	// Unreachable names what could not be asked, with the reason.
	Unreachable []string   `json:"unreachable"`
	Created     time.Time  `json:"created_at"`
	Started     *time.Time `json:"started_at"`
	Finished    *time.Time `json:"finished_at"`
	Balanced    bool       `json:"balanced"`

	costNano  *int64
	savedNano int64
}

// learnedView is what is known of a model at an endpoint.
type learnedView struct {
	Endpoint      string   `json:"endpoint"`
	Model         string   `json:"model"`
	ThoughtTokens int      `json:"thought_tokens"`  // mean of an answer
	Headroom      int      `json:"headroom_tokens"` // added to the cap of an answer for thought
	MostOutput    *int     `json:"most_output_tokens"`
	Window        *int     `json:"window_tokens"`
	Refused       []string `json:"refused"` // parts that requests leave out

	about string
}

// learned reads what is known of a model; "" reads all models.
func (a *app) learned(ctx context.Context, model string) ([]learnedView, error) {
	views := []learnedView{}
	rows, err := a.ledger.Traits(ctx)
	if err != nil {
		return views, err
	}
	slices.SortStableFunc(rows, func(x, y ledger.Traits) int { return y.Changed.Compare(x.Changed) })
	for _, row := range rows {
		var t traits.Traits
		if model != "" && row.Model != model || json.Unmarshal([]byte(row.Body), &t) != nil {
			continue
		}
		now := time.Now()
		v := learnedView{
			Endpoint: row.Host, Model: row.Model, ThoughtTokens: t.Thought.Typical(), Headroom: t.Thought.Headroom(),
			Refused: append([]string{}, t.LeftOut(now)...), about: t.Describe(now),
		}
		if t.MostOutput > 0 {
			v.MostOutput = &t.MostOutput
		}
		if t.Window > 0 {
			v.Window = &t.Window
		}
		views = append(views, v)
	}
	return views, nil
}

type tokensView struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}

// status reads the status of a run from the ledger.
func (a *app) status(ctx context.Context, run ledger.Run) (statusView, error) {
	totals, account, err := a.ledger.Totals(ctx, run.ID)
	if err != nil {
		return statusView{}, err
	}
	v := statusView{
		Run: run.Name, Source: run.Source, Model: run.Model, Profile: run.Profile, State: run.State, Message: run.Message, Until: notZero(run.Until), Documents: totals,
		Tokens: tokensView{account.TokensIn, account.TokensOut}, Calls: account.Calls, Created: run.Created,
		Started: notZero(run.Started), Finished: notZero(run.Finished), Balanced: totals.Balanced() && (run.State != ledger.Finished || totals.Remaining == 0),
	}
	v.Service, v.FlexFallback, v.StandardCalls = cmp.Or(run.Service, string(llm.TierStandard)), run.FlexFallback, account.StandardCalls
	if run.Reason != "" {
		v.Reason = &run.Reason
	}
	if run.Quota != "" {
		v.Quota = &run.Quota
	}
	if account.CostKnown {
		cost := float64(account.CostNano) / 1e9
		v.CostUSD, v.costNano = &cost, &account.CostNano
	}
	if run.BudgetNano != nil {
		budget := float64(*run.BudgetNano) / 1e9
		v.BudgetUSD = &budget
	}
	if v.Flagged, err = report.New(a.ledger).Flagged(ctx, run.ID); err != nil {
		return v, err
	}
	p, err := runprogress.Read(ctx, a.ledger, run, runprogress.Options{Remaining: totals.Remaining, Shared: !a.embedded(), Now: time.Now()})
	if err != nil {
		return v, err
	}
	v.Workers, v.Rate, v.Waiting, v.Interrupted = p.Workers, p.PerSecond, p.Waiting, p.Interrupted
	if took := run.Finished.Sub(run.Started); run.State == ledger.Finished && !run.Started.IsZero() && took > 0 {
		v.Rate = float64(totals.Done+totals.Dead) / took.Seconds()
	}
	if p.ETA != nil {
		eta := p.ETA.Seconds()
		v.ETA = &eta
	}
	v.Reused, v.savedNano, v.Saved = p.Reuse.Documents, p.Reuse.SavedNano, float64(p.Reuse.SavedNano)/1e9
	v.Unreachable = []string{}
	v.Learned, err = a.learned(ctx, run.Model)
	return v, err
}

// statuses reads the current status of runs.
func (a *app) statuses(ctx context.Context, runs []ledger.Run) (views []statusView, err error) {
	for _, r := range runs {
		run, err := a.ledger.RunByID(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		v, err := a.status(ctx, run)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// queueView is the number of tasks by state.
type queueView struct {
	Pending   int64 `json:"pending"`
	Active    int64 `json:"active"`
	Retry     int64 `json:"retry"`
	Scheduled int64 `json:"scheduled"`
	Archived  int64 `json:"archived"`
}

// statusDayView adds the cost of all runs on the current UTC day of the ledger.
type statusDayView struct {
	statusView
	CostUSDDay   *float64 `json:"cost_usd_day"`
	BudgetUSDDay *float64 `json:"budget_usd_day"`

	day     time.Time
	dayNano *int64
	// ledgerAway is set if the ledger did not answer. Only run and queue are known then.
	ledgerAway              bool
	ledgerError, queueError string
}

func (a *app) statusAndDay(ctx context.Context, run ledger.Run) (statusDayView, error) {
	var v statusDayView
	var err error
	if v.statusView, err = a.status(ctx, run); err != nil {
		return v, err
	}
	today, err := a.ledger.Today(ctx)
	if err != nil {
		return v, err
	}
	v.day = today.Begin
	if today.CostKnown {
		cost := float64(today.CostNano) / 1e9
		v.CostUSDDay, v.dayNano = &cost, &today.CostNano
	}
	if a.config.BudgetUSDDay > 0 {
		v.BudgetUSDDay = &a.config.BudgetUSDDay
	}
	return v, nil
}

func (c *cli) statusCommand() *cobra.Command {
	var output outputFlag
	var watch bool
	command := c.command("status", readsQueue, &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show the progress of a run",
		Long: `Status shows a run's documents, calls, tokens and cost, as recorded in the ledger, and the tasks in
the queue if --redis is set. Without RUN it shows the newest run. With --watch it repeats that every
second until the run ends, and exits with the code that ` + "`gistmill run`" + ` would have.

If Redis or the ledger is down, it answers within 2 s with what it can read.

  gistmill status
  gistmill status 20260131-k7m2qd -o json`,
		Args:              oneArgOrNone,
		ValidArgsFunction: c.completeRun,
	}, func(ctx context.Context, a *app, args []string) error {
		r, err := newStatusReader(a, strings.Join(args, ""))
		if err != nil {
			return err
		}
		defer r.close()
		if watch {
			return r.watch(ctx, output.json)
		}
		v, err := r.read(ctx)
		if err != nil {
			return err
		}
		if err := output.write(c.stdout, v.object(), func() error { return table(c.stdout, v.rows()...) }); err != nil {
			return err
		}
		if v.ledgerAway {
			return &exitError{exitFailed, "the ledger cannot be reached; check --store or GISTMILL_STORE"}
		}
		return nil
	})
	command.Flags().BoolVarP(&watch, "watch", "w", false, "repeat every second until the run ends")
	output.add(command)
	return command
}

// rows returns the status for people.
func (v statusDayView) rows() [][]string {
	if v.ledgerAway {
		rows := [][]string{{"ledger", "unreachable: " + v.ledgerError}}
		if v.Run != "" {
			rows = slices.Insert(rows, 0, []string{"run", v.Run})
		}
		return append(rows, v.queueRows()...)
	}
	state := string(v.State)
	switch {
	case v.Reason != nil && v.Until != nil:
		state += fmt.Sprintf(" (%s, until %s)", *v.Reason, ledger.ClockTime(*v.Until))
	case v.Reason != nil:
		state += " (" + string(*v.Reason) + ")"
	case v.Interrupted:
		state += ", interrupted"
	}
	d := v.Documents
	rows := [][]string{
		{"run", v.Run},
		{"source", v.Source},
		{"model", v.Model},
		{"state", state},
		{"documents", fmt.Sprintf("%s: %s done, %s dead, %s unchanged, %s to do", number(d.Total), number(d.Done), number(d.Dead), number(d.Skipped), number(d.Remaining))},
		{"calls", fmt.Sprintf("%s, tokens %s in, %s out", number(v.Calls), number(v.Tokens.In), number(v.Tokens.Out))},
		{"cost", usd(v.costNano)},
	}
	if v.Service == string(llm.TierFlex) {
		rows = append(rows, []string{"service", fmt.Sprintf("flex, %s at the standard price", count(v.StandardCalls, "call"))})
	}
	for _, l := range v.Learned {
		if l.about != "" {
			rows = append(rows, []string{"learned", text.TerminalLine(l.Model + " at " + l.Endpoint + " " + l.about)})
		}
	}
	if v.Reused > 0 {
		rows = append(rows, []string{"reuse", reused(v.Reused, v.savedNano)})
	}
	if v.Flagged > 0 {
		rows = append(rows, []string{"flagged", summaries(v.Flagged) + " with findings"})
	}
	if v.Message != "" {
		rows = append(rows, []string{"message", v.Message})
	}
	if v.BudgetUSD != nil {
		rows = append(rows, []string{"budget", text.USD(*v.BudgetUSD)})
	}
	day := usd(v.dayNano)
	if v.BudgetUSDDay != nil {
		day += " of " + text.USD(*v.BudgetUSDDay)
	}
	rows = append(rows, []string{"day", fmt.Sprintf("%s, all runs, %s UTC", day, v.day.Format("2006-01-02"))})
	if v.State == ledger.Running {
		rows = append(rows, []string{"workers", number(v.Workers)})
	}
	if v.Rate > 0 && v.State == ledger.Running {
		speed := fmt.Sprintf("%.1f documents/s", v.Rate)
		if v.ETA != nil {
			speed += ", about " + round(time.Duration(*v.ETA*float64(time.Second))) + " to go"
		}
		rows = append(rows, []string{"speed", speed})
	}
	if v.Started != nil && v.Finished != nil {
		rows = append(rows, []string{"took", round(v.Finished.Sub(*v.Started))})
	}
	if v.Waiting != nil {
		rows = append(rows, []string{"waiting", strings.TrimPrefix(v.Waiting.Message, "waiting ")})
	}
	rows = append(rows, v.queueRows()...)
	if !v.Balanced {
		rows = append(rows, []string{"WARNING", "the counts of documents do not add up to the total"})
	}
	return rows
}

// queueRows returns the line about the queue, if there is one.
func (v statusDayView) queueRows() [][]string {
	switch q := v.Queue; {
	case v.queueError != "":
		return [][]string{{"queue", "unreachable: " + v.queueError}}
	case q != nil:
		return [][]string{{"queue", fmt.Sprintf("%d pending, %d active, %d retry, %d scheduled, %d archived", q.Pending, q.Active, q.Retry, q.Scheduled, q.Archived)}}
	}
	return nil
}

// reused says what was not paid for.
func reused(documents, savedNano int64) string {
	s := number(documents) + " reused"
	if savedNano > 0 {
		s += ", " + usd(&savedNano) + " saved"
	}
	return s
}

// outcome returns the result of runs that ended, as an exit code with a message. If several apply,
// the order is 1, 5, 3, 0.
func (a *app) outcome(all []statusView) error {
	dead := sum(all).documents.Dead
	failed, budget := stoppedRuns(all)
	switch {
	case len(failed) > 0:
		return &exitError{exitFailed, strings.Join(append(failed, budget...), "\n")}
	case len(budget) > 0:
		return &exitError{exitBudget, strings.Join(budget, "\n")}
	case dead > 0:
		return &exitError{exitDead, fmt.Sprintf("%s dead; see `gistmill dead list --summary`, and retry with `gistmill dead retry`", count(dead, "document"))}
	}
	return nil
}

// stoppedRuns says which runs were stopped and why: those that reached a budget, and others.
func stoppedRuns(all []statusView) (failed, budget []string) {
	for _, v := range all {
		switch {
		case !v.Balanced:
			failed = append(failed, fmt.Sprintf("run %s: the counts of documents do not add up; please report this with the output of `gistmill status %s -o json`", v.Run, v.Run))
		case v.Reason == nil:
		case *v.Reason == ledger.Budget:
			budget = append(budget, fmt.Sprintf("run %s stopped with %s: %s", v.Run, toDo(v.Documents.Remaining), v.Message))
		default:
			failed = append(failed, fmt.Sprintf("run %s was stopped (%s): %s; %s; run the same command again to continue",
				v.Run, *v.Reason, orDash(v.Message), toDo(v.Documents.Remaining)))
		}
	}
	return failed, budget
}

func toDo(documents int64) string {
	return count(documents, "document") + " to do"
}
