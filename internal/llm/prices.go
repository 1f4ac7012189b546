package llm

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed prices.yaml
var builtInPrices []byte

// DefaultContextTokens is the assumed window of a model that is not in the table: that of the
// smallest models in use.
const DefaultContextTokens = 8192

// priceRow is a row of the table: what a model costs, in USD per million tokens, and its sizes.
// See prices.yaml for the fields.
type priceRow struct {
	Name        string   `yaml:"name"`
	Input       *float64 `yaml:"input"`
	CachedInput *float64 `yaml:"cached_input"` // Input when nil
	CacheWrite  *float64 `yaml:"cache_write"`  // Input when nil
	Output      *float64 `yaml:"output"`
	Batch       float64  `yaml:"batch"` // factor; 0: unknown
	Flex        *float64 `yaml:"flex"`  // factor; nil: unknown; 0: the model has no flex tier
	// TierCached is the factor of CachedInput at the batch and flex tiers; nil: that of the tier.
	TierCached *float64 `yaml:"tier_cached"`
	LongAbove  int      `yaml:"long_above"`
	LongInput  float64  `yaml:"long_input"`
	LongOutput float64  `yaml:"long_output"`
	Context    int      `yaml:"context"`    // tokens; 0: unknown
	MaxOutput  int      `yaml:"max_output"` // tokens; 0: unknown
	Source     string   `yaml:"source"`
	Date       string   `yaml:"date"` // of the source, 2006-01-02
}

// Prices is a table of prices and model sizes. It is immutable and safe for concurrent use.
//
// A model is found by its name, by the name without a provider's prefix (openai/…), and by either
// without a date at its end. Other variants, such as fine-tunes, have prices of their own and
// need a row of their own.
type Prices struct {
	rows map[string]priceRow // by name in lower case
}

type priceFile struct {
	Version int               `yaml:"version"`
	Date    string            `yaml:"date"`
	Sources map[string]string `yaml:"sources"`
	Models  []priceRow        `yaml:"models"`
}

// LoadPrices returns the built-in table with the rows of the file at path, as [NewPrices] does.
// An empty path means the built-in table alone.
func LoadPrices(path string) (*Prices, error) {
	if path == "" {
		return NewPrices(nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	defer func() { _ = f.Close() }()
	p, err := NewPrices(f)
	if err != nil {
		return nil, fmt.Errorf("prices in %s: %w", path, err)
	}
	return p, nil
}

// NewPrices returns the built-in table with the rows of overrides, which replace rows of the same
// name. overrides is YAML or JSON in the form of prices.yaml; it may be nil.
func NewPrices(overrides io.Reader) (*Prices, error) {
	p, err := parsePrices(bytes.NewReader(builtInPrices))
	if err != nil {
		return nil, fmt.Errorf("built-in prices: %w", err)
	}
	if overrides == nil {
		return p, nil
	}
	own, err := parsePrices(overrides)
	if err != nil {
		return nil, err
	}
	maps.Copy(p.rows, own.rows)
	return p, nil
}

func parsePrices(r io.Reader) (*Prices, error) {
	decoder := yaml.NewDecoder(r)
	decoder.KnownFields(true) // a misspelt field would leave a price unset
	var file priceFile
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if file.Version > 1 {
		return nil, fmt.Errorf("version %d is newer than this program", file.Version)
	}
	p := &Prices{rows: make(map[string]priceRow, len(file.Models))}
	var errs []error
	for i, row := range file.Models {
		key := strings.ToLower(row.Name)
		if err := row.check(); err != nil {
			errs = append(errs, fmt.Errorf("model %d (%q): %w", i+1, row.Name, err))
		} else if _, twice := p.rows[key]; twice {
			errs = append(errs, fmt.Errorf("model %d (%q) is listed twice", i+1, row.Name))
		}
		p.rows[key] = row
	}
	return p, errors.Join(errs...)
}

func (p priceRow) check() error {
	if p.Name == "" {
		return errors.New("no name")
	}
	if strings.TrimSpace(p.Name) != p.Name {
		return errors.New("the name begins or ends with white space and would never be found")
	}
	if (p.Input == nil) != (p.Output == nil) {
		return errors.New("give both input and output, or neither to give only sizes")
	}
	for _, price := range []*float64{p.Input, p.CachedInput, p.CacheWrite, p.Output, &p.Batch, p.Flex, p.TierCached, &p.LongInput, &p.LongOutput} {
		if price != nil && !(*price >= 0 && *price <= 1e6) {
			return errors.New("a price is negative or not a number")
		}
	}
	if p.Context < 0 || p.MaxOutput < 0 || p.LongAbove < 0 {
		return errors.New("a number of tokens is negative")
	}
	if p.LongAbove > 0 && (p.LongInput == 0 || p.LongOutput == 0) {
		return errors.New("long_above needs long_input and long_output")
	}
	return nil
}

// dated matches the date at the end of a model's name.
var dated = regexp.MustCompile(`(?:[-@]20\d{2}-?[01]\d-?[0-3]\d)$`)

// lookup returns the row of a model.
func (p *Prices) lookup(model string) (priceRow, bool) {
	name := strings.ToLower(strings.TrimSpace(model))
	for _, candidate := range []string{name, strings.ToLower(baseModel(name))} {
		for _, n := range []string{candidate, dated.ReplaceAllString(candidate, "")} {
			if row, ok := p.rows[n]; ok {
				return row, true
			}
		}
	}
	return priceRow{}, false
}

// Cost returns what a usage costs at a tier, in USD. If the model's price at this tier is unknown,
// known is false and usd is 0.
func (p *Prices) Cost(model string, tier Tier, u Usage) (usd float64, known bool) {
	row, _ := p.lookup(model)
	row, ok := row.at(tier)
	if !ok {
		return 0, false
	}
	return row.cost(u), true
}

// at returns the row with its prices at a tier; false if it has none.
func (p priceRow) at(tier Tier) (priceRow, bool) {
	var factor float64
	switch {
	case p.Input == nil:
		return p, false
	case tier == TierStandard, tier == "":
		return p, true
	case tier == TierBatch && p.Batch > 0:
		factor = p.Batch
	case tier == TierFlex && p.Flex != nil && *p.Flex > 0:
		factor = *p.Flex
	default:
		return p, false
	}
	cachedFactor := factor
	if p.TierCached != nil {
		cachedFactor = *p.TierCached
	}
	times := func(price *float64, factor float64) *float64 {
		if price == nil {
			return nil
		}
		scaled := *price * factor
		return &scaled
	}
	p.Input, p.CacheWrite, p.Output = times(p.Input, factor), times(p.CacheWrite, factor), times(p.Output, factor)
	p.CachedInput = times(p.CachedInput, cachedFactor)
	return p, true
}

// WithoutFlex reports whether the table says that a model has no flex tier.
func (p *Prices) WithoutFlex(model string) bool {
	row, _ := p.lookup(model)
	return row.Flex != nil && *row.Flex == 0
}

// cost returns the cost of a usage in USD. The row has prices.
func (p priceRow) cost(u Usage) float64 {
	in, cached, write, out := *p.Input, *p.Input, *p.Input, *p.Output
	if p.CachedInput != nil {
		cached = *p.CachedInput
	}
	if p.CacheWrite != nil {
		write = *p.CacheWrite
	}
	cachedIn := min(max(u.CachedIn, 0), u.In)
	writtenIn := min(max(u.CacheWriteIn, 0), u.In-cachedIn)
	plainIn := u.In - cachedIn - writtenIn
	input := float64(plainIn)*in + float64(cachedIn)*cached + float64(writtenIn)*write
	output := float64(u.Out) * out
	if p.LongAbove > 0 && u.In > p.LongAbove {
		input *= p.LongInput
		output *= p.LongOutput
	}
	return (input + output) / 1e6
}

// WorstCost returns the maximum cost, in USD, of a request at a tier with at most in prompt tokens
// and out output tokens: the whole prompt at the highest of its prices, which is usually that of a
// cache write. It is what to reserve from a budget before the call. It is never below the standard
// price, because an endpoint may answer a request for another tier at that price. known is false if
// a price is unknown.
func (p *Prices) WorstCost(model string, tier Tier, in, out int) (usd float64, known bool) {
	standard, _ := p.lookup(model)
	asked, ok := standard.at(tier)
	if !ok {
		return 0, false
	}
	return max(standard.worstCost(in, out), asked.worstCost(in, out)), true
}

// worstCost returns the maximum cost at the prices of the row, in USD. The row has prices.
func (p priceRow) worstCost(in, out int) (usd float64) {
	short := p // a shorter prompt can cost more: a table may give lower prices for long prompts
	short.LongAbove = 0
	for _, u := range []Usage{{In: in, Out: out}, {In: in, CachedIn: in, Out: out}, {In: in, CacheWriteIn: in, Out: out}} {
		usd = max(usd, p.cost(u), short.cost(u))
	}
	return usd
}

// contextWindow returns the window of a model in tokens, for prompt and answer together. It is
// DefaultContextTokens for a model that is not in the table.
func (p *Prices) contextWindow(model string) int {
	if row, ok := p.lookup(model); ok && row.Context > 0 {
		return row.Context
	}
	return DefaultContextTokens
}

// SmallestWindow returns the smallest window of the models in tokens, for prompt and answer
// together. A model that is not in the table counts with DefaultContextTokens. There must be at
// least one model.
func (p *Prices) SmallestWindow(models ...string) int {
	smallest := p.contextWindow(models[0])
	for _, model := range models[1:] {
		smallest = min(smallest, p.contextWindow(model))
	}
	return smallest
}

// Unknown returns the models without a known price at a tier, each once.
func (p *Prices) Unknown(tier Tier, models ...string) []string {
	var unknown []string
	for _, model := range models {
		row, _ := p.lookup(model)
		if _, ok := row.at(tier); !ok && !slices.Contains(unknown, model) {
			unknown = append(unknown, model)
		}
	}
	return unknown
}

// An UnpricedError reports models without a known price where a budget in USD needs one.
type UnpricedError struct{ Models []string }

// Error names the models and says what to do.
func (e *UnpricedError) Error() string {
	return "a budget in USD needs a price, and none is known for model " + strings.Join(e.Models, ", ") +
		": give one with --prices FILE, or cap tokens with --budget-tokens"
}

// MaxOutput returns the maximum output tokens of one answer, or 0 if unknown.
func (p *Prices) MaxOutput(model string) int {
	row, _ := p.lookup(model)
	return row.MaxOutput
}
