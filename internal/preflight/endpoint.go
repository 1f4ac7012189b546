package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/traits"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// document is the text of the tiny call. It has more words than a document must have.
var document = summarize.Document{ //nolint:gochecknoglobals // never changed
	URI: "check.txt", Title: "Check",
	Text: "The harbour of the town was rebuilt in 1994. A ferry leaves for the island every 40 minutes.",
}

// listTimeout bounds the request for the list of models.
const listTimeout = 20 * time.Second

// Target is an endpoint to check.
type Target struct {
	Name    string // begins the names of its rows; empty for the first endpoint
	BaseURL string // for people, without a password
	Client  *llm.Client
	HasKey  bool
	Known   *traits.Model // may be nil
	// Profile is that of the run, with the model that this endpoint is asked for.
	Profile summarize.Profile
	Prices  *llm.Prices
	// Window is the context window of the settings in tokens; 0: known by model.
	Window   int
	RPM, TPM int // of the settings; 0: unknown
	// NeedsPrice says that a budget in US dollars applies.
	NeedsPrice bool
	// Answers returns the header of the last answer of Client; nil: none.
	Answers func() http.Header
	// Book reserves the call. It returns what books its end, and a note for people; the note is
	// empty if the call is booked in the ledger. An error is why the call must not be made.
	Book func(ctx context.Context, r llm.Request) (end func(llm.Response, error) (note string, err error), err error)
}

// Check returns the rows of an endpoint: it asks for the list of models, and makes one call. Each
// request ends with the timeout of its client.
func (t Target) Check(ctx context.Context) []Row {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listing, listErr := t.Client.ListModels(limited)
	listed, hasList := models{}, false
	if listErr == nil {
		listed, hasList = parseModels(listing.Body)
	}
	call := &oneCall{target: t}
	if reached(listErr) {
		call.run(ctx)
	} else {
		call.reason = "the endpoint is not reachable"
	}
	rows := []Row{
		t.endpointRow(listing, listErr), t.keyRow(listing, listErr, call), t.modelRow(listed, hasList, listErr, call), call.row(),
		t.parametersRow(call), t.windowRow(listed), t.limitsRow(call), t.priceRow(),
	}
	for i := range rows {
		rows[i].Check = strings.TrimSpace(t.Name + " " + rows[i].Check)
	}
	return rows
}

// reached reports whether an answer came, whichever it is.
func reached(err error) bool {
	var failed *llm.Error
	return err == nil || errors.As(err, &failed) && failed.Status != 0
}

func (t Target) endpointRow(l llm.Listing, err error) Row {
	if !reached(err) {
		return Row{Check: "endpoint", State: Failed, Message: err.Error()}
	}
	how := []string{"answers in " + round(l.Took)}
	if l.TLS != "" {
		how = append(how, l.TLS)
	}
	if l.Proxy != "" {
		how = append(how, "through the proxy "+l.Proxy)
	}
	return Row{Check: "endpoint", State: OK, Message: t.BaseURL + ": " + strings.Join(how, ", ")}
}

func (t Target) keyRow(l llm.Listing, listErr error, c *oneCall) Row {
	row := Row{Check: "key", State: Unknown, Message: "not known: no request was answered"}
	refused := func(err error) bool {
		var failed *llm.Error
		return errors.As(err, &failed) && (failed.Status == http.StatusUnauthorized || failed.Status == http.StatusForbidden ||
			failed.Class == llm.Halted && strings.Contains(failed.Message, "API key"))
	}
	switch {
	case c.answered && t.HasKey:
		row.State, row.Message = OK, "accepted"
	case c.answered:
		row.Message = "none is set, and none is needed"
	case refused(c.err):
		row.State, row.Message = Failed, c.err.Error()
	case !c.made && refused(listErr):
		row.State, row.Message = Failed, listErr.Error()
	case listErr == nil && l.Status != 0 && t.HasKey:
		row.Message = "the list of models takes it; no call was answered"
	}
	return row
}

func (t Target) modelRow(listed models, hasList bool, listErr error, c *oneCall) Row {
	model := t.Profile.Model
	row := Row{Check: "model", State: Unknown, Message: model + ": not known"}
	name, found := listed.find(model)
	switch {
	case c.answered && c.response.Model != "" && c.response.Model != model:
		row.State, row.Message = OK, model+": answers as "+c.response.Model
	case c.answered:
		row.State, row.Message = OK, model+": answers"
	case found:
		row.State, row.Message = OK, model+": is in the list of models"
		if name != model {
			row.Message += " as " + name
		}
	case hasList:
		if c.made {
			row.State = Failed
		}
		row.Message = fmt.Sprintf("%s: is not among the %d models of the endpoint%s", model, len(listed.names), text.DidYouMean(model, listed.names))
		row.Advice = "set --model to one of them: " + strings.Join(some(listed.names, 5), ", ")
	case listErr == nil || reached(listErr):
		row.Message = model + ": the endpoint does not list its models"
	}
	return row
}

// round returns a time of at least a millisecond for people.
func round(d time.Duration) string { return max(d, time.Millisecond).Round(time.Millisecond).String() }

// some returns the first names, in order.
func some(names []string, most int) []string {
	names = slices.Sorted(slices.Values(names))
	if len(names) <= most {
		return names
	}
	return append(names[:most], fmt.Sprintf("and %d more", len(names)-most))
}

func (t Target) parametersRow(c *oneCall) Row {
	row := Row{Check: "parameters", State: Unknown, Message: "not known"}
	var refused []string
	for part := range t.Known.Known().Refused {
		if t.Known.Without(part) {
			refused = append(refused, part)
		}
	}
	slices.Sort(refused)
	without := ""
	if len(refused) > 0 {
		without = "without " + strings.Join(refused, ", ")
	}
	switch {
	case c.answered && c.err == nil:
		row.State, row.Message = OK, "the answer is valid against the schema"
		if without != "" {
			row.Message += "; requests are written " + without
		}
	case c.answered && c.response.FinishReason == llm.FinishLength:
		row.Message = "the answer was cut at its cap; a run asks again with more"
		row.Advice = "if most answers are cut, raise --max-output-tokens"
	case c.answered:
		row.State, row.Message = Failed, c.err.Error()
		row.Advice = "a run asks a second time; try a --schema that is simpler, or another model"
	case without != "":
		row.Message = "requests are written " + without
	}
	return row
}

func (t Target) windowRow(listed models) Row {
	row := Row{Check: "window", State: OK}
	name, _ := listed.find(t.Profile.Model)
	told := listed.windows[name]
	if told == 0 {
		told = t.Known.Known().Window
	}
	byTable := t.Prices.SmallestWindow(t.Profile.Model)
	switch {
	case t.Window > 0 && told > 0 && t.Window > told:
		row.State = Failed
		row.Message = fmt.Sprintf("--context-tokens is %s, and the endpoint has %s", tokens(t.Window), tokens(told))
		row.Advice = fmt.Sprintf("set --context-tokens to %d or less", told)
	case t.Window > 0:
		row.Message = tokens(t.Window) + ", by --context-tokens"
	case told > 0:
		row.Message = tokens(told) + ", as the endpoint says"
		if told != byTable {
			row.Advice = fmt.Sprintf("set --context-tokens %d to be sure: the table of models has %s", told, tokens(byTable))
			if t.tableIsDefault() {
				row.Advice = fmt.Sprintf("set --context-tokens %d: %s are assumed for an unknown model", told, tokens(byTable))
			}
		}
	case t.tableIsDefault():
		row.State, row.Message = Unknown, fmt.Sprintf("not known: %s are assumed", tokens(byTable))
		row.Advice = "set --context-tokens to the window of the model"
	default:
		row.Message = tokens(byTable) + ", by the table of models"
	}
	return row
}

// tableIsDefault reports whether the table has no window of the model.
func (t Target) tableIsDefault() bool {
	return t.Prices.SmallestWindow(t.Profile.Model) == llm.DefaultContextTokens
}

func tokens(n int) string { return humanize.Comma(int64(n)) + " tokens" }

func (t Target) limitsRow(c *oneCall) Row {
	row := Row{Check: "limits", State: OK}
	var set []string
	if t.RPM > 0 {
		set = append(set, humanize.Comma(int64(t.RPM))+" requests a minute")
	}
	if t.TPM > 0 {
		set = append(set, humanize.Comma(int64(t.TPM))+" tokens a minute")
	}
	var said []string
	if t.Answers != nil {
		said = announced(t.Answers())
	}
	switch {
	case len(set) > 0 && len(said) > 0:
		row.Message = "set: " + strings.Join(set, ", ") + "; announced: " + strings.Join(said, ", ")
	case len(set) > 0:
		row.Message = "set: " + strings.Join(set, ", ")
	case len(said) > 0:
		row.Message = "announced: " + strings.Join(said, ", ")
	case c.answered:
		row.State, row.Message = Unknown, "none announced: a run learns them"
		row.Advice = "if you know them, set --rpm and --tpm"
	default:
		row.State, row.Message = Unknown, "not known"
	}
	return row
}

func (t Target) priceRow() Row {
	in, known := t.Prices.Cost(t.Profile.Model, "", llm.Usage{In: 1e6})
	if known {
		out, _ := t.Prices.Cost(t.Profile.Model, "", llm.Usage{Out: 1e6})
		return Row{Check: "price", State: OK, Message: fmt.Sprintf("%s in, %s out for a million tokens", text.USD(in), text.USD(out))}
	}
	row := Row{Check: "price", State: Unknown, Message: "not known for " + t.Profile.Model, Advice: "set it with --prices FILE, or bound a run with --budget-tokens"}
	if t.NeedsPrice {
		row.State, row.Message = Failed, row.Message+", and a budget in US dollars needs it"
	}
	return row
}
