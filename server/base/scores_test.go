package base_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// chain is a job in which the guest's table passes a reader and two tasks before the third tells scores.
func chain(reads string) *openflow.DAG {
	from := func(task openflow.TaskName) []openflow.Input {
		return []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: task, OutputKey: "output_data"},
		}}}
	}
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{
			{Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "ns", "name": reads}},
			{Name: "psi_0", Component: "psi", Inputs: from("reader_0")},
			{Name: "scale_0", Component: "scale", Inputs: from("psi_0")},
			{Name: "lr_0", Component: "lr", Inputs: from("scale_0")},
		},
	}
}

// chained creates the job, whose tasks up to the last have made their outputs.
func (n *node) chained(id openflow.JobID, reads string, pins ...openflow.Pin) openflow.TaskKey {
	n.t.Helper()
	n.create("9999", id, guest, chain(reads), pins...)
	reader := key(id, "reader_0", guest)
	passed := post("/v2/worker/data/tracking/save", object{
		"execution_id": reader.RunID(), "uri": "", "output_key": "output_data", "data_type": "data_unresolved", "namespace": "ns", "name": reads,
	})
	e := n.envelope(reader, passed)
	require.Zero(n.t, e.Code, e.Message)
	for _, task := range []openflow.TaskName{"psi_0", "scale_0"} {
		k := key(id, task, guest)
		require.Zero(n.t, n.envelope(k, output(k, n.put(k, "rows of "+string(task)+" of "+string(id)))).Code)
	}
	return key(id, "lr_0", guest)
}

func tell(to openflow.Party, columns, vectors int) request {
	return post("/openflow/v1/container/scores/spend", object{
		"role": to.Role, "party_id": to.ID, "columns": columns, "vectors": vectors,
	})
}

// Scores are counted by what was uploaded, however many tasks the rows have passed and whatever the table is called.
func TestScoresAreCountedByContent(t *testing.T) {
	n := newNode(t)
	breast, err := n.catalogue.Table(t.Context(), openflow.TableName{Namespace: "ns", Name: "breast"})
	require.NoError(t, err)
	breast.Name.Name = "renamed"
	require.NoError(t, n.catalogue.SaveTable(t.Context(), breast))

	first, second, other := n.chained("11", "breast"), n.chained("12", "renamed", openflow.Pin{
		Task: "reader_0", Kind: openflow.InputData, Table: breast.Name, Object: breast.Object, Origins: []string{breast.Object},
	}), n.chained("13", "secret")
	require.NoError(t, n.envelope(first, tell(host, 5, 3)).Err())
	require.NoError(t, n.envelope(first, tell(host, 5, 3)).Err(), "a repeat")
	e := n.envelope(second, tell(host, 5, 2))
	require.Equal(t, string(openflow.CodeRejected), e.Error.Code)
	require.ErrorContains(t, e.Err(), "openflow scores raise 10000 ns/renamed --to 5", "as the job names the table")
	require.NoError(t, n.envelope(second, tell(host, 5, 1)).Err())
	require.NoError(t, n.envelope(other, tell(host, 5, 4)).Err())

	list, err := n.catalogue.Scores(t.Context(), host.ID, openflow.DefaultPolicy().CoordinatedLR.ScoreMemory)
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, a := range list {
		require.Equal(t, 4, a.Vectors, a.Names)
	}
}

func TestScoresThatCannotBeCounted(t *testing.T) {
	n := newNode(t)
	lr := n.chained("11", "breast")
	for name, c := range map[string]struct {
		run  openflow.TaskKey
		to   openflow.Party
		code openflow.Code
	}{
		"to a stranger":               {lr, openflow.Party{Role: openflow.RoleGuest, ID: "7777"}, openflow.CodeInvalid},
		"by a run that reads nothing": {key("11", "reader_0", guest), host, openflow.CodeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, string(c.code), n.envelope(c.run, tell(c.to, 3, 1)).Error.Code)
		})
	}
	for name, numbers := range map[string][2]int{"no columns": {0, 1}, "no vectors": {3, 0}, "negative": {3, -2}} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, string(openflow.CodeInvalid), n.envelope(lr, tell(host, numbers[0], numbers[1])).Error.Code)
		})
	}

	// A warehouse channel that nothing was pinned for: no table from outside is known.
	n.create("9999", "14", guest, &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{{Name: "lr_0", Component: "lr", Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "input_data",
			Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Job: "gone", ProducerTask: "psi_0", OutputKey: "output_data"}}}}}},
	})
	late := key("14", "lr_0", guest)
	e := n.envelope(late, tell(host, 3, 1))
	require.Equal(t, string(openflow.CodeRejected), e.Error.Code)
	require.ErrorContains(t, e.Err(), "reads no table whose score vectors could be counted")
}
