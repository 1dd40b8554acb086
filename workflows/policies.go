package workflows

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
)

// inWorkflowTask suits the first try of an idempotent call: a local activity costs half of a regular one. It must be short,
// because the workflow task is held open while it runs.
func inWorkflowTask(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 3 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// untilDeadline suits an idempotent call worth repeating until the deadline: to a partner that is down, or a busy machine.
func untilDeadline(ctx workflow.Context, deadline time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: deadline,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: longestBackOff,
		},
	})
}

// longestBackOff is the time between two tries of a call to a partner that stays silent: how long a job may go on waiting
// when it is back.
const longestBackOff = 15 * time.Second

// following suits the one activity that stays with a container: long, heartbeating, taken over by the next worker.
func following(ctx workflow.Context, timeout time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: timeout + containerGrace,
		HeartbeatTimeout:    5 * time.Second,
		WaitForCancellation: true,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
		},
	})
}

// containerGrace is what stopping a container and keeping its log may take beyond the run's own timeout, which the
// activity enforces itself.
const containerGrace = 5 * time.Minute

// slowCall suits a call of a node that takes as long as it takes to answer, and calls this node before it does. It is made by a
// regular activity, so that the workflow hears what comes meanwhile. A try that nobody waits for any more is found by its silence.
func slowCall(ctx workflow.Context, deadline time.Duration, summary string, answers []openflow.Code) workflow.Context {
	policy := &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: longestBackOff}
	if deadline <= 0 {
		policy.MaximumAttempts = 1
	}
	for _, code := range answers {
		policy.NonRetryableErrorTypes = append(policy.NonRetryableErrorTypes, string(code))
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    longestAnswer,
		ScheduleToCloseTimeout: max(deadline, longestAnswer),
		HeartbeatTimeout:       10 * time.Second,
		Summary:                summary,
		RetryPolicy:            policy,
	})
}

// longestAnswer is how long the calls may take that one activity makes to a slow node. FATE-Flow answers one after 30 s at the
// latest when it cannot reach anybody itself (fate-flow-api §0.8).
const longestAnswer = 5 * time.Minute

// call tries do briefly and, when a retry could help, repeats it patiently until the deadline. do must be idempotent.
// An answer of one of these codes is not repeated: the caller asks for it again, because it knows what may change it.
func call(ctx workflow.Context, deadline time.Duration, summary string, do, arg, result any, answers ...openflow.Code) error {
	tried := workflow.ExecuteLocalActivity(inWorkflowTask(ctx, summary), do, arg).Get(ctx, result)
	err := activities.FromTemporal(tried)
	if openflow.CodeOf(err) == activities.CodeSlow && ctx.Err() == nil {
		return activities.FromTemporal(workflow.ExecuteActivity(slowCall(ctx, deadline, summary, answers), do, arg).Get(ctx, result))
	}
	if err == nil || ctx.Err() != nil || deadline <= 0 {
		return err
	}
	repeat, said := openflow.CodeOf(err).Retryable(), (*temporal.ApplicationError)(nil)
	if errors.As(tried, &said) {
		repeat = !said.NonRetryable() // the activity knows best
	}
	if !repeat || slices.Contains(answers, openflow.CodeOf(err)) {
		return err
	}
	return activities.FromTemporal(workflow.ExecuteActivity(untilDeadline(ctx, deadline, summary), do, arg).Get(ctx, result))
}

// each runs do for every item in parallel and returns the errors in the items' order.
func each[T any](ctx workflow.Context, items []T, do func(workflow.Context, T) error) []error {
	_, errs := gather(ctx, items, func(ctx workflow.Context, item T) (struct{}, error) { return struct{}{}, do(ctx, item) })
	return errs
}

// gather is each for what gives a result: it returns the results and the errors in the items' order.
func gather[T, R any](ctx workflow.Context, items []T, do func(workflow.Context, T) (R, error)) ([]R, []error) {
	results, errs := make([]R, len(items)), make([]error, len(items))
	wg := workflow.NewWaitGroup(ctx)
	for i, item := range items {
		wg.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wg.Done()
			results[i], errs[i] = do(ctx, item)
		})
	}
	wg.Wait(ctx)
	return results, errs
}

// first returns the first error that is not nil.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// detail says in the Temporal UI what a workflow does, or how it has ended. The UI takes it for Markdown, and a reason may
// hold another party's words: a picture in them would be fetched by whoever looks at the page.
func detail(ctx workflow.Context, text string) {
	workflow.SetCurrentDetails(ctx, asText.Replace(openflow.Readable(text)))
}

// asText makes links, pictures and tags of Markdown text.
var asText = strings.NewReplacer("[", `\[`, "<", `\<`)

// sentence joins what there is to say.
func sentence(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// warned puts warnings below the details of a workflow, each as a line of its own.
func warned(details string, warnings []string) string {
	for _, w := range warnings {
		details += "\n\nwarning: " + w
	}
	return details
}
