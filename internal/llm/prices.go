package llm

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gistmill/gistmill/internal/text"
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

	Line int `yaml:"-"` // where the row begins in its file
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
	var file priceFile
	var document yaml.Node
	if err := yaml.NewDecoder(r).Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) > 0 && document.Content[0].Tag != "!!null" {
		if problems := decodeFields(document.Content[0], reflect.ValueOf(&file).Elem(), "the file"); len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
	}
	if file.Version > 1 {
		return nil, fmt.Errorf("version %d is newer than this program", file.Version)
	}
	p := &Prices{rows: make(map[string]priceRow, len(file.Models))}
	var errs []error
	for i, row := range file.Models {
		key := strings.ToLower(row.Name)
		if err := row.check(); err != nil {
			errs = append(errs, fmt.Errorf("line %d: model %d (%q): %w", row.Line, i+1, row.Name, err))
		} else if _, twice := p.rows[key]; twice {
			errs = append(errs, fmt.Errorf("line %d: model %d (%q) is listed twice", row.Line, i+1, row.Name))
		}
		p.rows[key] = row
	}
	return p, errors.Join(errs...)
}

// decodeFields decodes an object into a struct, and returns what is wrong with its lines and
// fields. An unknown field is wrong: a misspelt one would leave a price unset.
func decodeFields(n *yaml.Node, into reflect.Value, what string) (problems []string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return []string{fmt.Sprintf("line %d: %s must be an object with fields", n.Line, what)}
	}
	fields := map[string]reflect.Value{}
	for i := range into.NumField() {
		if name := into.Type().Field(i).Tag.Get("yaml"); name != "-" {
			fields[name] = into.Field(i)
		}
	}
	given := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" { // <<, whose fields the following ones replace
			problems = append(problems, decodeFields(value, into, what)...)
			continue
		}
		field, ok := fields[key.Value]
		switch {
		case !ok:
			known := slices.Sorted(maps.Keys(fields))
			problems = append(problems, fmt.Sprintf("line %d: %q is not a field of %s%s; it has %s",
				key.Line, key.Value, what, text.DidYouMean(key.Value, known), strings.Join(known, ", ")))
		case given[key.Value]:
			problems = append(problems, fmt.Sprintf("line %d: %s is given twice", key.Line, key.Value))
		default:
			problems = append(problems, decodeField(key.Value, value, field)...)
		}
		given[key.Value] = true
	}
	return problems
}

// decodeField decodes the value of a field: a list of models, names with texts, or a scalar.
func decodeField(name string, value *yaml.Node, into reflect.Value) (problems []string) {
	for value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	must := func(kind string) []string {
		return []string{fmt.Sprintf("line %d: %s must be %s", value.Line, name, kind)}
	}
	if into.Kind() == reflect.Slice {
		if value.Kind != yaml.SequenceNode {
			return must("a list")
		}
		into.Set(reflect.MakeSlice(into.Type(), len(value.Content), len(value.Content)))
		for i, n := range value.Content {
			problems = append(problems, decodeFields(n, into.Index(i), "a model")...)
			into.Index(i).FieldByName("Line").SetInt(int64(n.Line))
		}
		return problems
	}
	var number float64
	cut := into.Kind() == reflect.Int && value.Decode(&number) == nil && number != math.Trunc(number)
	if !cut && value.Decode(into.Addr().Interface()) == nil {
		return nil
	}
	kind := map[reflect.Kind]string{
		reflect.Map: "an object of names and texts", reflect.String: "a text", reflect.Int: "a whole number",
	}[into.Kind()]
	kind = cmp.Or(kind, "a number")
	if value.Kind == yaml.ScalarNode {
		kind += fmt.Sprintf(", not %q", text.CutRunes(value.Value, 40))
	}
	return must(kind)
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
	for _, price := range []struct {
		field string
		value *float64
	}{
		{"input", p.Input}, {"cached_input", p.CachedInput}, {"cache_write", p.CacheWrite}, {"output", p.Output}, {"batch", &p.Batch},
		{"flex", p.Flex}, {"tier_cached", p.TierCached}, {"long_input", &p.LongInput}, {"long_output", &p.LongOutput},
	} {
		if price.value != nil && !(*price.value >= 0 && *price.value <= 1e6) {
			return fmt.Errorf("%s is %g, and must be a number from 0 to 1,000,000", price.field, *price.value)
		}
	}
	for _, tokens := range []struct {
		field string
		value int
	}{{"context", p.Context}, {"max_output", p.MaxOutput}, {"long_above", p.LongAbove}} {
		if tokens.value < 0 {
			return fmt.Errorf("%s is %d, and must not be negative", tokens.field, tokens.value)
		}
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
type UnpricedError struct {
	Models []string
	Tier   Tier
}

// Error names the models and says what to do.
func (e *UnpricedError) Error() string {
	at := ""
	if e.Tier == TierFlex {
		at = " at the flex tier"
	}
	return "a budget in USD needs a price, and none is known for model " + strings.Join(e.Models, ", ") + at +
		": give one with --prices FILE, or cap tokens with --budget-tokens"
}

// MaxOutput returns the maximum output tokens of one answer, or 0 if unknown.
func (p *Prices) MaxOutput(model string) int {
	row, _ := p.lookup(model)
	return row.MaxOutput
}
