package jobcheck_test

import (
	"testing"

	"openflow"
	"openflow/site/jobcheck"
	"openflow/tests/worst"
)

// pass hands a labelled table on, so that every task of a chain is asked for the table that the chain begins at.
var pass = jobcheck.Component{
	Roles:      []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
	Stages:     []openflow.Stage{openflow.StageDefault},
	Parameters: map[string]jobcheck.Parameter{"x": {Optional: true, Alike: true}, "list": {Optional: true, Alike: true}},
	Inputs: map[openflow.InputKind]map[string]openflow.ComponentArtifact{openflow.InputData: {"in": {
		Optional: true, Multi: true, Roles: []openflow.Role{openflow.RoleGuest, openflow.RoleHost}, Labelled: []openflow.Role{openflow.RoleGuest},
	}}},
	Outputs: map[openflow.InputKind]map[string]openflow.ComponentArtifact{
		openflow.InputData: {"out": {Optional: true, Like: "in"}},
	},
}

// What components say of themselves is compared with a job in proportion to what its parties are told.
func TestJobsAreCheckedInProportion(t *testing.T) {
	worst.Linear(t, func(d *openflow.DAG) {
		if _, usable := d.Examine(); !usable {
			return
		}
		site := jobcheck.Site{
			Self: d.Parties[0].ID, Find: func(openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) { return pass, nil },
			Labels: func(openflow.TableName) (string, func(string) bool, bool) { return "", nil, true },
		}
		site.Check(d, d.Participants())
	})
}
