package workflows_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document/documenttest"
	"openflow/workflows"
)

// What a history holds has forms of its own: the arguments and results of the workflows and activities that a worker
// registers, and of the signals, updates and queries that the workflows take.
func TestHistoriesHoldTaggedForms(t *testing.T) {
	var types []reflect.Type
	for _, f := range []any{workflows.Job, workflows.Task} {
		types = append(types, passed(reflect.TypeOf(f))...)
	}
	for _, registered := range []any{&activities.Scheduling{}, &activities.Placing{}, &activities.Running{}, &activities.Choosing{}} {
		methods := reflect.TypeOf(registered)
		require.NotZero(t, methods.NumMethod())
		for m := range methods.Methods() {
			types = append(types, passed(m.Type)[1:]...) // without the receiver
		}
	}
	types = append(types, reflect.TypeFor[workflows.EndRequest]()) // of SignalEnd; SignalWake says nothing
	handlers := taken(t)
	for _, h := range handlers {
		types = append(types, passed(h)...)
	}
	require.Len(t, handlers, 5, "updates and queries of both workflows")
	for _, want := range []reflect.Type{
		reflect.TypeFor[workflows.JobPlan](), reflect.TypeFor[activities.Report](), reflect.TypeFor[workflows.Stopped](),
		reflect.TypeFor[activities.JobNews](), reflect.TypeFor[activities.Outcome](),
	} {
		require.Contains(t, types, want)
	}
	documenttest.Tagged(t, types...)
}

// passed are the types that come and go by a function, without the context and the error.
func passed(f reflect.Type) []reflect.Type {
	var types []reflect.Type
	for in := range f.Ins() {
		types = append(types, in)
	}
	for out := range f.Outs() {
		types = append(types, out)
	}
	return slices.DeleteFunc(types, func(typ reflect.Type) bool { return typ.Kind() == reflect.Interface })
}

// taken are the handlers that both workflows set.
func taken(t *testing.T) []reflect.Type {
	t.Helper()
	watch := &watching{}
	options := sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{watch}}
	w := newWorld(t)
	w.env.SetWorkerOptions(options)
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	env := taskEnv(&node{run: ends(activities.Outcome{Status: openflow.TaskSuccess}, nil)})
	env.SetWorkerOptions(options)
	env.ExecuteWorkflow(workflows.Task, order())
	require.NoError(t, env.GetWorkflowError())
	return watch.handlers
}

type watching struct {
	interceptor.WorkerInterceptorBase
	mu       sync.Mutex
	handlers []reflect.Type
}

func (w *watching) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &watchedIn{w: w}
	in.Next = next
	return in
}

type watchedIn struct {
	interceptor.WorkflowInboundInterceptorBase
	w *watching
}

func (i *watchedIn) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &watchedOut{w: i.w}
	o.Next = out
	return i.Next.Init(o)
}

type watchedOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	w *watching
}

func (o *watchedOut) note(handler any) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.w.handlers = append(o.w.handlers, reflect.TypeOf(handler))
}

func (o *watchedOut) SetQueryHandler(ctx workflow.Context, name string, handler any) error {
	o.note(handler)
	return o.Next.SetQueryHandler(ctx, name, handler)
}

func (o *watchedOut) SetUpdateHandler(ctx workflow.Context, name string, handler any, options workflow.UpdateHandlerOptions) error {
	o.note(handler)
	return o.Next.SetUpdateHandler(ctx, name, handler, options)
}

// Nothing is lost on the way into a history and back.
func TestFormsOfHistories(t *testing.T) {
	documenttest.RoundTrip(t, workflows.EncodePlan, workflows.JobPlan.Decode)
	documenttest.RoundTrip(t, workflows.EncodeStopped, workflows.Stopped.Decode)
	documenttest.RoundTrip(t, activities.EncodeOrder, activities.TaskOrder.Decode)
	documenttest.RoundTrip(t, activities.EncodeUpdate, activities.TaskUpdate.Decode)
	documenttest.RoundTrip(t, activities.EncodeStart, activities.TaskStart.Decode)
	documenttest.RoundTrip(t, activities.EncodeReport, activities.Report.Decode)
}
