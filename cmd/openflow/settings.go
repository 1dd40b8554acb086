package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openflow"
)

// envPrefix begins the environment variable of every flag: --listen-base is OPENFLOW_LISTEN_BASE.
const envPrefix = "OPENFLOW_"

// settings gives flags that the command line leaves open their values from the environment, then from a YAML file. A
// key of the file that is no flag is refused by name.
func settings(c *cobra.Command, file string) error {
	if file == "" {
		file = os.Getenv(envPrefix + "CONFIG")
	}
	values, err := readSettings(file)
	if err != nil {
		return err
	}
	var failed error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		given, inFile := values[f.Name]
		delete(values, f.Name)
		if f.Changed || failed != nil || f.Name == "help" {
			return
		}
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok {
			failed = set(f, strings.Split(v, ";"), "environment variable "+name)
		} else if inFile {
			failed = set(f, given, fmt.Sprintf("%s: %s", file, f.Name))
		}
	})
	for key := range values {
		return openflow.Errorf(openflow.CodeInvalid, "%s: unknown key %q", file, key).WithHint("keys are the flags of openflow server")
	}
	return failed
}

func set(f *pflag.Flag, values []string, where string) error {
	if _, list := f.Value.(pflag.SliceValue); !list && len(values) > 1 {
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
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				values[key] = append(values[key], fmt.Sprint(item))
			}
		case map[string]any, nil:
			return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s: %s needs a value or a list of values", file, key)
		default:
			values[key] = []string{fmt.Sprint(v)}
		}
	}
	return values, nil
}
