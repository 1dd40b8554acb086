package lr

import (
	"context"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/component"
)

// outcome is how the training of one model went at one party.
type outcome struct {
	epochs    int
	converged bool
	losses    []float64 // of each epoch, where the party knows it: guest and arbiter of a training with one host
}

// epochEnd is what the arbiter says at the end of an epoch. The loss goes to the guest alone: to a host, which has no
// label, it would be one more equation about the labels.
type epochEnd struct {
	converged bool
	loss      *float64
}

// encode renders e for decodeEpochEnd: a byte, and 8 more with the loss.
func (e epochEnd) encode() []byte {
	message := []byte{flag(e.converged)}
	if e.loss != nil {
		message = append(message, encodeNumbers([]float64{*e.loss})...)
	}
	return message
}

// decodeEpochEnd reads the end of an epoch, with the loss or without as the reader expects. Errors: CodeInvalid.
func decodeEpochEnd(message []byte, withLoss bool) (epochEnd, error) {
	if len(message) == 0 || message[0] > 1 {
		return epochEnd{}, openflow.Errorf(openflow.CodeInvalid, "the arbiter's message at the end of an epoch is not readable").
			WithPublic("the arbiter's message at the end of an epoch is not readable")
	}
	e, numbers := epochEnd{converged: message[0] == 1}, 0
	if withLoss {
		numbers = 1
	}
	values, err := decodeNumbers(message[1:], numbers)
	if err == nil && withLoss {
		e.loss = &values[0]
	}
	return e, err
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// curve follows the training of model k: it logs each epoch and reports its loss where the party knows it.
type curve struct {
	task  *component.Task
	plan  plan
	k     int
	class string // the label that the model calls positive; empty where the party does not know it
	began time.Time
	outcome
}

func (s *session) follow(p plan, k int, class string) *curve {
	return &curve{task: s.task, plan: p, k: k, class: class, began: time.Now()}
}

// epoch takes the end of one more epoch.
//
// Spec: fate-components §6.1 (Metric): the loss is a one-element list. Upstream reports it at the arbiter only.
func (c *curve) epoch(ctx context.Context, e epochEnd) error {
	epoch := c.epochs
	c.epochs, c.converged = c.epochs+1, e.converged
	fields := []any{"epoch", c.epochs, "of", c.plan.Epochs, "seconds", seconds(c.began)}
	if c.plan.Models > 1 {
		fields = append(fields, "model", c.name())
	}
	if e.loss == nil {
		c.task.Log().Info("epoch ended", fields...)
		return nil
	}
	c.task.Log().Info("epoch ended", append(fields, "loss", *e.loss)...)
	c.losses = append(c.losses, *e.loss)
	groups := []component.Group{{Name: "train"}}
	switch {
	case c.plan.Models > 1 && c.class != "":
		groups = append(groups, component.Group{Name: "class " + c.class, Index: &c.k})
	case c.plan.Models > 1:
		groups = append(groups, component.Group{Name: "class", Index: &c.k})
	}
	return c.task.Metric(ctx, component.Metric{
		Name: lossMetric, Type: "loss", Groups: groups, StepAxis: iterationAxis, Step: epoch, Data: []float64{*e.loss},
	})
}

// ended logs the end of the model's training.
func (c *curve) ended() outcome {
	fields := []any{"epochs", c.epochs, "converged", c.converged, "seconds", seconds(c.began)}
	if c.plan.Models > 1 {
		fields = append(fields, "model", c.name())
	}
	c.task.Log().Info("training ended", fields...)
	return c.outcome
}

func (c *curve) name() string {
	if c.class != "" {
		return "class " + c.class
	}
	return strconv.Itoa(c.k+1) + " of " + strconv.Itoa(c.plan.Models)
}

// begin logs what is trained on: this party's own table, and what all parties agree on.
func (s *session) begin(p plan, own parameters, r *rows) {
	fields := []any{"rows", p.Rows, "epochs", p.Epochs, "batches", len(p.batches()), "batch_rows", p.BatchRows, "models", p.Models}
	if r != nil {
		fields = append(fields, "columns", len(r.columns), "optimizer", own.Optimizer.Method, "penalty", own.Optimizer.Penalty,
			"alpha", own.Optimizer.Alpha)
	}
	s.task.Log().Info("training begins", fields...)
}

// seconds since a moment, to the millisecond.
func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }
