package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // the job, or what was asked for, failed
	exitUsage       = 2 // the command line, a document or the configuration is wrong
	exitUnreachable = 3 // the node, or a partner that it needs, does not answer
)

const exitText = `Exit codes: 0 done, 1 the job or the request failed, 2 the command line or a document is wrong, 3 the node or a
partner does not answer.`

// NewRoot is the command openflow with all commands of this package and more ones. version is that of the build, runtimes
// are those that a node of it may have.
func NewRoot(version string, runtimes driver.Openers, more ...*cobra.Command) *cobra.Command {
	o := &options{version: version, runtimes: runtimes}
	root := group("openflow", "One institution's node for federated jobs, and the tool to use it",
		`openflow runs joint computations (private set intersection, vertical logistic regression, …) between institutions
whose data stays at home. Each institution runs a node (openflow server); users submit jobs to their own.

`+exitText,
		`  openflow server --party 9999
  openflow data upload breast.csv --namespace demo --name breast --id id --label y
  openflow job submit psi.yaml --watch
  openflow doctor`)
	root.Version = version
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misread(err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&o.node, nodeFlag, sdk.DefaultURL, "address of the node's application layer (or OPENFLOW_NODE)")
	flags.StringVar(&o.token, tokenFlag, "", "token of the node, when it wants one (or OPENFLOW_TOKEN)")
	flags.StringVar(&o.ca, caFlag, "", "PEM file of certificates by which a node with an https address is known (or OPENFLOW_CA)")
	flags.StringVarP(&o.output, "output", "o", outputText, "text, or json: one document and nothing else on standard output")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		o.home = usualHome()
		if named := c.Flags().Lookup(homeName); named != nil && named.Changed {
			o.home = named.Value.String()
		}
		if err := o.complete(root.PersistentFlags()); err != nil {
			return err
		}
		return o.know()
	}
	root.AddCommand(jobCommands(o), dataCommands(o), siteCommands(o), grantCommands(o), appCommands(o), connectCommand(o), providerCommands(o), componentCommands(o), policyCommands(o), scoresCommands(o),
		auditCommands(o), doctorCommand(o))
	root.AddCommand(more...)
	return root
}

// misread is a value of a flag that is none, in words that do not name how this program reads it.
func misread(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return err
	}
	wanted, known := map[string]string{
		"int": "a whole number", "int64": "a whole number", "uint": "a whole number from 0 on", "float64": "a number", "bool": "true or false", "duration": "a duration such as 90s or 24h",
	}[wrong.GetFlag().Value.Type()]
	if !known {
		return err // its own words
	}
	return usagef("--%s %q is not %s", wrong.GetFlag().Name, wrong.GetValue(), wanted)
}

// group is a command that only holds others. Without one of them it shows its help.
func group(use, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(commands...)
	return c
}

func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// positional wants these arguments, no more and no fewer.
func positional(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// atMostOne takes one argument or none.
func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("unexpected argument %q", args[1])
	}
	return nil
}

// usage is an error of the command line.
type usage struct{ error }

// Unwrap gives the cause.
func (u usage) Unwrap() error { return u.error }

// Usage marks err as a mistake in the command line: exit code 2, and the usage line is shown.
func Usage(err error) error { return usage{err} }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// failure is an end that the command has told already.
type failure struct{ what string }

// Error says what failed.
func (f failure) Error() string { return f.what }

// Failed is an error for what failed and has been shown already: exit code 1 and no further word.
func Failed(what string) error { return failure{what} }

// silent is an error that has been shown already and keeps its own exit code.
type silent struct{ error }

// Unwrap gives the cause.
func (s silent) Unwrap() error { return s.error }

// Execute runs the command line args and returns the exit code.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(append([]string{}, args...)) // not nil, for which cobra would take the process's own
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	each(root, func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				started = true
				return run(c, args)
			}
		}
	})
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !started { // what cobra refuses before a command begins is a mistake in the command line
		err = Usage(err)
	}
	report(c, err, stderr)
	return exitCode(err)
}

// each visits a command and all below it.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		each(sub, visit)
	}
}

// report tells people what went wrong. What they then do about it is in the message's hint.
func report(c *cobra.Command, err error, stderr io.Writer) {
	var u usage
	var f failure
	var s silent
	if err == nil || errors.As(err, &f) || errors.As(err, &s) {
		return
	}
	text := openflow.Line(err.Error())
	if len(openflow.MistakesOf(err)) > 0 { // one a line
		text = openflow.Readable(err.Error())
	}
	fmt.Fprintln(stderr, "openflow:", text)
	if errors.As(err, &u) {
		fmt.Fprintf(stderr, "usage: %s\nsee: %s --help\n", c.UseLine(), c.CommandPath())
	}
}

func exitCode(err error) int {
	var u usage
	var f failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		return exitUsage
	case errors.As(err, &f):
		return exitFailed
	}
	switch openflow.CodeOf(err) {
	case openflow.CodeUnavailable:
		return exitUnreachable
	case openflow.CodeInvalid:
		return exitUsage
	case openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict, openflow.CodeRejected,
		openflow.CodeExhausted, openflow.CodeSpent, openflow.CodeCanceled, openflow.CodeDeadline, openflow.CodeUnimplemented, openflow.CodeInternal:
	}
	return exitFailed
}

// DefaultHome is the folder of a node that is told no other.
func DefaultHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ".openflow"
	}
	return dir + string(os.PathSeparator) + ".openflow"
}
