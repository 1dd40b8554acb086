// Command openflow-components is the image of the reference algorithms: one binary that runs whichever of them its
// node's CONFIG names. "list" prints their names, "desc --name NAME" describes one.
package main

import (
	"openflow/components/evaluation"
	"openflow/components/lr"
	"openflow/components/noop"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/sdk/component"
)

// version is set when a release is built.
var version = "dev"

func main() {
	component.Program{Provider: "openflow", Version: version, Components: []component.Component{
		reader.Component(), psi.Component(), lr.Component(), evaluation.Component(), noop.Component(),
	}}.Main()
}
