package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/document/documenttest"
	"openflow/worker/form"
)

// What a task's engine_run says is read once, where the document is; what it leaves out is nobody's.
func TestEngineRun(t *testing.T) {
	for name, c := range map[string]struct {
		run  string
		want openflow.TaskConf
		sent string // the same, as another node gets it
		bad  string
	}{
		"nothing":          {`{}`, openflow.TaskConf{}, `{}`, ""},
		"numbers":          {`{"cores": 2, "gpus": 1, "memory": 1024}`, openflow.TaskConf{Cores: new(2), GPUs: new(1), Memory: new(int64(1024))}, `{"cores":2,"gpus":1,"memory":1024}`, ""},
		"texts":            {`{"cores": "2", "memory": "1KiB"}`, openflow.TaskConf{Cores: new(2), Memory: new(int64(1024))}, `{"cores":2,"memory":1024}`, ""},
		"a label":          {`{"label": "gpu"}`, openflow.TaskConf{Label: "gpu"}, `{"label":"gpu"}`, ""},
		"a null label":     {`{"label": null}`, openflow.TaskConf{}, `{}`, ""},
		"another engine's": {`{"num-executors": 2}`, openflow.TaskConf{Options: map[string]any{"num-executors": json.Number("2")}}, `{"num-executors":2}`, ""},
		"a fraction":       {`{"cores": 1.5}`, openflow.TaskConf{}, "", "engine_run.cores"},
		"a numbered label": {`{"label": 1}`, openflow.TaskConf{}, "", "engine_run.label"},
		"no name":          {`{"label": "g pu"}`, openflow.TaskConf{}, "", "engine_run.label"},
		"an empty label":   {`{"label": ""}`, openflow.TaskConf{}, "", "engine_run.label"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := wire.ReceiveDAG([]byte(pairDocument(`"task":{"engine_run":`+c.run+`}`, ``, ``)))
			if c.bad != "" {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				require.ErrorContains(t, err, c.bad)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, d.Conf.Task)
			sent, err := json.Marshal(wire.EngineRun(d.Conf.Task))
			require.NoError(t, err)
			require.JSONEq(t, c.sent, string(sent))
		})
	}
}

// What a worker reads of a row, it can send back: reading never fails in another way than CodeInvalid, and is stable.
func FuzzDecodePoolTask(f *testing.F) {
	f.Add([]byte(`{"run":{"job_id":"J","task_name":"a","version":1,"party":{"role":"guest","party_id":"9999"}},"spec":{"parameters":{"x":9007199254740993}}}`))
	f.Add([]byte(`{"exit_code":null,"start_time":"2026-01-01T00:00:00Z","spec":{"inputs":[{"channels":[{"model":{"model_id":"m"}}]}]}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
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

// A worker that says nonsense of itself is refused, and what is taken can be shown again.
func FuzzWorker(f *testing.F) {
	f.Add([]byte(`{"machine":"m1","labels":["gpu"],"cores":2,"running":["x"],"start_time":1700000000000}`))
	f.Add([]byte(`{"machine":"a/b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w wire.Worker
		if wire.Decode(b, &w) != nil {
			return
		}
		r, err := w.Decode()
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		back, err := wire.EncodeWorker(r).Decode()
		require.NoError(t, err)
		require.Equal(t, r.Started.UnixMilli(), back.Started.UnixMilli())
		r.Started = back.Started
		require.Equal(t, r, back)
	})
}

// What travels between a node and the workers of its pool.
func TestFormsOfThePool(t *testing.T) {
	documenttest.Tagged(t,
		reflect.TypeFor[form.Site](), reflect.TypeFor[wire.Worker](), reflect.TypeFor[form.Task](), reflect.TypeFor[form.Supply](),
		reflect.TypeFor[form.Start](), reflect.TypeFor[form.End](), reflect.TypeFor[form.Change](), reflect.TypeFor[form.Log](),
	)
	documenttest.RoundTrip(t, form.EncodeTask, form.Task.Decode)
	documenttest.RoundTrip(t, func(g openflow.TaskSupply) form.Supply { return form.Supply(g) },
		func(g form.Supply) openflow.TaskSupply { return openflow.TaskSupply(g) })
	type end struct {
		Key openflow.TaskKey
		End openflow.TaskEnd
	}
	documenttest.RoundTrip(t, func(e end) form.End { return form.EncodeEnd(e.Key, e.End) },
		func(e form.End) end { k, o := e.Decode(); return end{k, o} })
}
