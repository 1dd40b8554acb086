package env

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// Submission is a job as the node of its initiator hands it to the scheduler: filled in, and signed with that node's key. The node
// need not run.
func (e *Env) Submission(t testing.TB, d *openflow.DAG, id openflow.JobID) openflow.Submission {
	t.Helper()
	whole := *d
	whole.Conf = whole.Conf.Filled(id)
	initiator := whole.Conf.Initiator
	given, err := trust.Mandates{Self: initiator, Key: e.Key(t, string(initiator))}.Give(&whole, id, "")
	require.NoError(t, err)
	return openflow.Submission{DAG: &whole, ID: id, Initiator: initiator, Mandate: given}
}

// Order is such a job as its scheduler hands it to a party. Where the document names nobody else, the scheduler is its initiator.
func (e *Env) Order(t testing.TB, k openflow.JobKey, d *openflow.DAG) openflow.JobOrder {
	t.Helper()
	whole := *d
	whole.Conf.Initiator, whole.Conf.Scheduler = cmp.Or(d.Conf.Initiator, k.Scheduler), cmp.Or(d.Conf.Scheduler, k.Scheduler)
	sub := e.Submission(t, &whole, k.Job)
	return openflow.JobOrder{Key: k, DAG: sub.DAG.StrippedFor(k.Party.ID), Mandate: sub.Mandate.For(k.Party.ID)}
}
