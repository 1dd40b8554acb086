package supplies_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
	"openflow/site/trust/supplies"
)

// rows holds one job, of party 10000 by scheduler 9999.
type rows struct{}

func (rows) Job(_ context.Context, k openflow.JobKey) (openflow.JobRecord, error) {
	if k != (openflow.JobKey{Scheduler: "9999", Job: "j", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}) {
		return openflow.JobRecord{}, openflow.Errorf(openflow.CodeNotFound, "no job %s", k.Job)
	}
	dag := &openflow.DAG{}
	dag.Conf.ComputingPartitions = 8
	return openflow.JobRecord{ID: "j", DAG: dag, ModelID: "m", ModelVersion: "3"}, nil
}

func TestIssue(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	secrets, err := trust.LoadOrCreateCredentials(dir)
	require.NoError(t, err)
	policy := openflow.DefaultPolicy()
	policy.PSI.MinIntersection = 7
	given := openflow.Parameters{"epochs": 3}
	issuer := supplies.Issuer{Jobs: rows{}, Secrets: secrets, Policy: policy, Defaults: func(_ context.Context, provider, component string) (openflow.Parameters, error) {
		require.Equal(t, "acme:1@docker psi", provider+" "+component)
		return given, nil
	}}
	run := openflow.TaskRecord{Provider: "acme:1@docker", Component: "psi", Key: openflow.TaskKey{Scheduler: "9999", Job: "j", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}}
	got, err := issuer.Issue(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSupply{
		Credential: secrets.Issue(run.Key), ModelID: "m", ModelVersion: "3", Partitions: 8, Policy: policy, Defaults: given,
	}, got)
	run.Key.Scheduler = "10001"
	_, err = issuer.Issue(t.Context(), run)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "of the same name, by another scheduler")
}
