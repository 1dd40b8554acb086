package users_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// ask posts a body as a user, or gets where there is none.
func (u *uploads) ask(path, user, body string) wire.Envelope {
	u.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(u.t.Context(), method, u.url+path, strings.NewReader(body))
	require.NoError(u.t, err)
	r.Header.Set(wire.UserHeader, user)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(u.t, err)
	defer func() { require.NoError(u.t, resp.Body.Close()) }()
	var e wire.Envelope
	require.NoError(u.t, json.NewDecoder(resp.Body).Decode(&e))
	return e
}

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

// create records a job of one task at this site.
func (u *uploads) create(id openflow.JobID) {
	u.t.Helper()
	dag := &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest}, Stage: openflow.StageTrain,
		Tasks: []openflow.Task{{Name: "a", Component: "psi"}},
	}
	job := openflow.JobRecord{ID: id, Party: guest, Scheduler: "9999", Initiator: "9999", Status: openflow.JobSuccess, DAG: dag, ModelID: string(id), ModelVersion: "0"}
	require.NoError(u.t, u.rows.CreateJob(u.t.Context(), job, nil))
}

// What users write is kept in rows that everybody here reads, so each text has a bound.
func TestTextsOfUsersAreBounded(t *testing.T) {
	u := newUploads(t)
	u.create("j1")
	notes := func(text string) string {
		body, err := json.Marshal(map[string]string{"job_id": "j1", "role": "guest", "party_id": "9999", "notes": text})
		require.NoError(t, err)
		return string(body)
	}
	for why, c := range map[string]struct{ path, user, body, says string }{
		"notes":                         {"/v2/job/notes/add", "ann", notes(strings.Repeat("客", 5000)), ""},
		"long notes":                    {"/v2/job/notes/add", "ann", notes(strings.Repeat("x", 16<<10+1)), "the notes text has 16385 bytes, and 16384 are allowed"},
		"notes with a zero byte":        {"/v2/job/notes/add", "ann", notes("a\x00b"), "not UTF-8 text without zero bytes"},
		"a long user name":              {"/v2/job/notes/add", strings.Repeat("u", 257), notes("x"), "the user name has 257 bytes, and 256 are allowed"},
		"a user name in Latin-1":        {"/v2/table/delete", "J\xfcrgen", `{"namespace":"ns","name":"t"}`, "the user name holds a control character or is not UTF-8"},
		"an upload by a long name":      {"/v2/data/component/upload", strings.Repeat("u", 257), `{"file":"a.csv"}`, "the user name has 257 bytes"},
		"a peer with a long address":    {"/openflow/v1/user/site/add", "ann", `{"party_id":"10000","url":"http://` + strings.Repeat("h", 3000) + `"}`, "the address has 3007 bytes"},
		"a removal with a long address": {"/openflow/v1/user/site/remove", "ann", `{"party_id":"10000","url":"` + strings.Repeat("h", 3000) + `"}`, "the address has 3000 bytes"},
	} {
		t.Run(why, func(t *testing.T) {
			e := u.ask(c.path, c.user, c.body)
			if c.says == "" {
				require.NoError(t, e.Err())
				return
			}
			require.ErrorContains(t, e.Err(), c.says)
		})
	}
}

// A job tells of the models that its tasks have made; one of psi makes none.
func TestAJobTellsItsModels(t *testing.T) {
	u := newUploads(t)
	u.create("j1")
	u.create("j2")
	require.NoError(t, u.rows.SaveModel(t.Context(), openflow.ModelRecord{
		ModelID: "j1", Version: "0", Scheduler: "9999", Party: guest, Task: "a", OutputKey: "output_model", Job: "j1", TypeName: "json_model", Object: strings.Repeat("0", 64),
	}))
	for job, want := range map[string][]wire.JobModel{"j1": {{TaskName: "a", OutputKey: "output_model"}}, "j2": nil} {
		e := u.ask("/v2/job/query?job_id="+job, "", "")
		require.Zero(t, e.Code, e.Message)
		var rows []wire.JobRow
		require.NoError(t, json.Unmarshal(e.Data, &rows))
		require.Len(t, rows, 1)
		require.Equal(t, want, rows[0].Models)
	}
}
