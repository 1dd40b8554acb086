package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/document/documenttest"
	"openflow/tests/fuzzing"
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

// A worker that says nonsense of itself is refused, and what is taken can be shown again.
func FuzzWorker(f *testing.F) {
	f.Add([]byte(`{"machine":"m1","labels":["gpu"],"cores":2,"running":["x"],"start_time":1700000000000}`))
	f.Add([]byte(`{"machine":"a/b"}`))
	fuzzing.Within(f, func(t *testing.T, b []byte) {
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

// What a worker tells of itself is named, every field of it.
func TestWorkerIsTagged(t *testing.T) { documenttest.Tagged(t, reflect.TypeFor[wire.Worker]()) }
