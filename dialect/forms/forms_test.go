package forms_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
)

const taskBody = `"job_id":"J","role":"host","party_id":"10000","task_id":"J_psi_0","task_version":0`

// The bodies of fate-flow-api §2.3.1 and §2.2, and what is missing in them.
func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		body    string
		into    any
		missing wire.MissingFields
	}{
		"task":                  {`{` + taskBody + `}`, &forms.TaskRef{}, nil},
		"task without version":  {`{"job_id":"J","role":"host","party_id":"1","task_id":"J_a"}`, &forms.TaskRef{}, wire.MissingFields{"task_version"}},
		"task, version null":    {`{"job_id":"J","role":"host","party_id":"1","task_id":"J_a","task_version":null}`, &forms.TaskRef{}, wire.MissingFields{"task_version"}},
		"create without DAG":    {`{"job_id":"J","role":"host","party_id":"1","schema_version":"2"}`, &forms.PartnerCreateJob{}, wire.MissingFields{"dag"}},
		"create with null DAG":  {`{"job_id":"J","role":"host","party_id":"1","schema_version":"2","dag":null}`, &forms.PartnerCreateJob{}, wire.MissingFields{"dag"}},
		"schedule":              {`{"dag":{},"schema_version":"2"}`, &forms.SchedulerCreateJob{}, nil},
		"schedule nothing":      {`{}`, &forms.SchedulerCreateJob{}, wire.MissingFields{"dag", "schema_version"}},
		"report without status": {`{` + taskBody + `}`, &forms.SchedulerReportTask{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := wire.Decode([]byte(tc.body), tc.into)
			if tc.missing == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			var missing wire.MissingFields
			require.ErrorAs(t, err, &missing)
			require.Equal(t, tc.missing, missing)
		})
	}
}

func TestKeysOfReferences(t *testing.T) {
	var ref forms.TaskRef
	require.NoError(t, wire.Decode([]byte(`{`+taskBody+`}`), &ref))
	want := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "psi_0", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
	key, err := ref.TaskKey("9999")
	require.NoError(t, err)
	require.Equal(t, want, key)
	jobKey, err := ref.Key("9999")
	require.NoError(t, err)
	require.Equal(t, openflow.JobKey{Scheduler: "9999", Job: "J", Party: want.Party}, jobKey)

	back := forms.TaskRefOf(want)
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
			var ref forms.TaskRef
			require.NoError(t, wire.Decode([]byte(body), &ref))
			_, err := ref.TaskKey("9999")
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func TestDAGInsideARequest(t *testing.T) {
	doc, err := os.ReadFile("../../sdk/wire/testdata/dag/flow-5.1.yaml")
	require.NoError(t, err)
	d, err := wire.ParseDAG(doc)
	require.NoError(t, err)
	inner, err := wire.EncodeDAG(d)
	require.NoError(t, err)
	given := &openflow.Mandate{
		Text: []byte("any <bytes>\xff"), Signature: make([]byte, openflow.MandateSignature), Salt: make([]byte, openflow.MandateSalt),
	}
	key := openflow.JobKey{Scheduler: "9999", Job: "J", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
	order := openflow.JobOrder{Key: key, DAG: d, UserName: "ann", Mandate: given}
	b, err := forms.EncodeOrder(order)
	require.NoError(t, err)
	require.Equal(t, json.RawMessage(inner), b.DAG)
	got, err := received(t, b).Order(key)
	require.NoError(t, err)
	require.Equal(t, order, got)
	for name, spoil := range map[string]func(*forms.PartnerCreateJob){
		"kind":      func(b *forms.PartnerCreateJob) { b.Kind = "bfia" },
		"user":      func(b *forms.PartnerCreateJob) { b.UserName = strings.Repeat("x", 1<<10) },
		"text":      func(b *forms.PartnerCreateJob) { b.Mandate.Text = make([]byte, openflow.MaxMandate+1) },
		"signature": func(b *forms.PartnerCreateJob) { b.Mandate.Signature = nil },
		"salt":      func(b *forms.PartnerCreateJob) { b.Mandate.Salt = b.Mandate.Salt[1:] },
	} {
		bad := received(t, b)
		spoil(&bad)
		_, err := bad.Order(key)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
	b.Mandate = nil
	got, err = received(t, b).Order(key)
	require.NoError(t, err)
	require.Nil(t, got.Mandate, "FATE-Flow sends none")

	submission := openflow.Submission{DAG: d, Initiator: "9999", ID: "J", IdempotencyKey: "once", UserName: "ann", Mandate: given}
	submitted, err := forms.EncodeSubmission(submission)
	require.NoError(t, err)
	sub, err := submitted.Submission("9999")
	require.NoError(t, err)
	require.Equal(t, submission, sub)
	for name, spoil := range map[string]func(*forms.SchedulerCreateJob){
		"mandate":  func(b *forms.SchedulerCreateJob) { b.Mandate = &forms.Mandate{} },
		"document": func(b *forms.SchedulerCreateJob) { b.DAG = json.RawMessage(`{`) },
		"user":     func(b *forms.SchedulerCreateJob) { b.UserName = strings.Repeat("x", 1<<10) },
		"key":      func(b *forms.SchedulerCreateJob) { b.IdempotencyKey = strings.Repeat("x", 1<<10) },
	} {
		bad := submitted
		spoil(&bad)
		_, err := bad.Submission("9999")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}

// received is a body as it comes off the wire.
func received(t *testing.T, sent forms.PartnerCreateJob) (b forms.PartnerCreateJob) {
	t.Helper()
	text, err := json.Marshal(sent)
	require.NoError(t, err)
	require.NoError(t, wire.Decode(text, &b))
	return b
}

// collectKeys are those of fate-flow-api §2.3 task/collect.
const collectKeys = `job_id task_id task_version role party_id status party_status start_time update_time end_time elapsed`

// standing is a run that has ended after three seconds.
func standing() openflow.TaskStanding {
	begin := time.UnixMilli(1767322800000)
	return openflow.TaskStanding{
		Key:    openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}},
		Status: openflow.TaskFailed, PartyStatus: openflow.TaskFailed, StartTime: begin, EndTime: begin.Add(3 * time.Second), UpdateTime: begin,
	}
}

func keysOf(t *testing.T, v any) ([]string, map[string]any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(b, &m))
	return slices.Sorted(maps.Keys(m)), m
}

func TestTaskState(t *testing.T) {
	keys, m := keysOf(t, forms.EncodeTaskState(standing()))
	require.ElementsMatch(t, strings.Fields(collectKeys), keys, "reason and report stay at the site")
	require.Equal(t, 3000.0, m["elapsed"])
	r := standing()
	r.Cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "line 1\nline 2", Consequence: true}
	keys, m = keysOf(t, forms.EncodeTaskState(r))
	require.ElementsMatch(t, strings.Fields(collectKeys+" error error_code error_consequence"), keys)
	require.Equal(t, "line 1", m["error"], "one line, and no more, leaves the site")
}

func FuzzTaskUpdates(f *testing.F) {
	const ref = `"job_id":"1","role":"host","party_id":"10000"`
	f.Add([]byte(`{` + ref + `,"status":"failed","tasks":[{` + ref + `,"task_id":"1_a","task_version":0,"status":"failed","progress":50}]}`))
	f.Add([]byte(`{` + ref + `,"status":"failed","tasks":[{"job_id":"2"},null]}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		var b struct {
			wire.JobRef
			Tasks []forms.PartnerUpdateTask `json:"tasks"`
		}
		if wire.Decode(body, &b) != nil {
			return
		}
		k, err := b.Key("9999")
		if err != nil {
			return
		}
		updates, err := forms.DecodeTaskEnds(b.Tasks, k)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		for _, u := range updates {
			require.True(t, u.Status.Terminal())
			require.Equal(t, string(b.JobID), string(u.Key.Job))
			require.Equal(t, string(b.PartyID), string(u.Key.Party.ID))
		}
		again, err := forms.DecodeTaskUpdates(forms.EncodeTaskUpdates(updates), k)
		require.NoError(t, err)
		require.Equal(t, updates, again)
	})
}

// What a peer sends is refused or read, and what was read can be written and read again.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{` + taskBody + `,"status":"running","progress":50.0,"dag":{},"schema_version":"1","mandate":{"text":"AA==","signature":"AA==","salt":null}}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		for _, into := range []any{
			&forms.TaskRef{}, &forms.PartnerCreateJob{}, &forms.PartnerUpdateJob{}, &forms.PartnerUpdateTask{},
			&forms.SchedulerCreateJob{}, &forms.SchedulerStopJob{}, &forms.SchedulerReportTask{},
		} {
			if err := wire.Decode(body, into); err != nil {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				continue
			}
			if ref, ok := into.(*forms.TaskRef); ok {
				key, err := ref.TaskKey("9999") // must not fail otherwise than by refusing
				if err == nil {
					require.Equal(t, key.TaskID(), openflow.TaskID(ref.TaskID))
				}
			}
			again, err := json.Marshal(into)
			require.NoError(t, err)
			require.NoError(t, wire.Decode(again, into), "%s", again)
		}
	})
}

// What programs speak is told once for all tasks of which the same is said.
func TestSpoken(t *testing.T) {
	acme, one := openflow.ProviderRef{Name: "acme", Version: "1.2.0"}, []openflow.Protocol{{Name: "acme/psi", Version: "1"}}
	said := []openflow.Spoken{{Task: "a", Provider: acme, Protocols: one}, {Task: "b", Provider: acme, Protocols: one}, {Task: "c", Provider: acme}}
	text, err := json.Marshal(forms.EncodeSpoken(said))
	require.NoError(t, err)
	require.JSONEq(t, `[{"tasks":["a","b"],"provider":"acme:1.2.0","protocols":[{"name":"acme/psi","version":"1"}]},
		{"tasks":["c"],"provider":"acme:1.2.0","protocols":[]}]`, string(text))
	for name, text := range map[string]string{
		"no provider":      `[{"tasks":["a"]}]`,
		"any provider":     `[{"tasks":["a"],"provider":"*:1"}]`,
		"a name that none": `[{"tasks":["a"],"provider":"a b:1"}]`,
		"no task's name":   `[{"tasks":["a b"],"provider":"acme:1"}]`,
		"no protocol":      `[{"tasks":["a"],"provider":"acme:1","protocols":[{"name":"p"}]}]`,
		"one twice":        `[{"tasks":["a"],"provider":"acme:1","protocols":[{"name":"p","version":"1"},{"name":"p","version":"1"}]}]`,
		"nine":             `[{"tasks":["a"],"provider":"acme:1","protocols":[` + strings.Repeat(`{"name":"p","version":"1"},`, 8) + `{"name":"q","version":"1"}]}]`,
		"too many entries": `[` + strings.Repeat(`{"tasks":["a"],"provider":"acme:1"},`, 200) + `{"tasks":["a"],"provider":"acme:1"}]`,
		"too many tasks":   `[{"tasks":["a"` + strings.Repeat(`,"`+strings.Repeat("a", 128)+`"`, 2100) + `],"provider":"acme:1"}]`,
	} {
		var list []forms.Spoken
		require.NoError(t, json.Unmarshal([]byte(text), &list), name)
		_, err := forms.DecodeSpoken(list)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
	var many []openflow.Spoken
	for i := range 300 {
		many = append(many, openflow.Spoken{Task: "a", Provider: openflow.ProviderRef{Name: "acme", Version: strings.Repeat("1", i%60+1) + string(rune('a'+i/60))}})
	}
	require.Empty(t, forms.EncodeSpoken(many), "a scheduler takes no more, so nothing is said")
}

func FuzzSpoken(f *testing.F) {
	f.Add([]byte(`[{"tasks":["a","b"],"provider":"acme:1.2.0","protocols":[{"name":"acme/psi","version":"1"}]},{"tasks":["c"],"provider":"acme:1"}]`))
	fuzzing.Within(f, func(t *testing.T, text []byte) {
		var list []forms.Spoken
		if wire.Unmarshal(text, &list) != nil {
			return
		}
		said, err := forms.DecodeSpoken(list)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		again, err := forms.DecodeSpoken(forms.EncodeSpoken(said))
		require.NoError(t, err)
		require.ElementsMatch(t, said, again)
	})
}

// A number may come as its text. A share is news, and is cut to what a share can be.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{`0`: 0, `"0"`: 0, `17`: 17, `"17"`: 17, `-1`: -1} {
		var w forms.Whole
		require.NoError(t, json.Unmarshal([]byte(text), &w), text)
		require.Equal(t, forms.Whole(want), w)
	}
	for _, text := range []string{`""`, `"x"`, `1.5`, `[1]`, `{}`, `true`, `1e99`, `"0x1"`} {
		var w forms.Whole
		require.Error(t, json.Unmarshal([]byte(text), &w), text)
	}
	for text, want := range map[string]float64{`50`: 50, `"33.3"`: 33.3, `-7`: 0, `150`: 100, `1e300`: 100, `"inf"`: 100, `null`: 0} {
		var p forms.Percent
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		require.InDelta(t, want, float64(p), 0, text)
	}
	for _, text := range []string{`""`, `"x"`, `"nan"`, `[1]`, `{}`, `true`} {
		var p forms.Percent
		require.Error(t, json.Unmarshal([]byte(text), &p), text)
	}
}

// What nobody reads of how a run stands cannot make the rest unreadable.
func TestStandingInAnotherForm(t *testing.T) {
	k := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
	for _, text := range []string{
		`{"party_status":"success"}`,
		`{"party_status":"success","task_version":"0","start_time":"2026-01-01 00:00:00","elapsed":12.5,"end_time":{},"memory":[5]}`,
	} {
		var a forms.TaskAnswer
		require.NoError(t, json.Unmarshal([]byte(text), &a), text)
		require.Equal(t, openflow.TaskSuccess, a.Decode(k).PartyStatus)
	}
	whole, err := json.Marshal(forms.EncodeTaskState(openflow.TaskStanding{Key: k, PartyStatus: openflow.TaskFailed, Stopping: true, Cause: openflow.Cause{Code: openflow.CodeInvalid, Text: "x"}}))
	require.NoError(t, err)
	var a forms.TaskAnswer
	require.NoError(t, json.Unmarshal(whole, &a))
	require.Equal(t, openflow.TaskStanding{Key: k, PartyStatus: openflow.TaskFailed, Stopping: true, Cause: openflow.Cause{Code: openflow.CodeInvalid, Text: "x"}}, a.Decode(k))
}
