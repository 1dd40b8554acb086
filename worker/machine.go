package worker

import (
	"context"
	"time"

	sdkclient "go.temporal.io/sdk/client"
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
}

// Machine serves the queues of one machine of the pool: its own, where its containers are followed, and those from which
// it takes runs, one for any worker and one for each label.
type Machine struct{ workers []sdkworker.Worker }

// NewMachine registers what a machine does; nothing is polled before Start. running.Machine is the machine.
func NewMachine(c sdkclient.Client, o MachineOptions, running *activities.Running) (*Machine, error) {
	options := sdkworker.Options{
		Identity: o.Identity, DisableWorkflowWorker: true, MaxHeartbeatThrottleInterval: time.Second,
		WorkerStopTimeout: 2 * time.Second, DisableRegistrationAliasing: true, OnFatalError: o.Fatal,
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
		taking, err := taking(options, running.Machine)
		if err != nil {
			return nil, err
		}
		w := sdkworker.New(c, workflows.PoolQueue(label), taking)
		w.RegisterActivity(&activities.Choosing{Machine: running.Machine})
		m.workers = append(m.workers, w)
	}
	return m, nil
}

// taking makes a worker poll only while the machine has a core free, so that runs go to the machines that have.
func taking(o sdkworker.Options, m *activities.Machine) (sdkworker.Options, error) {
	fixed, err := sdkworker.NewFixedSizeSlotSupplier(1) // of kinds of tasks that this worker does not serve
	if err != nil {
		return o, err
	}
	o.Tuner, err = sdkworker.NewCompositeTuner(sdkworker.CompositeTunerOptions{
		ActivitySlotSupplier: oneAtATime{m, make(chan struct{}, 1)}, WorkflowSlotSupplier: fixed, LocalActivitySlotSupplier: fixed,
		NexusSlotSupplier: fixed, SessionActivitySlotSupplier: fixed,
	})
	o.ActivityTaskPollerBehavior = sdkworker.NewPollerBehaviorSimpleMaximum(
		sdkworker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 1})
	return o, err
}

// oneAtATime lets a run be taken after the one before it counts: the next poll begins when that is done and a core is free.
type oneAtATime struct {
	machine *activities.Machine
	slot    chan struct{}
}

// ReserveSlot implements SlotSupplier.
func (s oneAtATime) ReserveSlot(ctx context.Context, _ sdkworker.SlotReservationInfo) (*sdkworker.SlotPermit, error) {
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.machine.Free(ctx); err != nil {
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
