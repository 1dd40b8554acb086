package partner_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func warehouse(key string, c openflow.Channel) openflow.Input {
	c.Source = openflow.FromDataWarehouse
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: []openflow.Channel{c}}
}

func model(version string) openflow.Input {
	return openflow.Input{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{{
		Source: openflow.FromModelWarehouse, ProducerTask: "lr_9", OutputKey: "model", Model: &openflow.ModelRef{ID: "m", Version: version},
	}}}
}

// own is an order of this site's own, which needs no grants.
func own(id openflow.JobID, d *openflow.DAG) openflow.JobOrder {
	d.Conf.Initiator = "10000"
	return openflow.JobOrder{Key: openflow.JobKey{Scheduler: "10000", Job: id, Party: host}, DAG: d}
}

// What a job reads by name is pinned when it is created, as the names stand then.
func TestPins(t *testing.T) {
	s := newSite(t)
	table := openflow.TableName{Namespace: "experiment", Name: "breast"}
	save := func(object string, count int64) {
		t.Helper()
		require.NoError(t, s.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: table, Object: object, Count: count, DataType: "dataframe", Meta: json.RawMessage(`{}`)}))
	}
	save("first", 60)
	require.NoError(t, s.catalogue.SaveModel(t.Context(), openflow.ModelRecord{ModelID: "m", Version: "0", Party: host, Task: "lr_9", OutputKey: "model", TypeName: "json_model", Object: "model"}))
	d := dag()
	d.Tasks[1].Inputs = []openflow.Input{model("0"), warehouse("train_data", openflow.Channel{Namespace: "experiment", Name: "breast"})}
	order := own("1", d)
	require.NoError(t, s.creates(t.Context(), order))
	pins, err := s.catalogue.Pins(t.Context(), order.Key)
	require.NoError(t, err)
	type short struct {
		task          openflow.TaskName
		key, of, what string
	}
	var got []short
	for _, p := range pins {
		got = append(got, short{p.Task, p.InputKey, p.Table.Name + p.Model.ID, p.Object})
	}
	require.Equal(t, []short{{"lr_0", "train_data", "breast", "first"}, {"lr_0", "input_model", "m", "model"}, {"reader_0", "", "breast", "first"}}, got)

	save("second", 1)
	require.NoError(t, s.creates(t.Context(), order), "a repeat")
	require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Status: openflow.JobFailed, Reason: ""}))
	require.NoError(t, s.catalogue.DeleteTable(t.Context(), table))
	require.NoError(t, s.creates(t.Context(), order), "a repeat is answered as the first time, also when the table is gone")
	again, err := s.catalogue.Pins(t.Context(), order.Key)
	require.NoError(t, err)
	require.Equal(t, pins, again)
	other := order
	other.DAG = dag()
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.creates(t.Context(), other)))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.creates(t.Context(), own("2", d))), "a new job finds no table")
}

// What a job takes from another one is pinned as that one has it.
func TestPinsOfAnotherJobsOutputs(t *testing.T) {
	s := newSite(t)
	table := openflow.TableName{Namespace: "experiment", Name: "breast"}
	require.NoError(t, s.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: table, Object: "first", DataType: "dataframe"}))
	first := own("1", dag())
	require.NoError(t, s.creates(t.Context(), first))
	require.NoError(t, s.catalogue.SaveOutput(t.Context(), openflow.OutputRecord{Task: of("10000", taskKey("1", "reader_0", host)), OutputKey: "output_data", Table: table}, nil))
	made := openflow.TableName{Namespace: "1_reader_0", Name: "made"}
	require.NoError(t, s.catalogue.SaveOutput(t.Context(), openflow.OutputRecord{Task: of("10000", taskKey("1", "reader_0", host)), OutputKey: "output_data", Index: 1, Table: made},
		&openflow.TableRecord{Name: made, Object: "made", Intermediate: true}))
	require.NoError(t, s.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: table, Object: "second", DataType: "dataframe"}))

	d := dag()
	d.Tasks[1].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Job: "1", ProducerTask: "reader_0", OutputKey: "output_data"})}
	order := own("2", d)
	require.NoError(t, s.creates(t.Context(), order))
	pins, err := s.catalogue.Pins(t.Context(), order.Key)
	require.NoError(t, err)
	require.Equal(t, []string{"first", "made", "second"}, []string{pins[0].Object, pins[1].Object, pins[2].Object}, "what job 1 read, what it made, and what the reader of job 2 reads")

	_, err = s.catalogue.UpdateJobStatus(t.Context(), first.Key, openflow.JobFailed, "")
	require.NoError(t, err)
	freed, err := s.catalogue.DeleteJob(t.Context(), first.Key)
	require.NoError(t, err)
	require.Empty(t, freed, "job 2 keeps both")
}

// All that is wrong with a job at this party comes in one answer, and says nothing that is not in the job's document.
func TestAllMistakesOfAParty(t *testing.T) {
	s := newSite(t)
	s.Components = finds{}
	d := dag()
	d.Tasks[0].Parameters["name"] = "missing"
	d.Tasks[1].Inputs = []openflow.Input{
		model("7"), warehouse("train_data", openflow.Channel{Namespace: "experiment", Name: "missing"}),
		warehouse("validate_data", openflow.Channel{Job: "nobody's", ProducerTask: "a", OutputKey: "b"}),
	}
	err := s.creates(t.Context(), own("1", d))
	var places []string
	for _, m := range openflow.MistakesOf(err) {
		places = append(places, m.Path)
	}
	require.Equal(t, []string{
		"dag.tasks.lr_0.parameters.x", "dag.tasks.reader_0.parameters", "dag.tasks.lr_0.inputs.model.input_model.model_warehouse",
		"dag.tasks.lr_0.inputs.data.train_data.data_warehouse", "dag.tasks.lr_0.inputs.data.validate_data.data_warehouse",
	}, places)
	require.NotContains(t, openflow.PublicText(err), "secret")
	require.Contains(t, openflow.PublicText(err), "no table experiment/missing")
	n, err := s.catalogue.CountJobs(t.Context(), catalogue.JobFilter{})
	require.NoError(t, err)
	require.Zero(t, n)
}

// finds is a site whose components find a mistake in every job, and something to warn of.
type finds struct{ components }

func (finds) Check(context.Context, *openflow.DAG, []openflow.Party, map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string, error) {
	return []openflow.Mistake{{Code: openflow.CodeInvalid, Path: "dag.tasks.lr_0.parameters.x", Message: "want a number", Found: "secret"}}, nil, nil
}

// warns is a site whose components have something to say of every job.
type warns struct{ components }

func (warns) Check(context.Context, *openflow.DAG, []openflow.Party, map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string, error) {
	return nil, []string{"ignored"}, nil
}

func TestWarningsAreOnTheJob(t *testing.T) {
	s := newSite(t)
	s.Components = warns{}
	require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}))
	require.Len(t, s.job("1").Warnings, 2)
	require.Contains(t, s.job("1").Warnings[0], "party 10000 is both host and arbiter")
	require.Equal(t, "ignored", s.job("1").Warnings[1])
}

// A store that cannot be asked is no mistake of the job's author.
func TestLookUpsThatFail(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.creates(ctx, own("1", dag()))
	require.Error(t, err)
	require.Empty(t, openflow.MistakesOf(err))
}
