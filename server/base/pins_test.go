package base_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/catalogue"
)

// keep stores rows under a name and returns a pin of them for psi_0.
func (n *node) keep(t *testing.T, rows string) openflow.Pin {
	t.Helper()
	ref, err := n.objects.Put(t.Context(), strings.NewReader(rows))
	require.NoError(t, err)
	name := openflow.TableName{Namespace: "ns", Name: "kept"}
	require.NoError(t, n.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(len(rows))}))
	return openflow.Pin{Task: "psi_0", Kind: openflow.InputData, Table: name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(len(rows)), Meta: json.RawMessage(`{}`)}
}

// A container reads what its job has pinned: tables by name, outputs of other jobs, models. The names may have gone.
func TestPinnedInputsAreRead(t *testing.T) {
	n := newNode(t)
	earlier := n.keep(t, "as the other job had it")
	earlier.InputKey, earlier.SourceJob, earlier.Producer, earlier.OutputKey = "others", "6", "reader_0", "output_data"
	require.NoError(t, n.catalogue.SaveTable(t.Context(), openflow.TableRecord{ // as a pin of job 6 would keep it
		Name: openflow.TableName{Namespace: "ns", Name: "of job 6"}, Object: earlier.Object,
	}))
	byName := n.keep(t, "as the name was")
	byName.InputKey = "input_data"
	pack := archive(t, map[string]string{"json_model": "{}"})
	ref, err := n.objects.Put(t.Context(), strings.NewReader(string(pack)))
	require.NoError(t, err)
	require.NoError(t, n.catalogue.SaveModel(t.Context(), openflow.ModelRecord{ModelID: "m", Version: "0", Party: guest, Task: "psi_0", OutputKey: "output_model", Object: ref.Digest}))
	model := openflow.Pin{
		Task: "psi_0", Kind: openflow.InputModel, InputKey: "input_model", Model: openflow.ModelRef{ID: "m", Version: "0"},
		Producer: "psi_0", OutputKey: "output_model", Object: ref.Digest,
	}
	d := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{
		{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Namespace: "ns", Name: "kept"}}},
		{Kind: openflow.InputData, Key: "others", Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Job: "6", ProducerTask: "reader_0", OutputKey: "output_data"}}},
		{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{{Source: openflow.FromModelWarehouse, Model: &model.Model, ProducerTask: "psi_0", OutputKey: "output_model"}}},
	}}}}
	k := key("7", "psi_0", guest)
	require.NoError(t, n.catalogue.CreateJob(t.Context(),
		openflow.JobRecord{ID: "7", Party: guest, Scheduler: "9999", DAG: d, ModelID: "7", ModelVersion: "0"},
		[]openflow.TaskRecord{{Key: k, Component: "psi", Spec: d.ForParty(guest)[0]}}, earlier, byName, model))
	_, err = n.catalogue.StartTask(t.Context(), k, openflow.Launch{Runtime: "fake", Container: "c"})
	require.NoError(t, err)
	n.keep(t, "as the name is now")

	read := func(e wire.Envelope) string {
		t.Helper()
		require.Zero(t, e.Code, e.Message)
		var infos []wire.TableInfo
		require.NoError(t, json.Unmarshal(e.Data, &infos))
		require.Len(t, infos, 1)
		w := n.as(k, request{method: http.MethodGet, path: infos[0].Path})
		require.Equal(t, wire.ArrowStream, w.Header().Get("Content-Type"), "%s", w.Body)
		require.Equal(t, int64(w.Body.Len()), *infos[0].Count)
		return w.Body.String()
	}
	for range 2 {
		require.Equal(t, "as the name was", read(n.envelope(k, get("/v2/worker/data/tracking/query", "namespace", "ns", "name", "kept"))))
		require.Equal(t, "as the other job had it", read(n.envelope(k, get("/v2/worker/data/tracking/query", "job_id", "6", "task_name", "reader_0", "output_key", "output_data"))))
		require.Equal(t, pack, n.as(k, downloadModel(k, "m")).Body.Bytes())
		require.NoError(t, n.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: byName.Table}))
		_, err = n.catalogue.DeleteModels(t.Context(), catalogue.ModelFilter{ModelID: "m"})
		require.NoError(t, err)
	}
	e := n.envelope(k, get("/openflow/v1/container/data/table", "namespace", "ns", "name", "kept", "object", strings.Repeat("0", 64)))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(e.Err()), "an object that is not pinned is not read by its digest")
	e = n.envelope(k, get("/openflow/v1/container/data/table", "namespace", "ns", "name", "secret", "object", byName.Object))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(e.Err()))
}
