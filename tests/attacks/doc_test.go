// Package attacks_test plays the attacker: a peer that signs with a key of its own, a program that speaks raw HTTP, a
// container, a browser. Each file is about one kind of attack, and each test is named by what it would break.
//
// docs/security.md has a line for each of them. An attack that succeeds is a failure of its test.
package attacks_test

import (
	"os"
	"testing"

	"openflow/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }
