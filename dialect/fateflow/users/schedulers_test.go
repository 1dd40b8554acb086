package users_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// Two schedulers have given jobs here the same ID. What one answer tells of a job is of that job alone, and a list has each
// of them on one page.
func TestJobsOfOneIDAreToldApart(t *testing.T) {
	u := newUploads(t)
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	schedulers := []openflow.PartyID{"10001", "9999", "10000"} // in the order in which they came
	for _, s := range schedulers {
		require.NoError(t, u.rows.CreateJob(t.Context(), openflow.JobRecord{
			ID: "1", Party: guest, Scheduler: s, DAG: &openflow.DAG{Parties: []openflow.Party{guest}},
		}, nil))
		require.NoError(t, u.rows.SaveModel(t.Context(), openflow.ModelRecord{
			ModelID: "1", Version: "0", Party: guest, Task: "lr_0", OutputKey: "of-" + string(s), Job: "1", Scheduler: s,
		}))
	}
	get := func(path string, query url.Values, into any) {
		t.Helper()
		answer, err := http.Get(u.url + path + "?" + query.Encode())
		require.NoError(t, err)
		defer func() { require.NoError(t, answer.Body.Close()) }()
		var e wire.Envelope
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&e))
		require.NoError(t, e.Err())
		require.NoError(t, json.Unmarshal(e.Data, into))
	}
	for _, s := range schedulers {
		var rows []wire.JobRow
		get("/v2/job/query", url.Values{"job_id": {"1"}, "scheduler_party_id": {string(s)}}, &rows)
		require.Len(t, rows, 1)
		require.Equal(t, []wire.JobModel{{TaskName: "lr_0", OutputKey: "of-" + string(s)}}, rows[0].Models)
	}
	var listed []string
	for page := 1; page <= len(schedulers); page++ {
		var list struct{ Data []wire.JobRow }
		get("/v2/job/list/query", url.Values{"limit": {"1"}, "page": {fmt.Sprint(page)}, "order_by": {"status"}}, &list)
		require.Len(t, list.Data, 1)
		listed = append(listed, list.Data[0].SchedulerPartyID)
	}
	require.Equal(t, []string{"10000", "10001", "9999"}, listed)
}
