package lr

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/sdk/component"
	"openflow/site/jobcheck"
)

// What the description says of options is what the training does with them: a node refuses what the run would refuse.
func TestOptionsAreAsDescribed(t *testing.T) {
	raw, err := component.Program{Provider: "openflow", Version: "test", Components: []component.Component{Component()}}.Describe("coordinated_lr")
	require.NoError(t, err)
	doc, err := description.Parse(raw)
	require.NoError(t, err)
	record, err := doc.Record(fate.Form{})
	require.NoError(t, err)
	described, err := jobcheck.Of(record)
	require.NoError(t, err)
	site := jobcheck.Site{Find: func(openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
		return described, nil
	}}
	for text, right := range map[string]bool{
		`{"method":"sgd","optimizer_params":{}}`:                                         true,
		`{"optimizer_params":{"lr":"0.1","momentum":0.9,"nesterov":"yes"}}`:              true,
		`{"method":"SGD","optimizer_params":{"lr":0.1,"dampening":-1,"maximize":false}}`: true,
		`{"method":"sgd","optimizer_params":{"lr":0}}`:                                   false,
		`{"method":"sgd","optimizer_params":{"weight_decay":-1}}`:                        false,
		`{"method":"sgd","optimizer_params":{"nesterov":"often"}}`:                       false,
		`{"method":"sgd","optimizer_params":{"eps":0.1}}`:                                false,
		`{"method":"adam","optimizer_params":{"betas":[0.9,0.99],"amsgrad":1,"eps":0}}`:  true,
		`{"method":"adam","optimizer_params":{"betas":[0.9]}}`:                           false,
		`{"method":"adam","optimizer_params":{"betas":[0.9,1]}}`:                         false,
		`{"method":"adam","optimizer_params":{"betas":0.9}}`:                             false,
		`{"method":"adam","optimizer_params":{"momentum":0.9}}`:                          false,
		`{"method":"rmsprop","optimizer_params":{"alpha":0.9,"centered":true}}`:          true,
		`{"method":"rmsprop","optimizer_params":{"alpha":"much"}}`:                       false,
		`{"method":"adagrad","optimizer_params":{"lr_decay":0,"eps":null}}`:              true,
		`{"method":"adagrad","optimizer_params":{"initial_accumulator_value":-1}}`:       false,
	} {
		t.Run(text, func(t *testing.T) { agree(t, site, "optimizer", text, right) })
	}
	for text, right := range map[string]bool{
		`{"method":"constant","scheduler_params":{"factor":0.5,"total_iters":0}}`: true,
		`{"method":"constant"}`:                                            true,
		`{"scheduler_params":{"start_factor":1}}`:                          false,
		`{"method":"linear","scheduler_params":{"start_factor":"1"}}`:      true,
		`{"method":"linear","scheduler_params":{"total_iters":0}}`:         false,
		`{"method":"linear","scheduler_params":{"gamma":1}}`:               false,
		`{"method":"step","scheduler_params":{"step_size":2,"gamma":0.5}}`: true,
		`{"method":"step","scheduler_params":{"gamma":0.5}}`:               false,
		`{"method":"step"}`: false,
		`{"method":"step","scheduler_params":{"step_size":0}}`:                false,
		`{"method":"step","scheduler_params":{"step_size":1,"last_epoch":1}}`: false,
	} {
		t.Run(text, func(t *testing.T) { agree(t, site, "learning_rate_scheduler", text, right) })
	}
}

func agree(t *testing.T, site jobcheck.Site, name, text string, right bool) {
	t.Helper()
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "1"}
	d := &openflow.DAG{Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{
		Name: "a", Component: "coordinated_lr", Stage: openflow.StageTrain, Parameters: openflow.Parameters{name: json.RawMessage(text)},
	}}}
	var found []openflow.Mistake
	all, _ := site.Check(d, d.Parties)
	for _, m := range all {
		if strings.HasPrefix(m.Path, "dag.tasks.a.parameters."+name) {
			found = append(found, m)
		}
	}
	require.Equal(t, right, len(found) == 0, "a node: %v", found)

	var err error
	if name == "optimizer" {
		set := optimizerSet{Method: "sgd", Penalty: "l2"}
		require.NoError(t, json.Unmarshal([]byte(text), &set))
		set.Method = strings.ToLower(set.Method)
		_, err = newOptimizer(set, 0)
	} else {
		set := schedulerSet{Method: "constant"}
		require.NoError(t, json.Unmarshal([]byte(text), &set))
		_, err = newSchedule(set, 1)
	}
	require.Equal(t, right, err == nil, "the run: %v", err)
}
