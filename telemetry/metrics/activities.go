package metrics

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
)

// Activities is the interceptor of a Temporal worker that counts attempts of activities, local ones too.
func (m *Metrics) Activities() interceptor.WorkerInterceptor { return &counting{metrics: m} }

type counting struct {
	interceptor.WorkerInterceptorBase
	metrics *Metrics
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (w *counting) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	a := &attempts{metrics: w.metrics}
	a.Next = next
	return a
}

type attempts struct {
	interceptor.ActivityInboundInterceptorBase
	metrics *Metrics
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (a *attempts) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	begin, info := time.Now(), activity.GetInfo(ctx)
	result, err := a.Next.ExecuteActivity(ctx, in)
	attempt, how := "first", "ok"
	if info.Attempt > 1 {
		attempt = "retry"
	}
	switch {
	case err == nil:
	case temporal.IsCanceledError(err) || ctx.Err() != nil:
		how = "canceled"
	default:
		how = "failed"
	}
	a.metrics.activities.WithLabelValues(info.ActivityType.Name, attempt, how).Inc()
	a.metrics.activityTime.WithLabelValues(info.ActivityType.Name).Observe(time.Since(begin).Seconds())
	return result, err
}
