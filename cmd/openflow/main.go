// Command openflow is a site's node and the tool to use it: server, demo, and commands for jobs, data, peers and grants.
//
// main only dispatches: the commands that run nodes are in files of their own here, all others in package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"openflow"
	"openflow/cli"
)

// commit is what was built; the build sets it.
var commit string

// version is that of this binary, in the form of semver.org: the release, and the commit that it was built from.
func version() string { return strings.TrimSuffix(openflow.Release+"+"+commit, "+") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := cli.NewRoot(version(), runtimes, serverCommand(), workerCommand(), temporalCommand(), demoCommand(), imageCommand(), uninstallCommand())
	code := cli.Execute(ctx, root, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
