// Package runtimetest is the conformance suite of runtimes: the sentences of driver's contract as tests.
//
// A runtime's own test is a [Harness] and one call of [Run], for driver.Runtime, and one of [RunHost], for driver.Opener
// and driver.Host. Beyond that a runtime tests only what is its own, such as
// a daemon that goes away. The containers run package payload; [Build] makes an executable of it.
package runtimetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// patience bounds every wait of the suite: long enough for a busy machine, short enough to end a hang.
const patience = 3 * time.Minute

// Harness is one runtime under test.
type Harness struct {
	// Open returns a Runtime over the containers of this harness. Every call makes a new one that knows nothing of the
	// others, as a restarted node or another replica would.
	Open func(t *testing.T) driver.Runtime
	// Image runs package payload with Spec.Command as its arguments.
	Image string
	// EnforcesMemory says that Limits.MemoryBytes is kept.
	EnforcesMemory bool
}

// Run runs the suite. Cases are independent and run in parallel; they share the harness.
func Run(t *testing.T, h Harness) {
	cases := map[string]func(*testing.T, *bench){
		"EnsureTwiceIsOne":          testEnsureTwice,
		"EnsureRefusesOtherLabels":  testEnsureConflict,
		"EnsureRefusesBadSpec":      testEnsureInvalid,
		"EnsureConcurrently":        testConcurrentEnsure,
		"AdoptCreated":              testAdoptCreated,
		"TellsWhatItWasMadeOf":      testMade,
		"MadeAndNeverStarted":       testNeverStarted,
		"AdoptRunning":              testAdoptRunning,
		"AdoptExited":               testAdoptExited,
		"StartRunsOnce":             testStartOnce,
		"StartAfterExitDoesNothing": testStartAfterExit,
		"WaitOnCreatedBlocks":       testWaitOnCreated,
		"WaitOnRemovedEnds":         testWaitOnRemoved,
		"WaitAfterExit":             testWaitAfterExit,
		"WaitEndsWithItsContext":    testWaitCanceled,
		"TwoWaiters":                testTwoWaiters,
		"TwoFollowers":              testTwoFollowers,
		"AFollowerIsGone":           testFollowerGone,
		"ExitCodes":                 testExitCodes,
		"ProgramThatCannotRun":      testCannotRun,
		"LogsAreComplete":           testLogs,
		"ArgumentsAndEnvironment":   testArguments,
		"StopRunning":               testStopRunning,
		"StopKillsWhoIgnoresTERM":   testStopStubborn,
		"StopLeavesTheOthersAlone":  testStopOthers,
		"RemoveTwice":               testRemoveTwice,
		"RemoveRefusesRunning":      testRemoveRunning,
		"RemoveFreesTheName":        testRemoveFreesName,
		"ListByLabel":               testList,
		"UnknownNames":              testUnknown,
	}
	if h.EnforcesMemory {
		cases["MemoryLimitEndsTheContainer"] = testOOM
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, h))
		})
	}
}

// Build compiles package payload into a static executable and returns its path; at most once per test binary.
func Build(t testing.TB) string {
	t.Helper()
	path, err := build()
	require.NoError(t, err, "the suite compiles its payload with the go command")
	return path
}

// build uses a folder of the system's, because the first test that asks must not take it away from the others.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "drivertest-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "payload")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "openflow/runtime/runtimetest/payload/run")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// bench is one case's view: the runtime, a context with a deadline, and names that no other case uses.
type bench struct {
	Harness
	rt  driver.Runtime
	ctx context.Context
	id  string
}

func newBench(t *testing.T, h Harness) *bench {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &bench{Harness: h, rt: h.Open(t), ctx: ctx, id: strings.ToLower(rand.Text()[:12])}
}

// spec describes a payload container of this case; it is removed when the case ends.
func (b *bench) spec(t *testing.T, name string, command ...string) driver.Spec {
	s := driver.Spec{
		Name:    "drivertest-" + b.id + "-" + name,
		Labels:  map[string]string{"drivertest": b.id, "name": name},
		Image:   b.Image,
		Command: command,
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, b.rt.Stop(ctx, s.Name, 0))
		require.NoError(t, b.rt.Remove(ctx, s.Name))
	})
	return s
}

// run ensures and starts.
func (b *bench) run(t *testing.T, s driver.Spec) {
	t.Helper()
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.NoError(t, b.rt.Start(b.ctx, s.Name))
}

// ready returns once the payload has said so: from then on it handles TERM the way its command says.
func (b *bench) ready(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(b.logs(t, name), "ready") }, patience, time.Millisecond)
}

func (b *bench) logs(t *testing.T, name string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.NoError(t, b.rt.Logs(b.ctx, name, &stdout, &stderr))
	return stdout.String()
}

func (b *bench) wait(t *testing.T, rt driver.Runtime, name string) driver.Status {
	t.Helper()
	st, err := rt.Wait(b.ctx, name)
	require.NoError(t, err)
	require.Equal(t, driver.StateExited, st.State)
	return st
}

func (b *bench) state(t *testing.T, name string) driver.State {
	t.Helper()
	st, err := b.rt.Inspect(b.ctx, name)
	require.NoError(t, err)
	return st.State
}
