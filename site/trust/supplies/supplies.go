// Package supplies says what a run is given: its credential, its model, its partitions and the site's policy.
package supplies

import (
	"context"

	"openflow"
	"openflow/site/trust"
)

// Jobs are this site's rows of jobs. CodeNotFound: there is none.
type Jobs interface {
	Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error)
}

// Issuer gives each run of a site what it needs and no more.
type Issuer struct {
	Jobs    Jobs
	Secrets trust.Credentials
	Policy  openflow.Policy
	// Approve says what the container of a run may have, or why what its provider brings may not run; nil: whatever runs may.
	Approve func(ctx context.Context, r openflow.TaskRecord) (openflow.Confinement, error)
	// Defaults says what a component is given for parameters that a job leaves out; nil: nothing.
	Defaults func(ctx context.Context, provider, component string) (openflow.Parameters, error)
}

// Issue gives a run its credential, and tells which model it writes to, its partitions, which the job says, and the
// site's policy. So a machine of the pool needs no file of its own.
func (i Issuer) Issue(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error) {
	job, err := i.Jobs.Job(ctx, r.Key.JobKey())
	if err != nil {
		return openflow.TaskSupply{}, openflow.About(openflow.AboutJob, err)
	}
	var may openflow.Confinement
	if i.Approve != nil {
		if may, err = i.Approve(ctx, r); err != nil {
			return openflow.TaskSupply{}, err
		}
	}
	var defaults openflow.Parameters
	if i.Defaults != nil {
		if defaults, err = i.Defaults(ctx, r.Provider, r.Component); err != nil {
			return openflow.TaskSupply{}, err
		}
	}
	return openflow.TaskSupply{
		Credential: i.Secrets.Issue(r.Key), ModelID: job.ModelID, ModelVersion: job.ModelVersion,
		Partitions: job.DAG.Conf.ComputingPartitions, Policy: i.Policy, May: may, Defaults: defaults,
	}, nil
}
