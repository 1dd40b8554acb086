package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

func TestForesee(t *testing.T) {
	party := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	dag := &openflow.DAG{Tasks: []openflow.Task{
		{Name: "a"},
		{Name: "b", DependsOn: []openflow.TaskName{"a"}},
		{Name: "c", DependsOn: []openflow.TaskName{"a"}},
		{Name: "d", DependsOn: []openflow.TaskName{"b", "c"}},
		{Name: "e", DependsOn: []openflow.TaskName{"d", "elsewhere"}},
		{Name: "elsewhere"},
	}}
	rows := func(change func(map[openflow.TaskName]*openflow.TaskRecord)) (list []openflow.TaskRecord) {
		all := map[openflow.TaskName]*openflow.TaskRecord{}
		for _, name := range []openflow.TaskName{"a", "b", "c", "d", "e"} {
			all[name] = &openflow.TaskRecord{Key: openflow.TaskKey{Task: name, Party: party}, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting}
		}
		change(all)
		for _, name := range []openflow.TaskName{"a", "b", "c", "d", "e"} {
			list = append(list, *all[name])
		}
		return list
	}
	for name, tc := range map[string]struct {
		change func(map[openflow.TaskName]*openflow.TaskRecord)
		begun  openflow.TaskName
		want   []openflow.TaskName
	}{
		"two follow":       {func(map[openflow.TaskName]*openflow.TaskRecord) {}, "a", []openflow.TaskName{"b", "c"}},
		"another is open":  {func(map[openflow.TaskName]*openflow.TaskRecord) {}, "b", nil},
		"another has done": {func(m map[openflow.TaskName]*openflow.TaskRecord) { m["c"].Status = openflow.TaskSuccess }, "b", []openflow.TaskName{"d"}},
		"not told of":      {func(map[openflow.TaskName]*openflow.TaskRecord) {}, "d", nil},
		"begun":            {func(m map[openflow.TaskName]*openflow.TaskRecord) { m["b"].PartyStatus = openflow.TaskRunning }, "a", []openflow.TaskName{"c"}},
		"about to begin":   {func(m map[openflow.TaskName]*openflow.TaskRecord) { m["b"].ResourceInUse = true }, "a", []openflow.TaskName{"c"}},
		"with GPUs":        {func(m map[openflow.TaskName]*openflow.TaskRecord) { m["c"].GPUs = 1 }, "a", []openflow.TaskName{"b"}},
		"nothing follows":  {func(map[openflow.TaskName]*openflow.TaskRecord) {}, "e", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []openflow.TaskName
			for _, r := range plan.Foresee(dag, rows(tc.change), tc.begun) {
				got = append(got, r.Key.Task)
			}
			require.Equal(t, tc.want, got)
		})
	}
}
