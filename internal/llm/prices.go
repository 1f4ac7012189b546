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

// DefaultContextTokens is the window of a model that is not in the table: what
// the smallest models in use have.
const DefaultContextTokens = 8192

// A Price is what a model costs, in USD for a million tokens, and how large it
// is. See prices.yaml for the fields.
type Price struct {
	Name        string   `yaml:"name"`
	Input       *float64 `yaml:"input"`
	CachedInput *float64 `yaml:"cached_input"` // Input when nil
	CacheWrite  *float64 `yaml:"cache_write"`  // Input when nil
	Output      *float64 `yaml:"output"`
	Batch       float64  `yaml:"batch"` // factor; 0: no batch price known
	LongAbove   int      `yaml:"long_above"`
	LongInput   float64  `yaml:"long_input"`
	LongOutput  float64  `yaml:"long_output"`
	Context     int      `yaml:"context"`    // tokens; 0: unknown
	MaxOutput   int      `yaml:"max_output"` // tokens; 0: unknown
	Source      string   `yaml:"source"`
	Date        string   `yaml:"date"` // when it was seen, 2006-01-02
}

// Prices is a table of prices and model sizes. It does not change after it is
// made, and is safe for concurrent use.
type Prices struct {
	rows map[string]Price
	date string
}

type priceFile struct {
	Version int               `yaml:"version"`
	Date    string            `yaml:"date"`
	Sources map[string]string `yaml:"sources"`
	Models  []Price           `yaml:"models"`
}

// LoadPrices returns the built-in table, with the rows of the file at path
// before it. An empty path means the built-in table alone.
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

// NewPrices returns the built-in table, with the rows read from overrides
// (YAML or JSON in the form of prices.yaml; may be nil) in place of those of the
// same name.
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
	decoder.KnownFields(true) // a misspelt field would be a price of nothing
	var file priceFile
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if file.Version > 1 {
		return nil, fmt.Errorf("version %d is newer than this program", file.Version)
	}
	p := &Prices{rows: make(map[string]Price, len(file.Models)), date: file.Date}
	var errs []error
	for i, row := range file.Models {
		key := strings.ToLower(row.Name)
		if err := row.check(); err != nil {
			errs = append(errs, fmt.Errorf("model %d (%q): %w", i+1, row.Name, err))
		} else if _, twice := p.rows[key]; twice {
			errs = append(errs, fmt.Errorf("model %d (%q) is there twice", i+1, row.Name))
		}
		p.rows[key] = row
	}
	return p, errors.Join(errs...)
}

func (p Price) check() error {
	if p.Name == "" {
		return errors.New("no name")
	}
	if strings.TrimSpace(p.Name) != p.Name {
		return errors.New("white space around the name, by which it would never be found")
	}
	if (p.Input == nil) != (p.Output == nil) {
		return errors.New("input and output price go together (leave both out to give only sizes)")
	}
	for _, price := range []*float64{p.Input, p.CachedInput, p.CacheWrite, p.Output, &p.Batch, &p.LongInput, &p.LongOutput} {
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

// dated matches the ends of names that only fix a model's version.
var dated = regexp.MustCompile(`(?:[-@]20\d{2}-?[01]\d-?[0-3]\d)$`)

// Lookup returns the row of a model: by its whole name, by the name without a
// provider's prefix, and by either without a date. It guesses no further: a
// fine-tune or an audio variant has a price of its own.
func (p *Prices) Lookup(model string) (Price, bool) {
	name := strings.ToLower(strings.TrimSpace(model))
	for _, candidate := range []string{name, strings.ToLower(baseModel(name))} {
		for _, n := range []string{candidate, dated.ReplaceAllString(candidate, "")} {
			if row, ok := p.rows[n]; ok {
				return row, true
			}
		}
	}
	return Price{}, false
}

// Cost returns what a usage costs at the standard tier, in USD. known is false,
// and usd 0, when the model's price is not known.
func (p *Prices) Cost(model string, u Usage) (usd float64, known bool) {
	row, ok := p.Lookup(model)
	if !ok || row.Input == nil {
		return 0, false
	}
	return row.cost(u), true
}

// CostBatch is Cost at the batch tier.
func (p *Prices) CostBatch(model string, u Usage) (usd float64, known bool) {
	row, ok := p.Lookup(model)
	if !ok || row.Input == nil || row.Batch == 0 {
		return 0, false
	}
	return row.Batch * row.cost(u), true
}

func (p Price) cost(u Usage) float64 {
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

// WorstCost is the most that a request of at most so many prompt and output
// tokens can cost: all of the prompt at the dearest of its prices, which is that
// of writing it to the cache where there is one. It is what to reserve from a
// budget before the call.
func (p *Prices) WorstCost(model string, in, out int) (usd float64, known bool) {
	row, ok := p.Lookup(model)
	if !ok || row.Input == nil {
		return 0, false
	}
	short := row // of a prompt that turns out shorter: nothing keeps a table from asking less for long ones
	short.LongAbove = 0
	for _, u := range []Usage{{In: in, Out: out}, {In: in, CachedIn: in, Out: out}, {In: in, CacheWriteIn: in, Out: out}} {
		usd = max(usd, row.cost(u), short.cost(u))
	}
	return usd, true
}

// ContextWindow returns the window of a model in tokens, prompt and answer
// together, and DefaultContextTokens for one that is not in the table.
func (p *Prices) ContextWindow(model string) int {
	if row, ok := p.Lookup(model); ok && row.Context > 0 {
		return row.Context
	}
	return DefaultContextTokens
}

// SmallestWindow is the least of the models' windows, in tokens.
func (p *Prices) SmallestWindow(models ...string) int {
	smallest := p.ContextWindow(models[0])
	for _, model := range models[1:] {
		smallest = min(smallest, p.ContextWindow(model))
	}
	return smallest
}

// Unknown lists those of the models whose price is not known.
func (p *Prices) Unknown(models ...string) []string {
	var unknown []string
	for _, model := range models {
		if row, ok := p.Lookup(model); (!ok || row.Input == nil) && !slices.Contains(unknown, model) {
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

// MaxOutput returns the most output tokens of one answer, 0 when unknown.
func (p *Prices) MaxOutput(model string) int {
	row, _ := p.Lookup(model)
	return row.MaxOutput
}

// Date is when the built-in table was last gone through, 2006-01-02.
func (p *Prices) Date() string { return p.date }

// Models lists the names in the table, sorted.
func (p *Prices) Models() []string {
	return slices.Sorted(maps.Keys(p.rows))
}
