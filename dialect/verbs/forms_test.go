package verbs

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
)

// What a peer sends is refused or read, and what was read can be written and read again.
func FuzzForms(f *testing.F) {
	const ref = `"job_id":"1","role":"host","party_id":"10000"`
	f.Add([]byte(`{` + ref + `,"status":"failed","tasks":[{` + ref + `,"task_id":"1_a","task_version":0,"status":"failed","progress":50}]}`))
	f.Add([]byte(`{` + ref + `,"task_id":"1_a","task_version":0,"starts_job":true,"ended":[null]}`))
	f.Add([]byte(`{"call_back":true}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		for _, into := range []any{&openJob{}, &tellJob{}, &stopJob{}, &startTask{}, &whoIsThere{}} {
			if err := wire.Decode(body, into); err != nil {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				continue
			}
			again, err := json.Marshal(into)
			require.NoError(t, err)
			require.NoError(t, wire.Decode(again, into), "%s", again)
		}
	})
}

// A peer's or a container's words for people are cut, and everything else that is too long is refused: of every form, also of
// fields that somebody adds.
func TestTextsOfEveryFormAreBounded(t *testing.T) {
	words := map[string]bool{"reason": true, "error": true, "public": true, "warning": true, "warnings": true}
	for _, form := range []any{
		&openJob{}, &tellJob{}, &stopJob{}, &startTask{}, &whoIsThere{}, &reservation{}, &submitted{}, &wire.JobRef{}, &wire.JobStopped{},
		&forms.TaskRef{}, &forms.PartnerCreateJob{}, &forms.PartnerUpdateJob{}, &forms.PartnerUpdateTask{}, &forms.PartnerRerunTask{},
		&forms.SchedulerCreateJob{}, &forms.SchedulerStopJob{}, &forms.SchedulerEndedJobs{}, &forms.SchedulerReportTask{}, &forms.EndedJob{},
		&forms.TaskAnswer{}, &wire.ContainerStatus{}, &wire.ContainerWarning{}, &wire.Metric{}, &wire.CreatedModel{},
	} {
		long := strings.Repeat("x", 20<<20)
		found := texts(reflect.ValueOf(form).Elem(), "")
		for name, v := range found {
			v.SetString(long)
			_, err := wire.Hear(form)
			if words[name] {
				require.NoError(t, err, "%T.%s", form, name)
				require.LessOrEqual(t, v.Len(), openflow.MaxHeard)
			} else {
				require.ErrorContains(t, err, name, "%T.%s", form, name)
			}
			v.SetString("")
		}
	}
}

// texts finds the fields of a form that hold a text, by their names in JSON, and makes lists of one of each. Problems have
// bounds of their own.
func texts(v reflect.Value, name string) map[string]reflect.Value {
	found := map[string]reflect.Value{}
	switch {
	case v.Kind() == reflect.String:
		found[name] = v
	case v.Kind() == reflect.Pointer && v.Type() != reflect.TypeFor[*wire.Problem]():
		v.Set(reflect.New(v.Type().Elem()))
		found = texts(v.Elem(), name)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		found = texts(v.Index(0), name)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			maps.Copy(found, texts(v.Field(i), name))
		}
	}
	return found
}
