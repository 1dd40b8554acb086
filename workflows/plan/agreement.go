package plan

import (
	"fmt"
	"slices"
	"strings"

	"openflow"
)

// Agreement is what the parties of a job's tasks speak with each other.
type Agreement struct {
	Protocols map[openflow.TaskName]openflow.Protocol // what all that have said anything have in common
	Warnings  []string                                // of parties that have said nothing: with them nothing is compared
}

// Agree compares what parties would run their tasks with. Programs may be of different providers and versions: what counts is
// that they have a protocol in common. Among several, the first party of the task chooses. A task that one party runs alone
// needs none. Errors: one that lists all tasks that could not run, each with who would run what.
func Agree(tasks []openflow.PlannedTask, answers []ReserveAnswer) (Agreement, error) {
	said := map[openflow.Party]map[openflow.TaskName]openflow.Spoken{}
	for _, a := range answers {
		said[a.Party] = make(map[openflow.TaskName]openflow.Spoken, len(a.Spoken))
		for _, s := range a.Spoken {
			said[a.Party][s.Task] = s
		}
	}
	agreed := Agreement{Protocols: map[openflow.TaskName]openflow.Protocol{}}
	silent := map[openflow.Party][]openflow.TaskName{}
	var mistakes []openflow.Mistake
	for _, t := range tasks {
		if len(t.Parties) < 2 {
			continue
		}
		var voices []voice
		var lists [][]openflow.Protocol
		for _, p := range t.Parties {
			if s, has := said[p][t.Name]; has {
				voices, lists = append(voices, voice{p, s}), append(lists, s.Protocols)
			} else {
				silent[p] = append(silent[p], t.Name)
			}
		}
		common, ok := openflow.InCommon(lists...)
		switch {
		case !ok:
			mistakes = append(mistakes, speechless(t, voices))
		case len(voices) > 1 && common != openflow.Protocol{}:
			agreed.Protocols[t.Name] = common
		}
	}
	agreed.Warnings = unheard(tasks, silent)
	return agreed, openflow.Refusal(mistakes)
}

// voice is what a party has said of a task.
type voice struct {
	party openflow.Party
	openflow.Spoken
}

// speechless is that the parties of a task do not understand each other. All parties of the job read it.
func speechless(t openflow.PlannedTask, voices []voice) openflow.Mistake {
	var sides []string
	for i, v := range voices {
		same := func(w voice) bool { return w.Provider == v.Provider && slices.Equal(w.Protocols, v.Protocols) }
		if slices.ContainsFunc(voices[:i], same) {
			continue
		}
		var who []string
		for _, w := range voices[i:] {
			if same(w) {
				who = append(who, w.party.String())
			}
		}
		sides = append(sides, fmt.Sprintf("%s with %s of %s, which speaks %s", atMost(who), t.Component, v.Provider, listed(v.Protocols)))
	}
	return openflow.Mistake{
		Code: openflow.CodeInvalid, Subject: openflow.AboutTask, Path: "dag.tasks." + string(t.Name),
		Message: "its parties have no protocol in common: " + strings.Join(sides, "; "),
		Remedy:  "name a provider that speaks one of the others', in conf.provider of the task or of single parties in dag.party_tasks",
	}
}

// few is how many names a text repeats.
const few = 5

func atMost(names []string) string {
	if more := len(names) - few; more > 0 {
		names = append(slices.Clone(names[:few]), fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

func listed(protocols []openflow.Protocol) string {
	names := make([]string, len(protocols))
	for i, p := range protocols {
		names[i] = p.String()
	}
	if len(names) == 0 {
		return "with nobody"
	}
	return strings.Join(names, ", ")
}

// unheard warns of parties that have not said what their programs speak, in the order of the tasks' parties.
func unheard(tasks []openflow.PlannedTask, silent map[openflow.Party][]openflow.TaskName) []string {
	var warnings []string
	for _, t := range tasks {
		for _, p := range t.Parties {
			if len(silent[p]) == 0 || len(warnings) == openflow.MaxMistakes {
				continue
			}
			names := make([]string, len(silent[p]))
			for i, n := range silent[p] {
				names[i] = string(n)
			}
			delete(silent, p)
			warnings = append(warnings, fmt.Sprintf("%s does not say which protocols its programs speak, so nothing is compared with it: %s fails there if they do not understand each other",
				p, atMost(names)))
		}
	}
	return warnings
}
