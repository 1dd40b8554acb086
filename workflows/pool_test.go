package workflows_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows"
)

// machines stands in for the activities that find a machine.
type machines struct {
	choose  func(attempt int) (activities.Place, error)
	workers int // that are alive and may run the task

	choices, told atomic.Int32
}

func (m *machines) ChooseMachine(context.Context, activities.TaskOrder) (activities.Place, error) {
	return m.choose(int(m.choices.Add(1)))
}

func (m *machines) TellWait(_ context.Context, o activities.TaskOrder) (activities.Waiting, error) {
	m.told.Add(1)
	return activities.Waiting{Reason: activities.WaitReason(o.Label, m.workers), Workers: m.workers}, nil
}

var (
	_ interface {
		ChooseMachine(context.Context, activities.TaskOrder) (activities.Place, error)
	} = (*activities.Choosing)(nil)
	_ interface {
		TellWait(context.Context, activities.TaskOrder) (activities.Waiting, error)
	} = (*activities.Placing)(nil)
)

// nobody is what Temporal says of an activity that no worker has taken up in time.
func nobody() error { return temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil) }

func pooled(label string) activities.TaskOrder {
	o := order()
	o.Label, o.Cores, o.Pool = label, 2, &activities.Pooling{Wait: 10 * time.Minute, Gone: time.Minute}
	return o
}

func chosen(int) (activities.Place, error) { return activities.Place{Machine: "m1", Name: "big"}, nil }

func TestTaskOfAPool(t *testing.T) {
	success := activities.Outcome{Status: openflow.TaskSuccess}
	for name, tc := range map[string]struct {
		machines *machines
		run      func(context.Context, int) (activities.Outcome, error)
		want     activities.Outcome
		told     int32
		recorded []string // queues from which the end was recorded; "" is the node's own
	}{
		"a machine takes it": {&machines{choose: chosen}, ends(success, nil), success, 0, nil},
		"no worker": {
			&machines{choose: func(int) (activities.Place, error) { return activities.Place{}, nobody() }}, nil,
			activities.Outcome{
				Status: openflow.TaskFailed, Cause: document.Cause{Code: openflow.CodeUnavailable, Text: "no worker with label gpu took the task within 0s"},
				Error: "no worker with label gpu took the task within 0s (start one: openflow worker)",
			}, 2, []string{""},
		},
		"all are busy at first": {
			&machines{workers: 2, choose: func(attempt int) (activities.Place, error) {
				if attempt < 3 {
					return activities.Place{}, nobody()
				}
				return chosen(attempt)
			}}, ends(success, nil), success, 2, nil,
		},
		"the machine is gone": {
			&machines{choose: chosen}, ends(activities.Outcome{}, nobody()),
			activities.Outcome{
				Status: openflow.TaskFailed, Cause: document.Cause{Code: openflow.CodeUnavailable, Text: "the machine that ran it is gone: its worker has not come back within 1m0s"},
				Error: "machine big (m1) is gone: its worker has not come back within 1m0s",
			}, 0, []string{""},
		},
		"it cannot be run there": {
			&machines{choose: chosen}, ends(activities.Outcome{}, activities.ToTemporal(openflow.Errorf(openflow.CodeNotFound, "no image"))),
			activities.Outcome{Status: openflow.TaskFailed, Cause: document.Cause{Code: openflow.CodeNotFound, Text: "its node could not run it"}, Error: "no image"}, 0, []string{"openflow.machine.m1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &node{run: tc.run}
			env := taskEnv(n)
			env.RegisterActivity(tc.machines)
			queues := map[string][]string{}
			env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				queues[info.ActivityType.Name] = append(queues[info.ActivityType.Name], info.TaskQueue)
			})
			env.ExecuteWorkflow(workflows.Task, pooled("gpu"))
			closed(t, env, tc.want)
			require.Equal(t, tc.want, n.reports[0].Outcome)
			require.True(t, tc.want.Cause.Code == "" || tc.want.Cause.Code == openflow.CodeNotFound || tc.want.Cause.Code.Retryable())
			require.Equal(t, tc.told, tc.machines.told.Load(), "how often the reason was told")
			for i, q := range queues["ChooseMachine"] {
				require.Equal(t, map[bool]string{true: "openflow.pool.gpu", false: "openflow.urgent.gpu"}[i == 0], q)
			}
			for _, q := range queues["RunTask"] {
				require.Equal(t, "openflow.machine.m1", q)
			}
			require.Len(t, n.ended, len(tc.recorded))
			if len(tc.recorded) > 0 && tc.recorded[0] != "" {
				require.Equal(t, tc.recorded, queues["RecordEnd"])
			} else {
				require.Empty(t, queues["RecordEnd"], "a local activity, which the node does itself")
			}
		})
	}
}

// A run does not wait for a free core for longer than a moment: the machine may wait for the run.
func TestBusyMachinesTakeUrgentRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		cores  int
		offers []string // queues
	}{
		"with cores":    {4, []string{"openflow.pool.gpu", "openflow.urgent.gpu"}},
		"without cores": {0, []string{"openflow.urgent.gpu"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &node{run: ends(activities.Outcome{Status: openflow.TaskSuccess}, nil)}
			env := taskEnv(n)
			m := &machines{workers: 1}
			var offers []string
			m.choose = func(attempt int) (activities.Place, error) {
				if attempt < len(tc.offers) {
					return activities.Place{}, nobody()
				}
				return chosen(attempt)
			}
			env.RegisterActivity(m)
			env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				if info.ActivityType.Name == "ChooseMachine" {
					offers = append(offers, info.TaskQueue)
				}
			})
			o := pooled("gpu")
			o.Cores = tc.cores
			env.ExecuteWorkflow(workflows.Task, o)
			closed(t, env, activities.Outcome{Status: openflow.TaskSuccess})
			require.Equal(t, tc.offers, offers)
		})
	}
}

// While nobody takes the run, the reason is told after a moment, and a stop ends it without a machine.
func TestStopWhileWaitingForAMachine(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	m := &machines{choose: func(int) (activities.Place, error) { <-hold; return activities.Place{}, nil }}
	n := &node{}
	env := taskEnv(n)
	env.RegisterActivity(m)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, int32(1), m.told.Load())
		env.SignalWorkflow(workflows.SignalEnd, workflows.EndRequest{Status: openflow.TaskCanceled, Reason: "the job is canceled"})
	}, 4*time.Second)
	env.ExecuteWorkflow(workflows.Task, pooled(""))
	closed(t, env, activities.Outcome{Status: openflow.TaskCanceled, Error: "the job is canceled"})
	require.Zero(t, n.runs)
	require.Len(t, n.ended, 1)
	require.Equal(t, "the job is canceled", n.reports[0].Outcome.Error)
}

func TestQueuesOfAPool(t *testing.T) {
	for queue, of := range map[string]bool{
		workflows.PoolQueue(""): true, workflows.PoolQueue("gpu"): true, workflows.MachineQueue("m1"): true,
		workflows.UrgentQueue(""): true, workflows.UrgentQueue("gpu"): true, "openflow.urgently": false,
		"openflow": false, "openflow.": false, "openflow.pooling": false, "": false, "temporal-sys-processor": false,
	} {
		require.Equal(t, of, workflows.OfPool(queue), queue)
	}
	require.NotEqual(t, workflows.PoolQueue(""), workflows.PoolQueue("gpu"))
	require.NotEqual(t, workflows.PoolQueue("urgent"), workflows.UrgentQueue(""), "no label is urgent")
}
