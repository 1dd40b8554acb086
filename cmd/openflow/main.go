// Command openflow is a site's node and the tool to use it: server, demo, and commands for jobs, data, peers and grants.
//
// main only dispatches: each command is in a file of its own, and what it does is in a package.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs the command line and gives the exit code.
func execute(ctx context.Context, args []string, stdout, stderr *os.File) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !quiet(err) {
		fmt.Fprintln(stderr, "openflow:", err)
	}
	return exitCode(err)
}
