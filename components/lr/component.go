package lr

import (
	"context"

	"openflow"
	"openflow/components/lr/he"
	"openflow/sdk/component"
)

// Keys of the artifacts.
//
// Spec: fate-components §6.1.
const (
	trainData     = "train_data"
	validateData  = "validate_data"
	testData      = "test_data"
	warmStart     = "warm_start_model"
	inputModel    = "input_model"
	trainOutput   = "train_output_data"
	testOutput    = "test_output_data"
	outputModel   = "output_model"
	lossMetric    = "lr_loss"
	iterationAxis = "iterations"
)

// Component describes coordinated_lr to a node and runs it.
//
// Spec: fate-components §6.1. Not offered: stage cross_validation, a weight column, optimizers beyond sgd, adam, rmsprop
// and adagrad.
func Component() component.Component {
	train, predict := []openflow.Stage{openflow.StageTrain}, []openflow.Stage{openflow.StagePredict}
	parties := []openflow.Role{openflow.RoleGuest, openflow.RoleHost}
	return component.Component{
		Name: "coordinated_lr",
		Description: "logistic regression over the columns of a guest and its hosts, coordinated by an arbiter; CKKS encryption, " +
			"Taylor objective. The l1 step shrinks by alpha*lr/sqrt(epoch) with epochs counted from 1, and its loss takes absolute values. " +
			"Every party runs the optimizer on its own coefficients. No cross validation, no weight column",
		Roles:      []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter},
		Stages:     []openflow.Stage{openflow.StageTrain, openflow.StagePredict},
		Parameters: defaults(),
		Inputs: []component.Artifact{
			{Key: trainData, Stages: train, Roles: parties, Labelled: parties[:1]},
			{Key: validateData, Stages: train, Roles: parties, Optional: true},
			{Key: testData, Stages: predict, Roles: parties},
			{Key: warmStart, Type: component.JSONModel, Stages: train, Optional: true},
			{Key: inputModel, Type: component.JSONModel, Stages: predict, Roles: parties},
		},
		Outputs: []component.Artifact{
			{Key: trainOutput, Stages: train, Roles: parties},
			{Key: testOutput, Stages: predict, Roles: parties},
			{Key: outputModel, Type: component.JSONModel, Stages: train},
		},
		Needs: []component.Need{
			{Role: openflow.RoleGuest, Min: 1, Max: 1}, {Role: openflow.RoleHost, Min: 1},
			{Role: openflow.RoleArbiter, Min: 1, Max: 1, Stages: train},
			{Role: openflow.RoleHost, Min: 1, Max: 1, Stages: train, Parameter: "early_stop", Values: []string{"diff", "abs"}}, // they need the loss
		},
		Protocols: []openflow.Protocol{{Name: "openflow/coordinated_lr", Version: "1"}},
		Run:       run,
	}
}

// session is one run at one party, and who the others are.
type session struct {
	task    *component.Task
	guest   openflow.Party
	hosts   []openflow.Party
	arbiter openflow.Party // zero in a predict task without one
}

func run(ctx context.Context, t *component.Task) error {
	s := &session{task: t, hosts: t.PartiesOf(openflow.RoleHost)}
	guests, arbiters := t.PartiesOf(openflow.RoleGuest), t.PartiesOf(openflow.RoleArbiter)
	if len(guests) != 1 || len(s.hosts) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%s has %d guests and %d hosts; coordinated_lr needs one guest and at least one host",
			t.Key(), len(guests), len(s.hosts)).WithPublic("coordinated_lr needs one guest and at least one host")
	}
	s.guest = guests[0]
	if t.Stage() == openflow.StagePredict {
		return s.predict(ctx)
	}
	if len(arbiters) != 1 {
		return openflow.Errorf(openflow.CodeInvalid, "%s has %d arbiters; training needs exactly one", t.Key(), len(arbiters)).
			WithPublic("training needs exactly one arbiter")
	}
	s.arbiter = arbiters[0]
	p := defaults()
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	switch t.Role() {
	case openflow.RoleGuest:
		return s.trainGuest(ctx, p)
	case openflow.RoleHost:
		return s.trainHost(ctx, p)
	default:
		return s.trainArbiter(ctx, p)
	}
}

// parallel spreads work over the task's cores.
func (s *session) parallel(ctx context.Context) he.Parallel {
	return func(n int, f func(i int) error) error { return s.task.Parallel(ctx, n, f) }
}
