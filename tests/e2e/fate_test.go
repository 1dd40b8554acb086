package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
	"openflow/tests/images"
)

// fateImage registers an image that was made for FATE-Flow, as FATE's client does it. Its code runs in a container like any other: it
// reads a table, and what it leaves in its own engine's store is taken in.
func fateImage(t *testing.T, s *site) {
	user := s.as(t)
	body := map[string]any{"name": "smallfate", "version": "1.0", "device": "docker", "metadata": map[string]any{"base_url": "tcp://192.0.2.1:2375", "image": images.FATE(t)}}
	require.Equal(t, "create success", user.Post("/v2/provider/register", body).Message)
	var rows []struct {
		Provider string            `json:"provider_name"`
		Metadata map[string]string `json:"metadata"`
	}
	user.OK(user.Get("/v2/provider/query", "name", "smallfate"), &rows)
	require.Len(t, rows, 1)
	require.Equal(t, "smallfate:1.0@docker", rows[0].Provider)
	require.Equal(t, "/usr/bin/python3", rows[0].Metadata["venv"])

	user.OK(user.Upload("fate", "rows", guestMeta, strings.NewReader("id,y,x0\n1,0,1.5\n2,1,-2\n")), nil)
	task := func(name string, of openflow.Channel, parameters openflow.Parameters) openflow.Task {
		return openflow.Task{Name: openflow.TaskName(name), Component: "scale", Parameters: parameters, Conf: openflow.TaskConf{Provider: "smallfate"},
			Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{of}}}}
	}
	table := openflow.Channel{Source: openflow.FromDataWarehouse, Namespace: "fate", Name: "rows"}
	id := user.Submit(env.DAG(env.Parties("guest 9999"), task("scale_0", table, openflow.Parameters{"factor": 2.0}),
		task("scale_1", openflow.Channel{Source: openflow.FromTask, ProducerTask: "scale_0", OutputKey: "output_data"}, openflow.Parameters{"factor": 10.0})))
	user.WaitFor(id, openflow.JobSuccess)
	run := env.Run(id, "guest", "9999", "scale_1")
	text := string(user.Archive("/v2/output/data/download", run...)["output_data/0.csv"])
	require.Contains(t, text, ",30.0\n")
	require.Contains(t, text, ",-40.0\n")
	require.JSONEq(t, `{"rows":2,"worst":null}`, string(user.Metrics(run)["summary"]))
	var models json.RawMessage
	user.OK(user.Get("/v2/output/model/query", run...), &models)
	require.Contains(t, string(models), `"factor":10`)

	id = user.Submit(env.DAG(env.Parties("guest 9999"), task("scale_0", table, openflow.Parameters{"trouble": "no_table"})))
	user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, user.Tasks(id)[0].Reason, `output "output_data" was not taken in`)

	var removed bool
	user.OK(user.Post("/v2/provider/delete", map[string]any{"name": "smallfate"}), &removed)
	require.True(t, removed)
	nothingLeft(t, map[string]*site{s.party: s})
}
