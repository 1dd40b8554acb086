package taskqueue

import (
	"context"
	"time"

	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow/activities"
	"openflow/workflows"
)

// MachineOptions of the workers of one machine.
type MachineOptions struct {
	Labels   []string
	Identity string      // must tell this process from earlier ones
	Idle     bool        // follows what it has, and takes nothing new
	Fatal    func(error) // told when Temporal refuses the worker for good; may be nil
	// Interceptors see every activity, beside those that the client has.
	Interceptors []interceptor.WorkerInterceptor
}

// Machine serves the queues of one machine of the pool. One is its own, where its containers are followed. From the
// others it takes runs, for any worker and for each label: offers to machines with a core free, and urgent ones.
type Machine struct{ workers []sdkworker.Worker }

// NewMachine registers what a machine does; nothing is polled before Start. running.Machine is the machine.
func NewMachine(c sdkclient.Client, o MachineOptions, running *activities.Running) (*Machine, error) {
	options := sdkworker.Options{
		Identity: o.Identity, DisableWorkflowWorker: true, MaxHeartbeatThrottleInterval: time.Second,
		WorkerStopTimeout: 2 * time.Second, DisableRegistrationAliasing: true, OnFatalError: o.Fatal,
		Interceptors: o.Interceptors,
	}
	own := options
	own.ActivityTaskPollerBehavior = sdkworker.NewPollerBehaviorAutoscaling(sdkworker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: 2, MinimumNumberOfPollers: 1, MaximumNumberOfPollers: 10,
	})
	w := sdkworker.New(c, workflows.MachineQueue(running.Machine.ID), own)
	w.RegisterActivity(running)
	m := &Machine{workers: []sdkworker.Worker{w}}
	queues := append([]string{""}, o.Labels...)
	if o.Idle {
		queues = nil
	}
	for _, label := range queues {
		for queue, urgent := range map[string]bool{workflows.PoolQueue(label): false, workflows.UrgentQueue(label): true} {
			taking, err := takingOptions(options, running.Machine, urgent)
			if err != nil {
				return nil, err
			}
			w := sdkworker.New(c, queue, taking)
			w.RegisterActivity(&activities.Choosing{Machine: running.Machine, Urgent: urgent})
			m.workers = append(m.workers, w)
		}
	}
	return m, nil
}

// pace is how soon a machine without a free core takes the next urgent run.
const pace = time.Second

// coreOrPace waits for a free core, and not for long: machines that have one come first, and share what is urgent.
func coreOrPace(free func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		soon, cancel := context.WithTimeout(ctx, pace)
		defer cancel()
		_ = free(soon) // none became free in time: it goes without
		return ctx.Err()
	}
}

// takingOptions makes a worker poll only while the machine has a core free, so that runs go to the machines that have; for what
// is urgent, soon all the same.
func takingOptions(o sdkworker.Options, m *activities.Machine, urgent bool) (sdkworker.Options, error) {
	free := m.Free
	if urgent {
		free = coreOrPace(free)
	}
	fixed, err := sdkworker.NewFixedSizeSlotSupplier(1) // of kinds of tasks that this worker does not serve
	if err != nil {
		return o, err
	}
	o.Tuner, err = sdkworker.NewCompositeTuner(sdkworker.CompositeTunerOptions{
		ActivitySlotSupplier: oneAtATime{free, make(chan struct{}, 1)}, WorkflowSlotSupplier: fixed, LocalActivitySlotSupplier: fixed,
		NexusSlotSupplier: fixed, SessionActivitySlotSupplier: fixed,
	})
	o.ActivityTaskPollerBehavior = sdkworker.NewPollerBehaviorSimpleMaximum(
		sdkworker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 1})
	return o, err
}

// oneAtATime lets a run be taken after the one before it counts: the next poll begins when that is done and free returns.
type oneAtATime struct {
	free func(context.Context) error
	slot chan struct{}
}

// ReserveSlot implements SlotSupplier.
func (s oneAtATime) ReserveSlot(ctx context.Context, _ sdkworker.SlotReservationInfo) (*sdkworker.SlotPermit, error) {
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.free(ctx); err != nil {
		<-s.slot
		return nil, err
	}
	return &sdkworker.SlotPermit{}, nil
}

// TryReserveSlot implements SlotSupplier: nothing is taken without a poll.
func (s oneAtATime) TryReserveSlot(sdkworker.SlotReservationInfo) *sdkworker.SlotPermit { return nil }

// MarkSlotUsed implements SlotSupplier.
func (s oneAtATime) MarkSlotUsed(sdkworker.SlotMarkUsedInfo) {}

// ReleaseSlot implements SlotSupplier.
func (s oneAtATime) ReleaseSlot(sdkworker.SlotReleaseInfo) { <-s.slot }

// MaxSlots implements SlotSupplier.
func (s oneAtATime) MaxSlots() int { return 1 }

// Start begins to poll, first where containers wait to be followed.
func (m *Machine) Start() error {
	for i, w := range m.workers {
		if err := w.Start(); err != nil {
			for _, started := range m.workers[:i] {
				started.Stop()
			}
			return err
		}
	}
	return nil
}

// Stop ends the polling and leaves the containers running for the next process. Taking ends first.
func (m *Machine) Stop() {
	for i := len(m.workers) - 1; i >= 0; i-- {
		m.workers[i].Stop()
	}
}
