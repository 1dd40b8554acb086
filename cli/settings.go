package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openflow"
)

// envPrefix begins the environment variable of every flag: --listen-base is OPENFLOW_LISTEN_BASE.
const envPrefix = "OPENFLOW_"

// EnvironmentAnnotation of a flag names its environment variable, without the prefix, where it cannot be the flag's name.
const EnvironmentAnnotation = "openflow-environment"

func environmentName(f *pflag.Flag) string {
	if name := f.Annotations[EnvironmentAnnotation]; len(name) == 1 {
		return envPrefix + name[0]
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// notSettings are flags that only the command line can have.
var notSettings = []string{"help", "config"}

// ApplySettings gives flags of a command that the command line leaves open their values from the environment, where ";"
// separates those of a list, then from a YAML file. file may be empty: then OPENFLOW_CONFIG names it, or there is none.
// CodeInvalid: a value does not fit, or a key of the file is no flag; the message names it.
func ApplySettings(c *cobra.Command, file string) error {
	if file == "" {
		file = os.Getenv(envPrefix + "CONFIG")
	}
	values, err := readSettings(file)
	if err != nil {
		return err
	}
	var failed error
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(notSettings, f.Name) {
			return
		}
		given, inFile := values[f.Name]
		delete(values, f.Name)
		if f.Changed || failed != nil {
			return
		}
		if v, ok := os.LookupEnv(environmentName(f)); ok {
			failed = set(f, strings.Split(v, ";"), "environment variable "+environmentName(f))
		} else if inFile {
			failed = set(f, given, fmt.Sprintf("configuration %s: %s", file, f.Name))
		}
	})
	if unknown := slices.Sorted(maps.Keys(values)); len(unknown) > 0 {
		return openflow.Errorf(openflow.CodeInvalid, "configuration %s: unknown key %q", file, unknown[0]).
			WithHint("keys are the flags that %s --help lists", c.CommandPath())
	}
	return failed
}

func set(f *pflag.Flag, values []string, where string) error {
	if _, list := f.Value.(pflag.SliceValue); !list && len(values) != 1 {
		values = []string{strings.Join(values, ";")}
	}
	for _, v := range values {
		if err := f.Value.Set(v); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %w", where, err)
		}
	}
	f.Changed = true
	return nil
}

// readSettings reads a YAML mapping of flag names to values or lists of values.
func readSettings(file string) (map[string][]string, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s does not exist", file)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s: %w", file, err)
	}
	return parseSettings(file, b)
}

func parseSettings(file string, b []byte) (map[string][]string, error) {
	var raw map[string]any
	if err := yaml.UnmarshalWithOptions(b, &raw, yaml.Strict()); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s: %w", file, err)
	}
	values := map[string][]string{}
	for key, v := range raw {
		items, list := v.([]any)
		if !list {
			items = []any{v}
		}
		for _, item := range items {
			text, err := scalar(item)
			if err != nil {
				return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s: %s needs a value or a list of values", file, key)
			}
			values[key] = append(values[key], text)
		}
	}
	return values, nil
}

var errNotScalar = errors.New("not a single value")

func scalar(v any) (string, error) {
	switch v.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(v), nil
	}
	return "", errNotScalar
}
