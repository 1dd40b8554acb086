package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

const taskBody = `"job_id":"J","role":"host","party_id":"10000","task_id":"J_psi_0","task_version":0`

// The bodies of fate-flow-api §2.3.1 and §2.2, and what is wrong with them when it is.
func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		body    string
		into    any
		missing wire.MissingFields
		fails   string
	}{
		"job":                   {`{"role":"host","party_id":"10000","job_id":"J"}`, &wire.JobRef{}, nil, ""},
		"job, numbers":          {`{"role":"host","party_id":10000,"job_id":202501020304050607080}`, &wire.JobRef{}, nil, ""},
		"job, unknown keys":     {`{"role":"host","party_id":"1","job_id":"J","extra_info":{}}`, &wire.JobRef{}, nil, ""},
		"nothing":               {``, &wire.JobRef{}, wire.MissingFields{"job_id", "role", "party_id"}, ""},
		"blanks":                {" \n", &wire.JobRef{}, wire.MissingFields{"job_id", "role", "party_id"}, ""},
		"empty strings":         {`{"role":"","party_id":"1","job_id":"J"}`, &wire.JobRef{}, wire.MissingFields{"role"}, ""},
		"null":                  {`{"role":null,"party_id":"1","job_id":"J"}`, &wire.JobRef{}, nil, "expected a string, found null"},
		"boolean id":            {`{"role":"host","party_id":true,"job_id":"J"}`, &wire.JobRef{}, nil, "expected a string, found true"},
		"object id":             {`{"role":"host","party_id":{},"job_id":"J"}`, &wire.JobRef{}, nil, "expected a string, found {}"},
		"not JSON":              {`role=host`, &wire.JobRef{}, nil, "invalid request body"},
		"a list":                {`[]`, &wire.JobRef{}, nil, "invalid request body"},
		"two documents":         {`{}{}`, &wire.JobRef{}, nil, "invalid request body"},
		"task":                  {`{` + taskBody + `}`, &wire.TaskRef{}, nil, ""},
		"task without version":  {`{"job_id":"J","role":"host","party_id":"1","task_id":"J_a"}`, &wire.TaskRef{}, wire.MissingFields{"task_version"}, ""},
		"task, version null":    {`{"job_id":"J","role":"host","party_id":"1","task_id":"J_a","task_version":null}`, &wire.TaskRef{}, wire.MissingFields{"task_version"}, ""},
		"create without DAG":    {`{"job_id":"J","role":"host","party_id":"1","schema_version":"2"}`, &wire.PartnerCreateJob{}, wire.MissingFields{"dag"}, ""},
		"create with null DAG":  {`{"job_id":"J","role":"host","party_id":"1","schema_version":"2","dag":null}`, &wire.PartnerCreateJob{}, wire.MissingFields{"dag"}, ""},
		"schedule":              {`{"dag":{},"schema_version":"2"}`, &wire.SchedulerCreateJob{}, nil, ""},
		"schedule nothing":      {`{}`, &wire.SchedulerCreateJob{}, wire.MissingFields{"dag", "schema_version"}, ""},
		"report without status": {`{` + taskBody + `}`, &wire.SchedulerReportTask{}, nil, ""},
		"worker status":         {`{"execution_id":"P"}`, &wire.WorkerStatus{}, wire.MissingFields{"status"}, ""},
		"tracking":              {`{"execution_id":"P","output_key":"k"}`, &wire.TrackingSave{}, wire.MissingFields{"data_type"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := wire.Decode([]byte(tc.body), tc.into)
			if tc.fails == "" && tc.missing == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			var missing wire.MissingFields
			if tc.missing != nil {
				require.ErrorAs(t, err, &missing)
				require.Equal(t, tc.missing, missing)
				for _, f := range missing {
					require.ErrorContains(t, err, f)
				}
				return
			}
			require.ErrorContains(t, err, tc.fails)
		})
	}
}

func TestKeysOfReferences(t *testing.T) {
	var ref wire.TaskRef
	require.NoError(t, wire.Decode([]byte(`{`+taskBody+`}`), &ref))
	want := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "psi_0", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
	key, err := ref.TaskKey("9999")
	require.NoError(t, err)
	require.Equal(t, want, key)
	jobKey, err := ref.Key("9999")
	require.NoError(t, err)
	require.Equal(t, openflow.JobKey{Scheduler: "9999", Job: "J", Party: want.Party}, jobKey)

	back := wire.TaskRefOf(want)
	b, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, `{`+taskBody+`}`, string(b))

	for name, body := range map[string]string{
		"role":              `{"job_id":"J","role":"boss","party_id":"1","task_id":"J_a","task_version":0}`,
		"job id":            `{"job_id":"../J","role":"host","party_id":"1","task_id":"../J_a","task_version":0}`,
		"party id":          `{"job_id":"J","role":"host","party_id":"a/b","task_id":"J_a","task_version":0}`,
		"task of another":   `{"job_id":"J","role":"host","party_id":"1","task_id":"K_a","task_version":0}`,
		"task name":         `{"job_id":"J","role":"host","party_id":"1","task_id":"J_../a","task_version":0}`,
		"negative version":  `{"job_id":"J","role":"host","party_id":"1","task_id":"J_a","task_version":-1}`,
		"task without name": `{"job_id":"J","role":"host","party_id":"1","task_id":"J_","task_version":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			var ref wire.TaskRef
			require.NoError(t, wire.Decode([]byte(body), &ref))
			_, err := ref.TaskKey("9999")
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func TestDAGInsideARequest(t *testing.T) {
	d, err := wire.ParseDAG(read(t, "testdata/dag/flow-5.1.yaml"))
	require.NoError(t, err)
	inner, err := wire.EncodeDAG(d)
	require.NoError(t, err)
	b := wire.PartnerCreateJob{DAG: inner, SchemaVersion: "2.2.0", Kind: wire.Kind}
	got, err := b.Decode()
	require.NoError(t, err)
	require.Equal(t, d, got)

	b.Kind = "bfia"
	_, err = b.Decode()
	require.ErrorContains(t, err, "kind")
	_, err = wire.SchedulerCreateJob{DAG: json.RawMessage(`{`), SchemaVersion: "1"}.Decode()
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
