package main

import (
	"openflow/docker"
	"openflow/runtime/driver"
	"openflow/runtime/process"
)

// runtimes are those that this program has, as --runtime names them. The first one is preferred where nobody says which.
// Another runtime is one more entry; see docs/add-a-runtime.md.
var runtimes = driver.Openers{docker.Opener{}, process.Opener{}}
