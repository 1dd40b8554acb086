// Package e2e_test runs the programs that users run: the node's binary with its embedded parts, the algorithms' binary,
// and Docker. It ends them with kill -9 at bad moments and looks at what users see afterwards.
//
// Tests whose name begins with TestDocker need a Docker daemon and fail without one; all others need nothing. Only
// processes that a test has started are ever killed, by their ID. sites_test.go has the harness.
package e2e_test

import (
	"os"
	"testing"

	"openflow/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }
