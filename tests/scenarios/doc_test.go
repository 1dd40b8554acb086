// Package scenarios_test plays whole jobs on several nodes in this process. It checks what users see at every party
// when all goes well, and when a party is busy, absent, forbids or fails. So it does when messages between nodes are
// lost, and when nodes restart.
//
// What differs only in its DAG and its end is data, in testdata; see scenarios_test.go. What needs a hand in the middle
// is a test of its own. Nothing here needs Docker; package e2e has the tests of real programs.
package scenarios_test

import (
	"os"
	"slices"
	"testing"

	"openflow/sdk/component"
	"openflow/tests/env"
)

// TestMain runs the tests, or, where a node of private_test.go has started this program, a component.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"run", "list", "desc"}, os.Args[1]) {
		component.Program{Provider: "openflow", Version: "test", Components: tellTales()}.Main()
	}
	os.Exit(env.Main(m))
}
