package openflow_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	host2   = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
)

func from(task openflow.TaskName, parties ...openflow.Party) openflow.Channel {
	return openflow.Channel{Source: openflow.FromTask, ProducerTask: task, OutputKey: "output_data", Parties: parties}
}

func data(key string, channels ...openflow.Channel) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: channels}
}

// example is a job of two hosts, in which the second one has parameters of its own.
func example() *openflow.DAG {
	cores := 4
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, host2, arbiter}, Stage: openflow.StageTrain,
		Conf: openflow.JobConf{
			Cores: &cores, ModelWarehouse: &openflow.ModelRef{ID: "m", Version: "3"},
			Task: openflow.TaskConf{Provider: "fate:2.2.0@local", Timeout: time.Hour, Cores: new(2), Options: map[string]any{"x": 1}},
		},
		Tasks: []openflow.Task{
			{
				Name: "reader_0", Component: "reader", Stage: openflow.StageDefault, Parties: []openflow.Party{host2, host, guest},
				Parameters: openflow.Parameters{"name": "common", "deep": map[string]any{"a": 1, "b": 2}},
			},
			{
				Name: "psi_0", Component: "psi", Stage: openflow.StageDefault, Parties: []openflow.Party{guest, host, host2},
				Inputs: []openflow.Input{data("input_data", from("reader_0"))}, DependsOn: []openflow.TaskName{"reader_0"},
			},
			{
				Name: "lr_0", Component: "coordinated_lr", Parameters: openflow.Parameters{"epochs": 10, "batch_size": nil},
				Inputs: []openflow.Input{
					data("train_data", from("psi_0", guest), from("reader_0", host, host2)),
					{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{
						{Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model"},
					}},
				},
				Conf: openflow.TaskConf{LauncherName: "deep", Cores: new(3)},
			},
		},
		PartyTasks: []openflow.PartyTasks{
			{
				Site: "hosts", Parties: []openflow.Party{host, host2}, Conf: openflow.TaskConf{Timeout: time.Minute},
				Tasks: map[openflow.TaskName]openflow.TaskOverride{
					"reader_0": {Parameters: openflow.Parameters{"namespace": "ns", "name": "both"}},
				},
			},
			{
				Site: "host_10001", Parties: []openflow.Party{host2},
				Tasks: map[openflow.TaskName]openflow.TaskOverride{
					"reader_0": {
						Parameters: openflow.Parameters{"name": "second", "deep": map[string]any{"c": 3}},
						Conf:       openflow.TaskConf{Provider: "own:1@docker", Cores: new(8)},
					},
					"lr_0": {Parameters: openflow.Parameters{"epochs": nil}},
				},
			},
		},
	}
}

func names(d *openflow.DAG, p openflow.Party) []openflow.TaskName {
	var list []openflow.TaskName
	for _, s := range d.ForParty(p) {
		list = append(list, s.Name)
	}
	return list
}

func spec(t *testing.T, d *openflow.DAG, p openflow.Party, name openflow.TaskName) openflow.TaskSpec {
	t.Helper()
	for _, s := range d.ForParty(p) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s does not run %s", p, name)
	return openflow.TaskSpec{}
}

func TestForPartyTasks(t *testing.T) {
	d := example()
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0", "lr_0"}, names(d, guest))
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0", "lr_0"}, names(d, host2))
	require.Equal(t, []openflow.TaskName{"lr_0"}, names(d, arbiter))
	require.Empty(t, names(d, openflow.Party{Role: openflow.RoleGuest, ID: "10000"}))

	s := spec(t, d, guest, "reader_0")
	require.Equal(t, []openflow.Party{guest, host, host2}, s.Parties, "in the order of the DAG, not of the task")
	require.Equal(t, openflow.StageDefault, s.Stage)
	require.Equal(t, openflow.StageTrain, spec(t, d, guest, "lr_0").Stage)
	d.Stage = ""
	require.Equal(t, openflow.StageDefault, spec(t, d, guest, "lr_0").Stage)
}

func TestForPartyMergesParameters(t *testing.T) {
	d := example()
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  openflow.Parameters
	}{
		"nothing to override": {guest, "reader_0", openflow.Parameters{"name": "common", "deep": map[string]any{"a": 1, "b": 2}}},
		"one entry": {host, "reader_0", openflow.Parameters{
			"name": "both", "namespace": "ns", "deep": map[string]any{"a": 1, "b": 2},
		}},
		"two entries, the later wins, not deep": {host2, "reader_0", openflow.Parameters{
			"name": "second", "namespace": "ns", "deep": map[string]any{"c": 3},
		}},
		"null replaces": {host2, "lr_0", openflow.Parameters{"epochs": nil, "batch_size": nil}},
		"other host":    {host, "lr_0", openflow.Parameters{"epochs": 10, "batch_size": nil}},
		"none":          {guest, "psi_0", openflow.Parameters{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Parameters))
		})
	}
	require.Empty(t, cmp.Diff(example(), d), "the DAG is not changed")
}

// Part 7 #31: what one task or party sets must not leak into another.
func TestForPartyMergesConf(t *testing.T) {
	d := example()
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  openflow.TaskConf
	}{
		"of the job": {guest, "reader_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, Cores: new(2), Options: map[string]any{"x": 1},
		}},
		"of the task": {guest, "lr_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, LauncherName: "deep", Cores: new(3), Options: map[string]any{"x": 1},
		}},
		"of the site": {host, "psi_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Minute, Cores: new(2), Options: map[string]any{"x": 1},
		}},
		"of the site's task": {host2, "reader_0", openflow.TaskConf{
			Provider: "own:1@docker", Timeout: time.Minute, Cores: new(8), Options: map[string]any{"x": 1},
		}},
		"after all that": {arbiter, "lr_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, LauncherName: "deep", Cores: new(3), Options: map[string]any{"x": 1},
		}},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Conf)) })
	}
}

// The rules of fate-flow-api §4.2.3.
func TestChannelsReachTheirParties(t *testing.T) {
	d := example()
	only := func(c openflow.Channel, p openflow.Party) openflow.Channel { c.Parties = []openflow.Party{p}; return c }
	model := openflow.Channel{
		Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model", Model: &openflow.ModelRef{ID: "m", Version: "3"},
	}
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  []openflow.Input
	}{
		"wherever the producer runs": {guest, "psi_0", []openflow.Input{data("input_data", from("reader_0", guest))}},
		"disjoint parties, first": {guest, "lr_0", []openflow.Input{
			data("train_data", from("psi_0", guest)),
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, guest)}},
		}},
		"disjoint parties, second": {host2, "lr_0", []openflow.Input{
			data("train_data", from("reader_0", host2)),
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, host2)}},
		}},
		"key dropped, warehouse everywhere": {arbiter, "lr_0", []openflow.Input{
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, arbiter)}},
		}},
		"none at all": {guest, "reader_0", nil},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Inputs)) })
	}

	d.Tasks[1].Parties = []openflow.Party{guest, host} // the producer runs at two parties, the consumer at four
	d.Tasks[2].Inputs = []openflow.Input{data("train_data", from("psi_0"))}
	require.Len(t, spec(t, d, host, "lr_0").Inputs, 1)
	require.Empty(t, spec(t, d, host2, "lr_0").Inputs)
}

func TestModelOfAChannelStays(t *testing.T) {
	d := example()
	own := &openflow.ModelRef{ID: "other", Version: "9"}
	d.Tasks[2].Inputs[1].Channels[0].Model = own
	require.Equal(t, own, spec(t, d, guest, "lr_0").Inputs[1].Channels[0].Model)
}

// Part 7 #17.
func TestStrippedFor(t *testing.T) {
	d := example()
	s := d.StrippedFor("10000")
	require.NoError(t, s.Validate())
	require.Empty(t, cmp.Diff(d.Tasks, s.Tasks), "the graph stays whole")
	require.Equal(t, d.Parties, s.Parties)
	require.Len(t, s.PartyTasks, 1)
	require.Equal(t, []openflow.Party{host}, s.PartyTasks[0].Parties, "the other host is taken off")
	require.Empty(t, cmp.Diff(d.ForParty(host), s.ForParty(host)), "its own view is the same")
	require.Empty(t, cmp.Diff(d.ForParty(arbiter), s.ForParty(arbiter)))
	require.Equal(t, "common", spec(t, s, host2, "reader_0").Parameters["name"], "another site's parameters are gone")
	require.Empty(t, d.StrippedFor("9999").PartyTasks)
	require.Empty(t, cmp.Diff(example(), d), "the original is not changed")
}

func TestOrder(t *testing.T) {
	order := func(deps map[openflow.TaskName][]openflow.TaskName, written ...openflow.TaskName) []openflow.TaskName {
		d := &openflow.DAG{}
		for _, n := range written {
			d.Tasks = append(d.Tasks, openflow.Task{Name: n, DependsOn: deps[n]})
		}
		got, err := d.Order()
		require.NoError(t, err)
		return got
	}
	type edges = map[openflow.TaskName][]openflow.TaskName
	require.Equal(t, []openflow.TaskName{"c", "a", "b"}, order(nil, "c", "a", "b"), "as written without edges")
	require.Equal(t, []openflow.TaskName{"a", "b", "c"}, order(edges{"c": {"b"}, "b": {"a"}}, "c", "b", "a"))
	require.Equal(t, []openflow.TaskName{"a", "b", "c", "d"}, order(edges{"d": {"c", "b"}, "b": {"a"}, "c": {"a"}}, "d", "a", "b", "c"))
}

func TestUpstreamsAreListedOnceInTheOrderOfTheDAG(t *testing.T) {
	d := example()
	lr, ok := d.Task("lr_0")
	require.True(t, ok)
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0"}, d.Upstreams(lr))
	_, ok = d.Task("nobody")
	require.False(t, ok)
}

// A deep chain must not overflow anything, and must be fast.
func TestOrderOfALongChain(t *testing.T) {
	d := &openflow.DAG{}
	const n = 1000
	for i := range n {
		task := openflow.Task{Name: openflow.TaskName("t" + strconv.Itoa(i))}
		if i > 0 {
			task.DependsOn = []openflow.TaskName{d.Tasks[i-1].Name}
		}
		d.Tasks = append(d.Tasks, task)
	}
	slices.Reverse(d.Tasks)
	order, err := d.Order()
	require.NoError(t, err)
	require.Len(t, order, n)
	require.Equal(t, d.Tasks[n-1].Name, order[0])
}

func TestTables(t *testing.T) {
	d := example()
	d.Tasks[1].Inputs = []openflow.Input{data("input_data",
		openflow.Channel{Source: openflow.FromDataWarehouse, Namespace: "w", Name: "house", Parties: []openflow.Party{host}},
		openflow.Channel{Source: openflow.FromDataWarehouse, Job: "1", ProducerTask: "a", OutputKey: "b"},
	)}
	require.NoError(t, d.Validate())
	require.Equal(t, []openflow.TableName{{"ns", "both"}, {"w", "house"}}, d.Tables(host))
	require.Equal(t, []openflow.TableName{{"ns", "second"}}, d.Tables(host2))
	require.Empty(t, d.Tables(arbiter))
	require.Equal(t, "ns/both", d.Tables(host)[0].String())
}
