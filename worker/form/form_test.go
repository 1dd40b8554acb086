package form_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/document/documenttest"
	"openflow/tests/fuzzing"
	"openflow/worker/form"
)

// What a worker reads of a row, it can send back: reading never fails in another way than CodeInvalid, and is stable.
func FuzzDecodeTask(f *testing.F) {
	f.Add([]byte(`{"run":{"job_id":"J","task_name":"a","version":1,"party":{"role":"guest","party_id":"9999"}},"spec":{"parameters":{"x":9007199254740993}}}`))
	f.Add([]byte(`{"exit_code":null,"start_time":"2026-01-01T00:00:00Z","spec":{"inputs":[{"channels":[{"model":{"model_id":"m"}}]}]}}`))
	f.Add([]byte(`{}`))
	fuzzing.Within(f, func(t *testing.T, b []byte) {
		r, err := form.DecodeTask(b)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		again, err := json.Marshal(form.EncodeTask(r))
		if err != nil {
			return // a time beyond what JSON can say
		}
		r2, err := form.DecodeTask(again)
		require.NoError(t, err)
		b2, err := json.Marshal(form.EncodeTask(r2))
		require.NoError(t, err)
		require.JSONEq(t, string(again), string(b2))
	})
}

// What travels between a node and the workers of its pool.
func TestForms(t *testing.T) {
	documenttest.Tagged(t,
		reflect.TypeFor[form.Site](), reflect.TypeFor[form.Task](), reflect.TypeFor[form.Supply](),
		reflect.TypeFor[form.Start](), reflect.TypeFor[form.End](), reflect.TypeFor[form.Provider](), reflect.TypeFor[form.Change](), reflect.TypeFor[form.Log](),
	)
	documenttest.RoundTrip(t, form.EncodeTask, form.Task.Decode)
	documenttest.RoundTrip(t, func(g openflow.TaskSupply) form.Supply { return form.Supply(g) },
		func(g form.Supply) openflow.TaskSupply { return openflow.TaskSupply(g) })
	documenttest.RoundTrip(t, form.EncodeProvider, form.Provider.Decode)
	type start struct {
		Key openflow.TaskKey
		At  openflow.Launch
	}
	documenttest.RoundTrip(t, func(s start) form.Start { return form.EncodeStart(s.Key, s.At) },
		func(s form.Start) start { return start{s.Run.Decode(), s.Launch()} })
	type end struct {
		Key openflow.TaskKey
		End openflow.TaskEnd
	}
	documenttest.RoundTrip(t, func(e end) form.End { return form.EncodeEnd(e.Key, e.End) },
		func(e form.End) end { k, o := e.Decode(); return end{k, o} })
}
