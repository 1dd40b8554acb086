package wire_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/sdk/wire"
)

// A random valid DAG arrives at another node as it left this one, and every party derives the same tasks from it.
func TestAnyDAGCrossesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDAG(t)
		require.NoError(t, d.Validate())
		sent, err := wire.EncodeDocument(d)
		require.NoError(t, err)
		got, err := wire.ReceiveDAG(sent)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(d, got))
		authored, err := wire.ParseDAG(sent)
		require.NoError(t, err, "what is sent has no unknown key")
		require.Empty(t, cmp.Diff(d, authored))

		for _, site := range d.Parties {
			stripped, err := wire.EncodeDocument(d.StrippedFor(site.ID))
			require.NoError(t, err)
			there, err := wire.ReceiveDAG(stripped)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(d.ForParty(site), there.ForParty(site)))
		}
	})
}

var name = rapid.StringMatching(`[a-z][a-z0-9_.-]{0,6}`)

func anyDAG(t *rapid.T) *openflow.DAG {
	d := &openflow.DAG{SchemaVersion: rapid.SampledFrom([]string{"2.0.0", "2.1.1", "2.2.0"}).Draw(t, "schema")}
	d.Parties = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) openflow.Party {
		role := rapid.SampledFrom([]openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter}).Draw(t, "role")
		return openflow.Party{Role: role, ID: openflow.PartyID(rapid.SampledFrom([]string{"9999", "10000", "10001"}).Draw(t, "party"))}
	}), 1, 4, rapid.ID[openflow.Party]).Draw(t, "parties")
	d.Stage = anyStage(t)
	d.Conf = anyConf(t)
	for i := range rapid.IntRange(1, 5).Draw(t, "tasks") {
		d.Tasks = append(d.Tasks, anyTask(t, d, i))
	}
	if d.Conf.Inheritance != nil {
		d.Conf.Inheritance.Tasks = []openflow.TaskName{d.Tasks[0].Name}
	}
	d.Tasks[0].Parties = nil // so that every party has a task
	for i := range rapid.IntRange(0, 3).Draw(t, "sites") {
		d.PartyTasks = append(d.PartyTasks, anySite(t, d, i))
	}
	return d
}

func anyStage(t *rapid.T) openflow.Stage {
	return rapid.SampledFrom([]openflow.Stage{"", "default", "train", "predict", "cross_validation"}).Draw(t, "stage")
}

func anyConf(t *rapid.T) openflow.JobConf {
	c := openflow.JobConf{
		Priority: rapid.IntRange(-2, 2).Draw(t, "priority"), AutoRetries: rapid.IntRange(0, 2).Draw(t, "retries"),
		Timeout:  time.Duration(rapid.IntRange(0, 3).Draw(t, "job timeout")) * time.Minute,
		SyncType: rapid.SampledFrom([]openflow.SyncType{"", "callback", "poll"}).Draw(t, "sync"), Task: anyTaskConf(t),
		ComputingPartitions: rapid.IntRange(0, 3).Draw(t, "partitions"), ModelWarehouse: &openflow.ModelRef{ID: "m", Version: "0"},
	}
	if rapid.Bool().Draw(t, "has cores") {
		n := rapid.IntRange(0, 9).Draw(t, "cores")
		c.Cores = &n
		bytes := rapid.Int64Range(0, 1<<62).Draw(t, "memory")
		c.Memory, c.GPUs = &bytes, &n
	}
	if rapid.Bool().Draw(t, "has names") {
		c.Scheduler, c.Initiator, c.ModelID, c.ModelVersion, c.Purpose = "9999", "10000", "model", "1.0", "scores of <customers>"
		c.Inheritance = &openflow.Inheritance{Job: "1", Tasks: []openflow.TaskName{"of the job"}}
		c.Extra = anyObject(t)
	}
	return c
}

func anyTaskConf(t *rapid.T) openflow.TaskConf {
	c := openflow.TaskConf{
		Timeout:      time.Duration(rapid.IntRange(0, 100).Draw(t, "timeout")) * time.Second,
		Provider:     rapid.SampledFrom([]string{"", "fate:2.2.0@local"}).Draw(t, "provider"),
		LauncherName: rapid.SampledFrom([]string{"", "default"}).Draw(t, "launcher"),
	}
	if rapid.Bool().Draw(t, "has engine_run") {
		c.Cores = new(rapid.IntRange(0, 9).Draw(t, "engine cores"))
		c.Memory = new(rapid.Int64Range(0, 1<<40).Draw(t, "engine memory"))
		c.Label = rapid.SampledFrom([]string{"", "gpu"}).Draw(t, "label")
		c.Way = rapid.SampledFrom([]openflow.Way{"", openflow.WayTask, openflow.WayResident}).Draw(t, "way")
		c.Options = rapid.SampledFrom([]map[string]any{nil, {"num-executors": json.Number("2")}}).Draw(t, "options")
	}
	return c
}

func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
		case kind == 0:
			return nil
		case kind == 1:
			return rapid.Bool().Draw(t, "bool")
		case kind == 2:
			return json.Number(fmt.Sprint(rapid.Int64().Draw(t, "int")))
		case kind == 3:
			return json.Number(fmt.Sprint(rapid.Float64().Draw(t, "float")))
		case kind == 4 || depth > 3:
			return rapid.String().Draw(t, "string")
		case kind == 5:
			return rapid.SliceOfN(anyValue(depth+1), 0, 3).Draw(t, "list")
		}
		return rapid.MapOfN(name, anyValue(depth+1), 0, 3).Draw(t, "object")
	})
}

func anyObject(t *rapid.T) map[string]any {
	return rapid.MapOfN(name, anyValue(0), 0, 4).Draw(t, "object")
}

func anyParties(t *rapid.T, of []openflow.Party, least int) []openflow.Party {
	var some []openflow.Party
	for _, p := range of {
		if rapid.Bool().Draw(t, "party takes part") {
			some = append(some, p)
		}
	}
	if len(some) < least {
		return slices.Clone(of[:least])
	}
	return some
}

func anyTask(t *rapid.T, d *openflow.DAG, i int) openflow.Task {
	task := openflow.Task{
		Name: openflow.TaskName(fmt.Sprintf("%s_%d", name.Draw(t, "task"), i)), Component: name.Draw(t, "component"),
		Parties: anyParties(t, d.Parties, 0), Conf: anyTaskConf(t), Stage: anyStage(t),
	}
	if rapid.Bool().Draw(t, "has parameters") {
		task.Parameters = anyObject(t)
	}
	for _, kind := range []openflow.InputKind{openflow.InputData, openflow.InputModel} {
		for k := range rapid.IntRange(0, 2).Draw(t, "inputs") {
			in := openflow.Input{Kind: kind, Key: fmt.Sprintf("key_%d", k)}
			for _, source := range []openflow.Source{openflow.FromTask, openflow.FromDataWarehouse, openflow.FromModelWarehouse} {
				for range rapid.IntRange(0, 2).Draw(t, "channels") {
					if c, ok := anyChannel(t, d, source); ok {
						in.Channels = append(in.Channels, c)
					}
				}
			}
			if len(in.Channels) > 0 {
				task.Inputs = append(task.Inputs, in)
			}
		}
	}
	for _, up := range d.Tasks {
		if rapid.Bool().Draw(t, "depends") {
			task.DependsOn = append(task.DependsOn, up.Name)
		}
	}
	return task
}

func anyChannel(t *rapid.T, d *openflow.DAG, source openflow.Source) (openflow.Channel, bool) {
	c := openflow.Channel{Source: source, Parties: anyParties(t, d.Parties, 0)}
	switch source {
	case openflow.FromTask:
		if len(d.Tasks) == 0 {
			return c, false
		}
		c.ProducerTask, c.OutputKey = rapid.SampledFrom(d.Tasks).Draw(t, "producer").Name, "output_data"
	case openflow.FromDataWarehouse:
		c.Namespace, c.Name = name.Draw(t, "namespace"), name.Draw(t, "table")
	case openflow.FromModelWarehouse:
		c.ProducerTask, c.OutputKey = "old_0", "output_model"
		if rapid.Bool().Draw(t, "own model") {
			c.Model = &openflow.ModelRef{ID: "other", Version: "2"}
		}
	}
	return c, true
}

func anySite(t *rapid.T, d *openflow.DAG, i int) openflow.PartyTasks {
	pt := openflow.PartyTasks{
		Site: fmt.Sprintf("site_%d", i), Parties: anyParties(t, d.Parties, 1), Conf: anyTaskConf(t),
		Tasks: map[openflow.TaskName]openflow.TaskOverride{},
	}
	for _, task := range d.Tasks {
		all := d.PartiesOf(task)
		outside := slices.ContainsFunc(pt.Parties, func(p openflow.Party) bool { return !slices.Contains(all, p) })
		if outside || !rapid.Bool().Draw(t, "overrides") {
			continue
		}
		o := openflow.TaskOverride{Conf: anyTaskConf(t)}
		if rapid.Bool().Draw(t, "overrides parameters") {
			o.Parameters = anyObject(t)
		}
		pt.Tasks[task.Name] = o
	}
	return pt
}
