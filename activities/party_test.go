package activities_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/activities"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/store/document"
)

var key = openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}

const container = "of-a"

// memory is a TaskStore of one run with the rules of the catalogue: an end is final, and a context that has ended does
// nothing.
type memory struct {
	mu   sync.Mutex
	rec  openflow.TaskRecord
	end  *openflow.TaskEnd
	none bool             // the run is not known
	fail map[string]error // by method, for one call
}

func (m *memory) enter(ctx context.Context, method string) error {
	m.mu.Lock()
	if err := m.fail[method]; err != nil {
		delete(m.fail, method)
		return err
	}
	if m.none {
		return openflow.Errorf(openflow.CodeNotFound, "%s does not exist", key)
	}
	return ctx.Err()
}

func (m *memory) Task(ctx context.Context, _ openflow.TaskKey) (openflow.TaskRecord, error) {
	err := m.enter(ctx, "Task")
	defer m.mu.Unlock()
	return m.rec, err
}

func (m *memory) StartTask(ctx context.Context, _ openflow.TaskKey, at openflow.Launch) (bool, error) {
	err := m.enter(ctx, "StartTask")
	defer m.mu.Unlock()
	if err != nil {
		return false, err
	}
	if m.rec.PartyStatus.Terminal() {
		return false, openflow.Errorf(openflow.CodeConflict, "%s is %s", key, m.rec.PartyStatus)
	}
	first := m.rec.PartyStatus == openflow.TaskWaiting
	if first {
		m.rec.PartyStatus, m.rec.StartTime = openflow.TaskRunning, time.Now()
	}
	m.rec.Runtime, m.rec.ContainerName, m.rec.Provider, m.rec.ProgramDigest = at.Runtime, at.Container, at.Provider, at.Digest
	return first, nil
}

func (m *memory) FinishTask(ctx context.Context, _ openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	err := m.enter(ctx, "FinishTask")
	defer m.mu.Unlock()
	switch {
	case err != nil:
		return false, err
	case m.rec.PartyStatus == end.Status:
		return false, nil
	case m.rec.PartyStatus.Terminal():
		return false, openflow.Errorf(openflow.CodeConflict, "%s is %s and cannot become %s", key, m.rec.PartyStatus, end.Status)
	}
	m.rec.PartyStatus, m.rec.Reason, m.end = end.Status, end.Reason, &end
	return true, nil
}

// change alters the row, as a container or the scheduler would.
func (m *memory) change(f func(*openflow.TaskRecord)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.rec)
}

func (m *memory) recorded() *openflow.TaskEnd {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.end
}

type launcher struct {
	err      error
	made     string
	resident *driver.Residency
}

func (l *launcher) Spec(context.Context, openflow.TaskRecord) (driver.Spec, openflow.Launch, error) {
	err := l.err
	return driver.Spec{Name: container, Image: "x", Labels: map[string]string{"node": "n"}, Made: l.made, Resident: l.resident}, openflow.Launch{Container: container}, err
}

type logs struct {
	mu     sync.Mutex
	got    string
	err    error
	looked func() // is called while the container is still there
}

func (l *logs) PutLog(_ context.Context, write func(stdout, stderr io.Writer) error) (string, error) {
	var b bytes.Buffer
	if err := write(&b, &b); err != nil {
		return "", err
	}
	if l.looked != nil {
		l.looked()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = b.String()
	err := l.err
	l.err = nil
	return "digest", err
}

// party is one node with a run that has been accepted.
type party struct {
	t        *testing.T
	store    *memory
	runtime  *fake.Runtime
	launcher *launcher
	logs     *logs
	reports  *schedulerNode
}

func newParty(t *testing.T, plan fake.Plan) *party {
	p := &party{
		t: t, store: &memory{fail: map[string]error{}}, launcher: &launcher{}, logs: &logs{}, reports: &schedulerNode{},
	}
	p.store.rec = openflow.TaskRecord{Key: key, PartyStatus: openflow.TaskWaiting}
	report := plan.Run
	plan.Run = func(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
		if report != nil {
			return report(ctx, s, stdout, stderr)
		}
		p.says(openflow.TaskSuccess, "")
		return plan.ExitCode
	}
	p.runtime = fake.New(func(driver.Spec) fake.Plan { return plan })
	return p
}

// says is what the container reports of itself.
func (p *party) says(s openflow.TaskStatus, report string) {
	p.store.change(func(r *openflow.TaskRecord) { r.Reported, r.ErrorReport = s, report })
}

func (p *party) activities(rt driver.Runtime) *activities.Running {
	return &activities.Running{
		Self: "9999", Tasks: p.store, Runtime: rt, Launcher: p.launcher, Logs: p.logs, Directory: p.reports,
		Log: slog.New(slog.DiscardHandler),
	}
}

func order(timeout time.Duration) activities.TaskOrder {
	return activities.TaskOrder{Run: document.EncodeRun(key), Report: true, Timeout: timeout}
}

type attempt struct {
	ctx  context.Context // what the worker gives the activity; its end is a cancellation
	stop chan struct{}   // closed when the worker stops
}

// attempt runs RunTask once, over a runtime as a restarted node would open it.
func (p *party) attempt(a attempt, o activities.TaskOrder) (activities.Outcome, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	if a.ctx == nil {
		a.ctx = p.t.Context()
	}
	env.SetWorkerOptions(sdkworker.Options{BackgroundActivityContext: a.ctx})
	if a.stop != nil {
		env.SetWorkerStopChannel(a.stop)
	}
	r := p.activities(p.runtime.Reopen())
	env.RegisterActivity(r)
	return outcome(env.ExecuteActivity(r.RunTask, o))
}

func outcome(v converter.EncodedValue, err error) (activities.Outcome, error) {
	var out activities.Outcome
	if err == nil {
		err = v.Get(&out)
	}
	return out, err
}

func (p *party) container() (driver.Status, error) {
	return p.runtime.Inspect(p.t.Context(), container)
}

// running waits until the container runs.
func (p *party) running() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		st, err := p.container()
		return err == nil && st.State == driver.StateRunning
	}, 3*time.Minute, time.Millisecond)
}

// gone waits until the container has been removed, which happens beside the answer.
func (p *party) gone() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, err := p.container()
		return openflow.CodeOf(err) == openflow.CodeNotFound
	}, 3*time.Minute, time.Millisecond)
}
