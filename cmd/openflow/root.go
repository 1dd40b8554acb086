package main

import (
	"errors"

	"github.com/spf13/cobra"

	"openflow"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // the job, or what was asked for, failed
	exitUsage       = 2 // the command line or the configuration is wrong
	exitUnreachable = 3 // the node does not answer
)

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "openflow",
		Short: "One institution's node for federated jobs, and the tool to use it",
		Long: `openflow runs joint computations (private set intersection, vertical logistic regression, …) between institutions
whose data stays at home. Each institution runs a node (openflow server); users submit jobs to their own.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	root.AddCommand(serverCommand())
	return root
}

// usage is an error of the command line.
type usage struct{ error }

// Unwrap gives the cause.
func (u usage) Unwrap() error { return u.error }

// failedJob is a job that did not succeed: the command has shown it already.
type failedJob struct{ status string }

// Error names the status.
func (f failedJob) Error() string { return "the job is " + f.status }

// quiet tells that an error has been shown already.
func quiet(err error) bool {
	var f failedJob
	return errors.As(err, &f)
}

func exitCode(err error) int {
	var u usage
	var f failedJob
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		return exitUsage
	case errors.As(err, &f):
		return exitFailed
	case openflow.CodeOf(err) == openflow.CodeUnavailable:
		return exitUnreachable
	case openflow.CodeOf(err) == openflow.CodeInvalid:
		return exitUsage
	}
	return exitFailed
}
