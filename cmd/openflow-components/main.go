// Command openflow-components is the image of the reference algorithms: one binary that runs whichever of them its
// node's CONFIG names. "list" prints their names, "desc --name NAME" describes one.
package main

import (
	"openflow/components/download"
	"openflow/components/evaluation"
	"openflow/components/lr"
	"openflow/components/noop"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/components/toy"
	"openflow/components/transformer"
	"openflow/components/upload"
	"openflow/sdk/component"
)

// Both are set when it is built: the version of a release, and another provider's name for an image that is registered like anybody's.
var (
	version  = "dev"
	provider = "openflow"
)

func main() {
	component.Program{Provider: provider, Version: version, Components: []component.Component{
		reader.Component(), psi.Component(), lr.Component(), evaluation.Component(), noop.Component(),
		upload.Component(), transformer.Component(), download.Component(), toy.Component(),
	}}.Main()
}
