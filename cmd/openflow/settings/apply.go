package settings

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"openflow"
)

// Apply gives the settings of s, which Register has made flags of, their values as far as the command line leaves them
// open. They come from the environment, where ";" separates those of a list, then from the file that --config or
// OPENFLOW_CONFIG names. CodeInvalid: a value does not fit, a key of the file is no setting, or a required one is missing.
func Apply(flags *pflag.FlagSet, s any) error {
	file := flags.Lookup(configFlag).Value.String()
	if file == "" {
		file = os.Getenv(variable(configFlag, ""))
	}
	var given map[string]entry
	if file != "" {
		var err error
		if given, err = readFile(file); err != nil {
			return err
		}
	}
	list := fields(s)
	if err := known(file, given, list); err != nil {
		return err
	}
	if err := valued(file, given); err != nil {
		return err
	}
	for _, f := range list {
		if err := apply(flags.Lookup(f.Name), f, file, given); err != nil {
			return err
		}
		if f.Required != "" && f.value.IsZero() {
			return openflow.Errorf(openflow.CodeInvalid, "--%s is missing", f.Name).WithHint("for example: %s", f.Required)
		}
	}
	return nil
}

// known refuses the first key of a file that is no setting.
func known(file string, given map[string]entry, list []Field) error {
	rest := maps.Clone(given)
	for _, f := range list {
		delete(rest, f.Name)
	}
	if len(rest) == 0 {
		return nil
	}
	first := slices.MinFunc(slices.Collect(maps.Keys(rest)), func(a, b string) int { return rest[a].line - rest[b].line })
	return openflow.Errorf(openflow.CodeInvalid, "%s: unknown key %q", at(file, rest[first].line), first).WithHint("%s", near(first, list))
}

// valued refuses the first key of a file that has no value.
func valued(file string, given map[string]entry) error {
	for _, name := range slices.SortedFunc(maps.Keys(given), func(a, b string) int { return given[a].line - given[b].line }) {
		if len(given[name].values) == 0 {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %s needs a value or a list of values", at(file, given[name].line), name)
		}
	}
	return nil
}

func apply(flag *pflag.Flag, f Field, file string, given map[string]entry) error {
	if flag.Changed {
		return nil
	}
	if v, ok := os.LookupEnv(f.Variable); ok {
		return set(flag, strings.Split(v, ";"), "environment variable "+f.Variable)
	}
	if e, ok := given[f.Name]; ok {
		if _, list := flag.Value.(pflag.SliceValue); !list && len(e.values) > 1 {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %s takes one value, not a list", at(file, e.line), f.Name)
		}
		return set(flag, e.values, fmt.Sprintf("%s: %s", at(file, e.line), f.Name))
	}
	return nil
}

func set(flag *pflag.Flag, values []string, where string) error {
	if _, list := flag.Value.(pflag.SliceValue); !list && len(values) != 1 {
		values = []string{strings.Join(values, ";")}
	}
	for _, v := range values {
		if err := flag.Value.Set(v); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %w", where, err)
		}
	}
	flag.Changed = true
	return nil
}
