package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/preflight"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/tasks"
)

// checkTimeout bounds each check but the tiny call and the estimate, which are bounded by
// request-timeout and estimateTimeout.
const (
	checkTimeout    = 15 * time.Second
	estimateTimeout = 5 * time.Minute
)

func (c *cli) checkCommand() *cobra.Command {
	var sources sourceFlags
	var output outputFlag
	command := c.command("check", needsSettings, &cobra.Command{
		Use:   "check [SOURCE]",
		Short: "Check everything that a run needs, before it costs money",
		Long: `Check asks the endpoint for its models and makes one tiny call, and looks at prices, Redis, the ledger and
the output folder. With a source it estimates what a run will cost. It tries everything, also if
something fails, and says what to do. The call is booked in the ledger and stays within the budgets.

It makes no ledger and no folder. The exit code is 0 if nothing is wrong, and otherwise 1.

  gistmill check
  gistmill check ./docs --model gpt-4o-mini --budget-usd 2`,
		Args: oneArgOrNone,
	}, func(ctx context.Context, a *app, args []string) error {
		if len(args) > 0 && args[0] == "-" {
			return &usageError{errors.New("check cannot take standard input, because it can be read only once: write it to a file")}
		}
		report, err := a.check(ctx, args, &sources)
		if err != nil {
			return err
		}
		if err := output.write(c.stdout, report, func() error { return writeReport(c, report) }); err != nil {
			return err
		}
		if !report.OK {
			return &exitError{exitFailed, ""}
		}
		return nil
	}, "api-key")
	sources.add(command)
	output.add(command)
	return command
}

// check runs all checks. The error is that of wrong usage alone.
func (a *app) check(ctx context.Context, args []string, flags *sourceFlags) (preflight.Report, error) {
	var report preflight.Report
	profile, err := a.profile()
	if err != nil {
		return report, err
	}
	prices, err := a.prices()
	if err != nil {
		return report, err
	}
	ledgerRow, books := a.checkLedger(ctx)
	if profile.Model == summarize.Extractive {
		report.Add(preflight.Row{Check: "endpoint", State: preflight.Unknown, Message: "none: the built-in engine needs no network and costs nothing"})
	} else {
		targets, err := a.targets(profile, prices, books)
		if err != nil {
			return report, err
		}
		for _, t := range targets {
			report.Add(t.Check(ctx)...)
		}
	}
	report.Try(ctx, "redis", checkTimeout, a.checkQueue)
	report.Add(ledgerRow)
	report.Try(ctx, "output", checkTimeout, func(context.Context) (string, preflight.State, error) { return a.checkOutput(args) })
	for _, source := range args {
		report.Try(ctx, "source", estimateTimeout, func(ctx context.Context) (string, preflight.State, error) { return a.checkSource(ctx, source, flags) })
	}
	return report, ctx.Err()
}

// checkLedger opens the ledger, or an empty one in memory if there is none. books says why calls
// cannot be booked; it is empty if they can.
func (a *app) checkLedger(ctx context.Context) (row preflight.Row, books string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	row = preflight.Row{Check: "ledger", State: preflight.OK, Message: config.RedactURL(a.config.Store)}
	open := func(access ledger.Access) error {
		l, err := ledger.Open(ctx, a.config.Store, ledger.Options{Connections: a.config.StoreConnections, Access: access})
		if err == nil {
			a.ledger = l
		}
		return err
	}
	err := open(ledger.AccessRead)
	switch {
	case err == nil:
		read := a.ledger
		if err := open(ledger.AccessChange); err != nil {
			row.Message += ": can be read only (" + joinLines(err) + ")"
			row.State, books = preflight.Failed, "the ledger cannot be written"
		} else if err := read.Close(); err != nil {
			a.log.Warn("cannot close", "error", err)
		}
	case errors.Is(err, ledger.ErrMissing):
		row.State, row.Message = preflight.Unknown, row.Message+": there is none yet, the first run makes it"
		books = notBooked
	default:
		row.State, row.Message = preflight.Failed, joinLines(err)
		if !errors.Is(err, ledger.ErrOlder) {
			row.Advice = "check --store or GISTMILL_STORE"
		}
		books = "the ledger is not usable"
	}
	if a.ledger == nil {
		if err := open(ledger.AccessMemory); err != nil {
			return preflight.Row{Check: "ledger", State: preflight.Failed, Message: joinLines(err)}, "there is no ledger"
		}
	}
	a.closes = append(a.closes, a.ledger.Close)
	if err := a.book().Sync(ctx); err != nil {
		a.log.Debug("cannot read what was learned of endpoints", "error", err)
	}
	return row, books
}

// notBooked is why a call is made and not booked.
const notBooked = "not booked, because there is no ledger yet"

// targets returns the endpoints of the settings to check.
func (a *app) targets(profile summarize.Profile, prices *llm.Prices, books string) ([]preflight.Target, error) {
	var all []preflight.Target
	for i, e := range a.endpoints() {
		last := &lastAnswer{}
		client, err := e.NewClient(llm.Config{
			FailWhenDown: true, Timeout: a.config.RequestTimeout, MaxConnections: 1, UserAgent: userAgent(), Limiter: last, Logger: a.log,
		})
		if err != nil {
			return nil, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
		}
		a.closes = append(a.closes, func() error { client.Close(); return nil })
		t := preflight.Target{
			BaseURL: config.RedactURL(e.BaseURL), Client: client, HasKey: e.KeyIdentity() != "", Profile: profile, Prices: prices,
			Window: a.config.ContextTokens, RPM: e.RPM, TPM: e.TPM, NeedsPrice: a.config.BudgetUSD > 0 || a.config.BudgetUSDDay > 0,
			Answers: last.header, Book: a.bookCheck(prices, books),
		}
		if e.Model != "" {
			t.Profile.Model = e.Model
		}
		t.Known = e.Known(t.Profile.Model)
		if i > 0 {
			t.Name = fmt.Sprintf("fallback %d", i)
		}
		all = append(all, t)
	}
	return all, nil
}

// bookCheck returns what reserves a tiny call within the budgets, and books its end.
func (a *app) bookCheck(prices *llm.Prices, books string) func(context.Context, llm.Request) (func(llm.Response, error) (string, error), error) {
	return func(ctx context.Context, r llm.Request) (func(llm.Response, error) (string, error), error) {
		in, out := llm.BoundPrompt(r), r.OutputCap()
		worst, known := prices.WorstCost(r.Model, r.Tier, in, out)
		switch {
		case books != "" && books != notBooked:
			return nil, errors.New(books)
		case (a.config.BudgetUSD > 0 || a.config.BudgetUSDDay > 0) && !known:
			return nil, errors.New("a budget in US dollars applies, and the price is not known")
		case a.config.BudgetUSD > 0 && worst > a.config.BudgetUSD, a.config.BudgetUSDDay > 0 && worst > a.config.BudgetUSDDay,
			a.config.BudgetTokens > 0 && int64(in+out) > a.config.BudgetTokens:
			return nil, errors.New("it does not fit into the budget")
		case books == notBooked:
			return func(llm.Response, error) (string, error) { return notBooked, nil }, nil
		}
		token := 1 + rand.Int64N(math.MaxInt64)
		reservation := ledger.Reservation{
			Name: fmt.Sprintf("check %d", token), Token: token, Model: r.Model, ReservedTokens: int64(in + out), DayCapNano: budgetNano(a.config.BudgetUSDDay),
		}
		if known {
			nano := int64(math.Ceil(worst * 1e9))
			reservation.ReservedNano = &nano
		}
		call, err := a.ledger.BeginCheck(ctx, reservation)
		if err != nil {
			return nil, err
		}
		return func(response llm.Response, err error) (string, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
			defer cancel()
			if !llm.Sent(err) {
				return "", a.ledger.DropCheck(ctx, call, reservation)
			}
			return "", a.ledger.EndCheck(ctx, call, reservation, ledger.Class(llm.ClassOf(err)), usedByCheck(prices, reservation, r.Model, response, err))
		}, nil
	}
}

// usedByCheck returns what a tiny call cost. One that may be billed without a usage counts with its
// reservation.
func usedByCheck(prices *llm.Prices, in ledger.Reservation, model string, response llm.Response, err error) ledger.Answer {
	usage, tier := response.Usage, response.Tier
	var failed *llm.Error
	switch {
	case errors.As(err, &failed) && !failed.MayBeBilled:
		usage, tier = failed.Usage, failed.Tier
	case err != nil, usage == llm.Usage{}:
		return ledger.Answer{Endpoint: response.Endpoint, TokensIn: in.ReservedTokens, CostNano: in.ReservedNano}
	}
	used := ledger.Answer{Endpoint: response.Endpoint, TokensIn: int64(usage.In), TokensCached: int64(usage.CachedIn), TokensOut: int64(usage.Out)}
	if usd, known := usage.Billed(prices.Cost(model, tier, usage)); known {
		nano := int64(math.Ceil(usd * 1e9))
		used.CostNano = &nano
	}
	return used
}

// checkQueue connects to Redis, and writes nothing to it.
func (a *app) checkQueue(ctx context.Context) (string, preflight.State, error) {
	if a.config.Redis == "" {
		return "not set: `run` has a queue of its own, the other commands need --redis", preflight.Unknown, nil
	}
	at := config.RedactURL(a.config.Redis)
	client, err := a.dialRedis(a.config.Redis)
	if err != nil {
		return "", preflight.Failed, err
	}
	if err := client.Ping(ctx).Err(); err != nil {
		return "", preflight.Failed, fmt.Errorf("connect to Redis at %s: %w; check --redis or GISTMILL_REDIS, and that Redis runs", at, err)
	}
	warnings, err := tasks.NewQueue(client, a.config.Queue).CheckRedis(ctx)
	if err != nil {
		return "", preflight.Failed, err
	}
	return strings.Join(append([]string{at}, warnings...), "; "), preflight.OK, nil
}

// checkOutput tries the output folder as `run` does.
func (a *app) checkOutput(sources []string) (string, preflight.State, error) {
	switch a.config.Out {
	case outStdout:
		return "standard output", preflight.OK, nil
	case outNone:
		return "none: the summaries stay in the ledger", preflight.Unknown, nil
	}
	if err := a.checkOut(sources); err != nil {
		return "", preflight.Failed, err
	}
	out, err := a.openOutput()
	if err != nil {
		return "", preflight.Failed, err
	}
	out.close()
	return a.config.Out + ": can be written", preflight.OK, nil
}

// checkSource estimates what a run of a source will cost.
func (a *app) checkSource(ctx context.Context, address string, flags *sourceFlags) (string, preflight.State, error) {
	sources, err := flags.check(ctx, a, []string{address})
	if err == nil {
		err = checkMatches(ctx, a, sources)
	}
	if err != nil {
		return "", preflight.Failed, err
	}
	p, err := a.preview(ctx, sources[0], flags, false)
	if err != nil {
		return "", preflight.Failed, err
	}
	row := a.planRow(p)
	return fmt.Sprintf("%s listed, %s to do; %s", count(row.Listed, "document"), number(row.Pending), a.describeEstimate(row.Estimate, row.Model)), preflight.OK, nil
}

// writeReport writes a report as a table of at most 80 columns.
func writeReport(c *cli, report preflight.Report) error {
	const widest = 80
	width := widest
	if w := terminal.Width(c.stdout); w > 0 {
		width = min(w, widest)
	}
	names, failed := 0, int64(0)
	for _, row := range report.Rows {
		names = max(names, terminal.Columns(row.Check))
		if row.State == preflight.Failed {
			failed++
		}
	}
	indent := len("✓ ") - len("✓") + 1 + names + 2
	for _, row := range report.Rows {
		lines := text.Wrap(row.Message, width-indent)
		if row.Advice != "" {
			lines = append(lines, text.Wrap(row.Advice, width-indent)...)
		}
		if err := writeIndented(c.stdout, row.State.Mark()+" "+terminal.Pad(row.Check, names+2), indent, lines); err != nil {
			return err
		}
	}
	if failed > 0 {
		_, err := fmt.Fprintf(c.stdout, "\n%s failed\n", count(failed, "check"))
		return err
	}
	return nil
}

// lastAnswer is a limiter that admits every call and keeps the header of the last answer.
type lastAnswer struct {
	mu   sync.Mutex
	last http.Header
}

// Acquire implements [llm.Limiter].
func (l *lastAnswer) Acquire(context.Context, llm.Call) (llm.Permit, error) { return l, nil }

// Waited implements [llm.Permit].
func (l *lastAnswer) Waited() time.Duration { return 0 }

// Done implements [llm.Permit].
func (l *lastAnswer) Done(o llm.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.Header != nil {
		l.last = o.Header
	}
}

func (l *lastAnswer) header() http.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
