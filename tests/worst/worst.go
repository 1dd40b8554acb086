// Package worst has jobs of the shapes that cost most to check, in any size: each once took a time that grew with the square of
// its length, or more.
package worst

import (
	"fmt"
	"testing"

	"openflow"
	"openflow/tests/fuzzing"
)

// Shapes are the jobs by what is bad about them. Each has about n values.
var Shapes = map[string]func(n int) *openflow.DAG{
	"a chain": func(n int) *openflow.DAG {
		d := job(2)
		for i := range n / 10 {
			d.Tasks = append(d.Tasks, task(i, i-1))
		}
		return d
	},
	"one task after all others": func(n int) *openflow.DAG {
		d := job(2)
		var all []int
		for i := range n / 10 {
			d.Tasks = append(d.Tasks, task(i))
			all = append(all, i)
		}
		d.Tasks = append(d.Tasks, task(len(all), all...))
		return d
	},
	"every task after many others": func(n int) *openflow.DAG {
		d := job(2)
		for i := range n / 50 {
			t := task(i)
			for up := max(0, i-40); up < i; up++ {
				t.DependsOn = append(t.DependsOn, name(up))
			}
			d.Tasks = append(d.Tasks, t)
		}
		return d
	},
	"many parties": func(n int) *openflow.DAG {
		d := job(openflow.MaxParties)
		for i := range n / 5000 {
			d.Tasks = append(d.Tasks, task(i, i-1))
		}
		return d
	},
	"many parties, each named": func(n int) *openflow.DAG {
		d := job(openflow.MaxParties)
		for i := range n / 5000 {
			t := task(i, i-1)
			t.Parties = d.Parties
			t.Inputs = nil
			d.Tasks = append(d.Tasks, t)
		}
		return d
	},
	"many tasks of one party each": func(n int) *openflow.DAG {
		d := job(openflow.MaxParties)
		for i := range n / 10 {
			t := task(i)
			t.Parties = d.Parties[i%len(d.Parties) : i%len(d.Parties)+1]
			d.Tasks = append(d.Tasks, t)
		}
		return d
	},
	"overrides of all tasks at many parties": func(n int) *openflow.DAG {
		d := job(50)
		pt := openflow.PartyTasks{Site: "s", Parties: d.Parties, Tasks: map[openflow.TaskName]openflow.TaskOverride{}}
		for i := range n / 200 {
			d.Tasks = append(d.Tasks, task(i))
			d.Tasks[i].Parties = d.Parties
			pt.Tasks[name(i)] = openflow.TaskOverride{Parameters: openflow.Parameters{"x": i}}
		}
		d.PartyTasks = []openflow.PartyTasks{pt}
		return d
	},
	"many overrides of one task": func(n int) *openflow.DAG {
		d := job(2)
		d.Tasks = []openflow.Task{task(0), task(1)}
		for i := range n / 20 {
			d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
				Site: fmt.Sprint(i), Parties: d.Parties[:1], Tasks: map[openflow.TaskName]openflow.TaskOverride{
					name(1): {Parameters: openflow.Parameters{fmt.Sprint(i): i}, Inputs: []openflow.Input{from(fmt.Sprint("k", i), name(0))}},
				},
			})
		}
		return d
	},
	"settings for all tasks": func(n int) *openflow.DAG {
		d := job(2)
		for i := range n / 500 {
			d.Tasks = append(d.Tasks, task(i))
		}
		for i := range 20 {
			d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
				Site: fmt.Sprint(i), Parties: d.Parties, Conf: openflow.TaskConf{Options: map[string]any{fmt.Sprint("o", i): i}},
			})
		}
		return d
	},
	"many channels of one input": func(n int) *openflow.DAG {
		d := job(2)
		d.Tasks = []openflow.Task{task(0), task(1)}
		in := openflow.Input{Kind: openflow.InputData, Key: "in"}
		for range n / 10 {
			in.Channels = append(in.Channels, channel(name(0)))
		}
		d.Tasks[1].Inputs = []openflow.Input{in}
		return d
	},
	"nothing that there is": func(n int) *openflow.DAG {
		d := job(100)
		stranger := openflow.Party{Role: openflow.RoleHost, ID: "stranger"}
		for i := range n / 20 {
			t := task(i)
			t.Inputs, t.DependsOn = []openflow.Input{from("in", "none")}, []openflow.TaskName{"none"}
			t.Parties = []openflow.Party{stranger}
			d.Tasks = append(d.Tasks, t)
			d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
				Site: fmt.Sprint(i), Parties: []openflow.Party{stranger}, Tasks: map[openflow.TaskName]openflow.TaskOverride{"none": {}},
			})
		}
		return d
	},
	"parameters of many values": func(n int) *openflow.DAG {
		d := job(10)
		list := make([]any, n/20)
		for i := range list {
			list[i] = i
		}
		d.Tasks = []openflow.Task{task(0)}
		d.Tasks[0].Parameters = openflow.Parameters{"list": list}
		return d
	},
}

func name(i int) openflow.TaskName { return openflow.TaskName(fmt.Sprintf("t%d", i)) }

// job has parties and no task.
func job(parties int) *openflow.DAG {
	d := &openflow.DAG{SchemaVersion: "2.2.0"}
	for i := range parties {
		role := openflow.RoleHost
		if i == 0 {
			role = openflow.RoleGuest
		}
		d.Parties = append(d.Parties, openflow.Party{Role: role, ID: openflow.PartyID(fmt.Sprint(1000 + i))})
	}
	return d
}

// task reads what others make; those below 0 are none.
func task(i int, ups ...int) openflow.Task {
	t := openflow.Task{Name: name(i), Component: "pass"}
	in := openflow.Input{Kind: openflow.InputData, Key: "in"}
	for _, up := range ups {
		if up >= 0 {
			in.Channels = append(in.Channels, channel(name(up)))
		}
	}
	if len(in.Channels) > 0 {
		t.Inputs = []openflow.Input{in}
	}
	return t
}

func from(key string, producer openflow.TaskName) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: []openflow.Channel{channel(producer)}}
}

func channel(producer openflow.TaskName) openflow.Channel {
	return openflow.Channel{Source: openflow.FromTask, ProducerTask: producer, OutputKey: "out"}
}

// Small and Large are the sizes that are compared, in values.
const (
	Small = 20_000
	Large = 4 * Small
)

// most is how much more a job of four times the size may cost: four times as much, and some more for maps that grow.
const most = 7

// Linear holds that a check costs in proportion to what it reads, for jobs of every shape. It compares the memory for a job of
// four times the size, and bounds the time.
func Linear(t *testing.T, check func(d *openflow.DAG)) {
	t.Helper()
	for shape, of := range Shapes {
		t.Run(shape, func(t *testing.T) {
			small, large := of(Small), of(Large)
			check(small) // what is made once is made before
			before, _ := fuzzing.Cost(func() { check(small) })
			bytes, took := fuzzing.Cost(func() { check(large) })
			if limit := most*before + 1<<20; bytes > limit {
				t.Errorf("four times as much costs %d bytes of memory, and once as much %d", bytes, before)
			}
			if took > fuzzing.Time {
				t.Errorf("%d values take %s", Large, took)
			}
		})
	}
}
