package usage

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gistmill/gistmill/internal/text"
)

// FlagError words an error of a command's flags as a sentence that says what to do. It returns
// errors of other kinds unchanged.
func FlagError(command *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		return fmt.Errorf("unknown flag: --%s%s", unknown.GetSpecifiedName(), suggestFlag(command, unknown.GetSpecifiedName()))
	case errors.As(err, &missing):
		name, _ := pflag.UnquoteUsage(missing.GetFlag())
		return fmt.Errorf("--%s needs a value: --%s %s", missing.GetFlag().Name, missing.GetFlag().Name, name)
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		why := invalidValue(flag, invalid.GetValue())
		if why == "" {
			why = errors.Unwrap(err).Error()
		}
		return fmt.Errorf("--%s %s", flag.Name, why)
	}
	return err
}

// invalidValue is the reason why pflag refuses a value of a type of its own, or "" for other types,
// whose errors are sentences.
func invalidValue(flag *pflag.Flag, value string) string {
	quoted := strconv.Quote(text.CutRunes(value, 80))
	switch flag.Value.Type() {
	case "int", "int64":
		if _, err := strconv.ParseInt(value, 0, 64); errors.Is(err, strconv.ErrRange) {
			return quoted + " is out of range"
		}
		return quoted + " is not a whole number"
	case "uint", "uint64":
		return quoted + " is not a whole number, 0 or more"
	case "float64":
		return quoted + " is not a number"
	case "duration":
		return quoted + " is not a duration with a unit; example: 30s"
	case "bool":
		return text.NotOneOf(value, "true", "false")
	}
	return ""
}
