// Command openflow-components is the image of the reference algorithms: one binary that runs whichever of them its
// node's CONFIG names. "list" prints their names, "desc --name NAME" describes one. With "fate" first, it does that for components of
// others that keep FATE's contract.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"openflow/components/download"
	"openflow/components/evaluation"
	"openflow/components/lr"
	"openflow/components/noop"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/components/toy"
	"openflow/components/transformer"
	"openflow/components/upload"
	"openflow/dialect/fateflow/launcher"
	"openflow/sdk/component"
)

// Both are set when it is built: the version of a release, and another provider's name for an image that is registered like anybody's.
var (
	version  = "dev"
	provider = "openflow"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == launcher.Argument {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		context.AfterFunc(ctx, stop) // a second signal ends it at once
		os.Exit(launcher.Main(ctx, os.Args[2:], os.Getenv, os.Stdout, os.Stderr))
	}
	component.Program{Provider: provider, Version: version, Components: []component.Component{
		reader.Component(), psi.Component(), lr.Component(), evaluation.Component(), noop.Component(),
		upload.Component(), transformer.Component(), download.Component(), toy.Component(),
	}}.Main()
}
