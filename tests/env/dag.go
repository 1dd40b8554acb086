package env

import (
	"strings"

	"openflow"
)

// Parties reads "guest 9999", "host 10000".
func Parties(texts ...string) []openflow.Party {
	list := make([]openflow.Party, len(texts))
	for i, s := range texts {
		role, id, _ := strings.Cut(s, " ")
		list[i] = openflow.Party{Role: openflow.Role(role), ID: openflow.PartyID(id)}
	}
	return list
}

// DAG is a job of these tasks. The node that it is submitted to schedules it, unless the caller says otherwise.
func DAG(parties []openflow.Party, tasks ...openflow.Task) *openflow.DAG {
	return &openflow.DAG{SchemaVersion: "2.2.0", Parties: parties, Tasks: tasks}
}

// Noop is a task of the noop component that starts after others.
func Noop(name string, parameters openflow.Parameters, after ...openflow.TaskName) openflow.Task {
	return openflow.Task{Name: openflow.TaskName(name), Component: "noop", Parameters: parameters, DependsOn: after}
}

// Sleep makes a noop task last.
func Sleep(ms int) openflow.Parameters { return openflow.Parameters{"sleep_ms": ms} }

// At replaces a task's parameters at one party.
func At(party openflow.Party, task string, parameters openflow.Parameters) openflow.PartyTasks {
	return openflow.PartyTasks{
		Site: string(party.Role) + "_" + string(party.ID), Parties: []openflow.Party{party},
		Tasks: map[openflow.TaskName]openflow.TaskOverride{openflow.TaskName(task): {Parameters: parameters}},
	}
}

// Key is a run of a task, first version.
func Key(task string, party openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Task: openflow.TaskName(task), Party: party}
}
