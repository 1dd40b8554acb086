package openflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/worst"
)

// What a document asks for is found in proportion to its length.
func TestDocumentsAreCheckedInProportion(t *testing.T) {
	worst.Linear(t, func(d *openflow.DAG) {
		_, usable := d.Examine()
		d.Warnings()
		d.Participants()
		d.StrippedFor(d.Parties[0].ID)
		if !usable {
			return
		}
		parts := d.Parts()
		for _, p := range d.Parties {
			openflow.TablesOf(parts.Of(p))
		}
	})
}

// What would cost more than its length is refused, before anything is derived from it.
func TestDocumentsThatAreTooLarge(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	tasks := func(n int) (list []openflow.Task) {
		for i := range n {
			list = append(list, openflow.Task{Name: openflow.TaskName("t" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))), Component: "noop"})
		}
		return list
	}
	many := func(n int) map[string]any {
		m := make(map[string]any, n)
		for i := range n {
			m[string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676))] = i
		}
		return m
	}
	for says, change := range map[string]func(*openflow.DAG){
		"channels and dependent_tasks, more than": func(d *openflow.DAG) {
			d.Tasks[0].DependsOn = make([]openflow.TaskName, openflow.MaxEdges+1)
		},
		"tasks and parties, more than": func(d *openflow.DAG) {
			d.PartyTasks = []openflow.PartyTasks{{Site: "s", Parties: make([]openflow.Party, openflow.MaxOverrides+1)}}
		},
		"keys in an engine_run, more than": func(d *openflow.DAG) { d.Tasks[0].Conf.Options = many(openflow.MaxOptions + 1) },
		"bytes in the name of an input": func(d *openflow.DAG) {
			d.Tasks[0].Inputs = []openflow.Input{{Key: string(make([]byte, openflow.MaxLabel+1))}}
		},
		"bytes in the name of an input or of an entry of party_tasks": func(d *openflow.DAG) {
			d.PartyTasks = []openflow.PartyTasks{{Site: string(make([]byte, openflow.MaxLabel+1)), Parties: d.Parties}}
		},
		"values that the parties are told, more than": func(d *openflow.DAG) { // a setting of many entries for all of many tasks
			d.Tasks = tasks(5000)
			for range 201 {
				d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{Site: "s", Parties: d.Parties[:1], Conf: openflow.TaskConf{Provider: "x"}})
			}
		},
	} {
		t.Run(says, func(t *testing.T) {
			d := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest, host}, Tasks: tasks(1)}
			require.NoError(t, d.Validate())
			change(d)
			mistakes, usable := d.Examine()
			require.False(t, usable, "nobody looks further")
			require.Len(t, mistakes, 1)
			require.Contains(t, mistakes[0].Message, says)
		})
	}
}

// Of two overrides the later one decides, and settings for all tasks stand in the same order.
func TestOverridesInOrder(t *testing.T) {
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	input := func(key string) openflow.Input { return data(key, from("a")) }
	set := func(provider string, keys ...string) openflow.PartyTasks {
		pt := openflow.PartyTasks{Site: provider, Parties: []openflow.Party{guest}, Tasks: map[openflow.TaskName]openflow.TaskOverride{}}
		var inputs []openflow.Input
		for _, key := range keys {
			inputs = append(inputs, input(key))
		}
		pt.Tasks["b"] = openflow.TaskOverride{Conf: openflow.TaskConf{Provider: provider, Options: map[string]any{provider: 1}}, Inputs: inputs}
		return pt
	}
	d := &openflow.DAG{
		SchemaVersion: "1", Parties: []openflow.Party{guest},
		Conf: openflow.JobConf{Task: openflow.TaskConf{Options: map[string]any{"all": 1}}},
		Tasks: []openflow.Task{
			{Name: "a", Component: "noop"}, {Name: "b", Component: "noop", Inputs: []openflow.Input{input("x"), input("y")}},
		},
		PartyTasks: []openflow.PartyTasks{
			set("one", "x"), {Site: "all", Parties: []openflow.Party{guest}, Conf: openflow.TaskConf{Provider: "general"}}, set("two", "z", "x"),
		},
	}
	require.NoError(t, d.Validate())
	specs := d.ForParty(guest)
	require.Equal(t, "general", specs[0].Conf.Provider)
	require.Equal(t, "two", specs[1].Conf.Provider)
	require.Equal(t, map[string]any{"all": 1, "one": 1, "two": 1}, specs[1].Conf.Options)
	require.Equal(t, map[string]any{"all": 1}, d.Conf.Task.Options, "the document stays as it is")
	var keys []string
	for _, in := range specs[1].Inputs {
		keys = append(keys, in.Key)
	}
	require.Equal(t, []string{"y", "z", "x"}, keys)
}
