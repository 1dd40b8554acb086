package component_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

// alone runs f as the guest of a task without others.
func runAlone(t *testing.T, change func(*componenttest.Case), f func(context.Context, *component.Task) error) *componenttest.Result {
	t.Helper()
	c := componenttest.Case{
		Component: component.Component{
			Name: "test", Roles: []openflow.Role{openflow.RoleGuest}, Stages: []openflow.Stage{openflow.StageTrain, openflow.StagePredict},
			Inputs: []component.Artifact{
				{Key: "train_data", Stages: []openflow.Stage{openflow.StageTrain}, Optional: true},
				{Key: "test_data", Stages: []openflow.Stage{openflow.StagePredict}},
				{Key: "input_model", Type: component.JSONModel, Optional: true},
			},
			Outputs: []component.Artifact{
				{Key: "output"}, {Key: "parts", Multi: true}, {Key: "model", Type: component.JSONModel},
				{Key: "predicted", Stages: []openflow.Stage{openflow.StagePredict}},
			},
			Run: f,
		},
		Parties: []openflow.Party{guest}, Stage: openflow.StageTrain,
	}
	if change != nil {
		change(&c)
	}
	return componenttest.Run(t, c)
}

func TestHowATaskEnds(t *testing.T) {
	for name, c := range map[string]struct {
		run     func(context.Context, *component.Task) error
		change  func(*componenttest.Case)
		code    int
		status  openflow.TaskStatus
		message string
	}{
		"success": {func(context.Context, *component.Task) error { return nil }, nil, component.ExitSuccess, openflow.TaskSuccess, ""},
		"failure": {func(context.Context, *component.Task) error { return errors.New("no convergence") }, nil,
			component.ExitFailed, openflow.TaskFailed, "no convergence"},
		"panic": {func(context.Context, *component.Task) error { m := noMap(); m["x"] = 1; return nil }, nil,
			component.ExitFailed, openflow.TaskFailed, "component panicked: assignment to entry in nil map"},
		"panic in a goroutine of Parallel": {func(ctx context.Context, t *component.Task) error {
			return t.Parallel(ctx, 3, func(i int) error { panic("third") })
		}, nil, component.ExitFailed, openflow.TaskFailed, "component panicked: third"},
		"stage not supported": {nil, func(c *componenttest.Case) { c.Stage = openflow.StageCrossValidation },
			component.ExitFailed, openflow.TaskFailed, `stage "cross_validation" not supported for component "test"`},
		"role not supported": {nil, func(c *componenttest.Case) { c.Component.Roles = []openflow.Role{openflow.RoleHost} },
			component.ExitFailed, openflow.TaskFailed, `role "guest" not supported for component "test"`},
		"input missing": {nil, func(c *componenttest.Case) { c.Stage = openflow.StagePredict },
			component.ExitFailed, openflow.TaskFailed, `input "test_data" of component "test" is required`},
	} {
		t.Run(name, func(t *testing.T) {
			r := runAlone(t, c.change, c.run).Parties[guest]
			require.Equal(t, c.code, r.ExitCode)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.message, r.Error)
		})
	}
}

func TestTheReportOfTheEndIsRepeatedUntilItArrives(t *testing.T) {
	for name, kind := range map[string]componenttest.FaultKind{
		"unavailable": componenttest.Unavailable, "refused": componenttest.Refuse, "reply lost": componenttest.DropReply, "restart": componenttest.Restart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runAlone(t, func(c *componenttest.Case) {
				c.Faults = []componenttest.Fault{{Path: pathStatus, Kind: kind}, {Path: pathStatus, Kind: kind, From: 2}}
			}, func(context.Context, *component.Task) error { return nil })
			require.Equal(t, component.ExitSuccess, r.Parties[guest].ExitCode)
			require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status)
		})
	}
}

func TestOutputsSurviveEveryFault(t *testing.T) {
	paths := []string{"/openflow/v1/container/data/object", "/v2/worker/data/tracking/save", "/v2/worker/model/save", "/v2/worker/metric/save/",
		"/v2/rows", "/v2/worker/data/tracking/query", "/v2/worker/model/download"}
	for name, kind := range map[string]componenttest.FaultKind{
		"none": 0, "unavailable": componenttest.Unavailable, "refused": componenttest.Refuse, "reply lost": componenttest.DropReply,
		"restart": componenttest.Restart, "body broken off": componenttest.BreakBody,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runAlone(t, func(c *componenttest.Case) {
				c.Inputs = map[openflow.Party]componenttest.Inputs{guest: {
					Data:   map[string]*tables.Frame{"train_data": numbers(make([]float64, 30000)...)},
					Models: map[string]any{"input_model": map[string]int{"depth": 3}},
				}}
				for _, p := range paths {
					c.Faults = append(c.Faults, componenttest.Fault{Path: p, Kind: kind}, componenttest.Fault{Path: p, Kind: kind, From: 2})
				}
			}, func(ctx context.Context, t *component.Task) error {
				in, err := t.Frame(ctx, "train_data")
				if err != nil {
					return err
				}
				var model struct{ Depth int }
				if err := t.Model(ctx, "input_model", &model); err != nil {
					return err
				}
				for range 2 {
					if err := t.SaveTable(ctx, "parts", in); err != nil {
						return err
					}
				}
				if err := t.SaveModel(ctx, "model", model); err != nil {
					return err
				}
				return t.Metric(ctx, component.Metric{Name: "loss", Type: "loss", Groups: []component.Group{{Name: "train"}},
					StepAxis: "iterations", Step: 4, Data: 0.5})
			})
			require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
			parts := r.Tables(guest, "parts")
			require.Len(t, parts, 2)
			require.Equal(t, 30000, parts[1].Rows())
			var model struct{ Depth int }
			r.Model(guest, "model", &model)
			require.Equal(t, 3, model.Depth)
			metric := r.MetricsNamed(guest, "loss")[0]
			require.Equal(t, "iterations", *metric.StepAxis)
			require.Equal(t, []component.Group{{Name: "default"}, {Name: "train"}}, metric.Groups)
			var points []struct {
				Metric    float64
				Step      int
				Timestamp float64
			}
			require.NoError(t, json.Unmarshal(metric.Data, &points))
			require.Len(t, points, 1)
			require.Equal(t, 0.5, points[0].Metric)
			require.Equal(t, 4, points[0].Step)
			require.WithinDuration(t, time.Now(), time.UnixMilli(int64(points[0].Timestamp*1000)), time.Minute)
		})
	}
}

func TestAnOutputIsRegisteredAsFATEDoes(t *testing.T) {
	r := runAlone(t, nil, func(ctx context.Context, t *component.Task) error { return t.SaveTable(ctx, "output", numbers(1, 2)) })
	o := r.Output(guest, "output")
	require.Regexp(t, "^object:///sha256/[0-9a-f]{64}$", o["uri"])
	require.Regexp(t, "^[0-9a-f]{32}$", o["name"])
	delete(o, "uri")
	delete(o, "name")
	got, err := json.Marshal(o)
	require.NoError(t, err)
	require.JSONEq(t, `{"execution_id":"202401010000000000000_task_0_0_guest_9999","output_key":"output","namespace":"202401010000000000000_task_0",
		"data_type":"dataframe","index":0,"partitions":16,"overview":{"count":2,"samples":[["a","a",1],["b","b",2]]},
		"source":{"task_id":"202401010000000000000_task_0","party_task_id":"202401010000000000000_task_0_0_guest_9999","task_name":"task_0",
			"component":"test","output_artifact_key":"output","output_index":null},
		"meta_data":{"type":"fate.arch.dataframe","partition_order_mappings":{},"schema_meta":{"fields":[
			{"property":"sample_id","name":"sample_id","dtype":"index","should_compress":false},
			{"property":"match_id","name":"id","dtype":"index","should_compress":false},
			{"property":"column","name":"x0","anonymous_name":"guest_9999_x0","dtype":"float64","should_compress":true}],
			"anonymous_summary":{"column_len":1,"site_name":"guest_9999"}}}}`, string(got))
}

func TestOutputsThatAreNotDeclaredOrWrittenTwiceAreRefused(t *testing.T) {
	r := runAlone(t, nil, func(ctx context.Context, t *component.Task) error {
		for key, code := range map[string]openflow.Code{"none": openflow.CodeInvalid, "predicted": openflow.CodeInvalid} {
			if err := t.SaveTable(ctx, key, numbers(1)); openflow.CodeOf(err) != code {
				return fmt.Errorf("output %s: %w", key, err)
			}
		}
		if err := errors.Join(t.SaveTable(ctx, "output", numbers(1)), t.SaveModel(ctx, "model", 1)); err != nil {
			return err
		}
		if err := t.SaveTable(ctx, "output", numbers(1)); openflow.CodeOf(err) != openflow.CodeConflict {
			return fmt.Errorf("second table: %w", err)
		}
		if err := t.SaveModel(ctx, "model", 1); openflow.CodeOf(err) != openflow.CodeConflict {
			return fmt.Errorf("second model: %w", err)
		}
		if _, err := t.Frame(ctx, "train_data"); openflow.CodeOf(err) != openflow.CodeNotFound {
			return fmt.Errorf("input that is not given: %w", err)
		}
		return nil
	})
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
}

// Spec: fate-flow-api part 7 #36.
func TestAnOutputThatCannotBeRegisteredFailsTheTask(t *testing.T) {
	save := func(ctx context.Context, t *component.Task) error { return t.SaveTable(ctx, "output", numbers(1)) }
	model := func(ctx context.Context, t *component.Task) error { return t.SaveModel(ctx, "model", 1) }
	metric := func(ctx context.Context, t *component.Task) error { return t.Metric(ctx, component.Metric{Name: "m"}) }
	for path, c := range map[string]struct {
		run     func(context.Context, *component.Task) error
		code    int
		message string
	}{
		"/openflow/v1/container/data/object": {save, 5001, `output "output" of task "task_0" of job 202401010000000000000 (guest 9999) cannot be uploaded: node refused /openflow/v1/container/data/object: by the test (code 5001)`},
		"/v2/worker/data/tracking/save":      {save, 5005, `cannot be registered: node refused`},
		"/v2/worker/model/save":              {model, 5008, `model "model" of task "task_0" of job 202401010000000000000 (guest 9999) cannot be saved`},
		"/v2/worker/metric/save/":            {metric, 2000, `metric "m": node refused`},
	} {
		t.Run(path, func(t *testing.T) {
			r := runAlone(t, func(c2 *componenttest.Case) {
				c2.Faults = []componenttest.Fault{{Path: path, Kind: componenttest.Verdict, Code: c.code}}
			}, c.run)
			require.Equal(t, component.ExitFailed, r.Parties[guest].ExitCode)
			require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
			require.Contains(t, r.Parties[guest].Error, c.message)
			require.Nil(t, r.Output(guest, "output"))
			require.False(t, r.HasModel(guest, "model"))
		})
	}
}

// What a run may put at its node has bounds: no repeat makes room, so the task fails at once and says what the node said.
func TestABoundOfTheNodeEndsTheTask(t *testing.T) {
	for _, answer := range []string{
		`{"error":{"code":"spent","message":"the run would have too many bytes","hint":"ask the operator"}}`,
		`{"code":2004,"message":"m","error":{"code":"spent","message":"the run would have too many bytes","hint":"ask the operator"}}`,
	} {
		err, again := component.Refused(answer)
		require.False(t, again)
		require.EqualError(t, err, "the run would have too many bytes (ask the operator)")
	}
	// A lack of space passes: the same request is sent again, and what the node says is kept for the end.
	for _, answer := range []string{
		`{"error":{"code":"unavailable","message":"the node stops"}}`,
		`{"error":{"code":"exhausted","message":"the disk is nearly full","hint":"free space"}}`,
		`{"code":1006,"message":"m","error":{"code":"exhausted","message":"the disk is nearly full","hint":"free space"}}`,
	} {
		err, again := component.Refused(answer)
		require.True(t, again, answer)
		if strings.Contains(answer, "full") {
			require.ErrorContains(t, err, "the disk is nearly full (free space)")
		}
	}
}

func TestAReportThatTheNodeRefusesIsAFailure(t *testing.T) {
	r := runAlone(t, func(c *componenttest.Case) {
		c.Faults = []componenttest.Fault{{Path: pathStatus, Kind: componenttest.Verdict, Code: 2000}}
	}, func(context.Context, *component.Task) error { return nil })
	require.Equal(t, component.ExitFailed, r.Parties[guest].ExitCode)
	require.Equal(t, 1, r.Requests(pathStatus))
}

func TestATableThatIsGoneIsNotFound(t *testing.T) {
	for path, code := range map[string]openflow.Code{"/v2/rows": openflow.CodeNotFound, "/v2/worker/data/tracking/query": openflow.CodePermission} {
		envelope := map[openflow.Code]int{openflow.CodeNotFound: 7001, openflow.CodePermission: 5005}[code]
		r := runAlone(t, func(c *componenttest.Case) {
			c.Inputs = map[openflow.Party]componenttest.Inputs{guest: {Data: map[string]*tables.Frame{"train_data": numbers(1)}}}
			c.Faults = []componenttest.Fault{{Path: path, Kind: componenttest.Verdict, Code: envelope, Every: 1}}
		}, func(ctx context.Context, t *component.Task) error {
			if _, err := t.Frame(ctx, "train_data"); openflow.CodeOf(err) != code {
				return fmt.Errorf("code %s: %w", openflow.CodeOf(err), err)
			}
			return nil
		})
		require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
	}
}

func TestAnAbortedOutputLeavesNothing(t *testing.T) {
	r := runAlone(t, nil, func(ctx context.Context, t *component.Task) error {
		w, err := t.WriteTable(ctx, "output", numbers(1).Schema)
		if err != nil {
			return err
		}
		return errors.Join(w.Write(numbers(1)), w.Abort())
	})
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status)
	require.Nil(t, r.Output(guest, "output"))
}

func TestALargeOutputIsSpooledToAFile(t *testing.T) {
	r := runAlone(t, func(c *componenttest.Case) {
		c.Faults = []componenttest.Fault{{Path: "/openflow/v1/container/data/object", Kind: componenttest.Restart}}
	}, func(ctx context.Context, t *component.Task) error {
		w, err := t.WriteTable(ctx, "output", numbers().Schema)
		if err != nil {
			return err
		}
		for range 50 {
			if err := w.Write(numbers(make([]float64, 20000)...)); err != nil {
				return err
			}
		}
		return w.Close(ctx)
	})
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
	require.Equal(t, 1_000_000, r.Table(guest, "output").Rows())
}

func TestParallelUsesTheCoresAndStopsAtTheFirstError(t *testing.T) {
	r := runAlone(t, func(c *componenttest.Case) { c.Cores = 3 }, func(ctx context.Context, t *component.Task) error {
		var sum, running, most atomic.Int64
		err := t.Parallel(ctx, 100, func(i int) error {
			most.Store(max(most.Load(), running.Add(1)))
			sum.Add(int64(i))
			running.Add(-1)
			return nil
		})
		if err != nil || sum.Load() != 4950 || most.Load() > 3 || t.Cores() != 3 {
			return fmt.Errorf("sum %d, %d at once: %w", sum.Load(), most.Load(), err)
		}
		var calls atomic.Int64
		stop := errors.New("stop")
		if err := t.Parallel(ctx, 1000, func(i int) error { calls.Add(1); return stop }); !errors.Is(err, stop) || calls.Load() > 3 {
			return fmt.Errorf("%d calls: %w", calls.Load(), err)
		}
		return nil
	})
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
}

func TestATableOfAnotherSiteIsRefused(t *testing.T) {
	foreign := numbers(1)
	foreign.Schema.Site = "host_10000"
	r := runAlone(t, func(c *componenttest.Case) {
		c.Inputs = map[openflow.Party]componenttest.Inputs{guest: {Data: map[string]*tables.Frame{"train_data": foreign}}}
	}, func(ctx context.Context, t *component.Task) error {
		_, err := t.Table(ctx, "train_data")
		return err
	})
	require.Contains(t, r.Parties[guest].Error, "table belongs to site host_10000 and cannot be read as guest_9999")
}

func TestWithoutAConfigurationNothingRuns(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no CONFIG":       {},
		"not JSON":        {"CONFIG": "job_id: x"},
		"no node":         {"CONFIG": `{"job_id":"j","task_name":"t","party_task_id":"e","component":"c","role":"guest","party_id":"1"}`},
		"cores not whole": {"CONFIG": `{"job_id":"j","task_name":"t","party_task_id":"e","component":"c","role":"guest","party_id":"1","mlmd":{"metadata":{"host":"h","port":1}}}`, "OPENFLOW_CORES": "0"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, component.ExitUsage, component.Program{Components: []component.Component{Scale}}.Run(t.Context(), func(k string) string { return env[k] }))
		})
	}
}

func TestArguments(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"list":    {[]string{"list"}, 0, `{"buildin":["scale"],"thirdparty":[]}`, ""},
		"unknown": {[]string{"dance"}, 2, "", "arguments \"dance\" are not understood"},
		"no such": {[]string{"desc", "--name", "x"}, 2, "", `component "x" is not in this image (it has scale)`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := component.Command(t.Context(), c.args, func(string) string { return "" }, &stdout, &stderr, Scale)
			require.Equal(t, c.code, code)
			require.Contains(t, stdout.String(), c.stdout)
			require.Contains(t, stderr.String(), c.stderr)
		})
	}
}

func TestTheDescriptionHasFATEsShape(t *testing.T) {
	var out bytes.Buffer
	require.Zero(t, component.Command(t.Context(), []string{"desc", "--name", "scale"}, nil, &out, io.Discard, Scale))
	require.JSONEq(t, `{"schema_version":"v1","component":{"name":"scale","description":"","provider":"acme","version":"1.2.0","labels":[],
		"roles":["guest","host"],
		"parameters":{
			"factor":{"type":"float","default":1,"optional":true,"description":"what every number is multiplied by",
				"type_meta":{"title":"factor","type":"number","default":1,"exclusiveMinimum":0,"description":"what every number is multiplied by"}},
			"mode":{"type":"str","default":"plain","optional":true,"description":"root multiplies by the square root of factor",
				"type_meta":{"title":"mode","type":"string","default":"plain","enum":["plain","root"],"description":"root multiplies by the square root of factor"}}},
		"input_artifacts":{"data":{"input_data":{"types":["dataframe"],"optional":false,"stages":["default"],"roles":["guest","host"],"description":"","is_multi":false}},"model":{}},
		"output_artifacts":{
			"data":{"output_data":{"types":["dataframe"],"optional":false,"stages":["default"],"roles":["guest","host"],"description":"","is_multi":false}},
			"model":{"output_model":{"types":["json_model"],"optional":false,"stages":["default"],"roles":["guest","host"],"description":"","is_multi":false}},
			"metric":{"metric":{"types":["json_metric"],"optional":false,"stages":["default"],"roles":["guest","host"],"description":"metric, invisible for user","is_multi":false}}}}}`,
		out.String())
}

func FuzzConfig(f *testing.F) {
	f.Add(`{"job_id":"j","task_name":"t","task_version":"1","party_task_id":"e","component":"c","role":"guest","party_id":"1","mlmd":{"metadata":{"host":"h","port":1}},
		"input_artifacts":{"data":{"a":{"producer_task":"x"},"b":[{"namespace":"n","name":"m"}],"c":null},"model":null}}`)
	fuzzing.Within(f, func(t *testing.T, text string) {
		if err := component.CheckConfig(text); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	})
}

func FuzzTransportReply(f *testing.F) {
	f.Add([]byte{0x12, 3, 1, 2, 3, 0x1a, 11, 'E', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', 0x22, 2, 'O', 'K'}, true)
	f.Add([]byte(`{"code":"E0000000000","message":"OK","content":"AQID"}`), false)
	fuzzing.Within(f, func(t *testing.T, body []byte, protobuf bool) {
		answer := &http.Response{Header: http.Header{"X-Openflow-Sequence": {"7"}, "Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}
		if protobuf {
			answer.Header.Set("Content-Type", "application/x-protobuf")
		}
		content, sequence, err := component.DecodeOutbound(answer)
		if err == nil && content != nil {
			require.EqualValues(t, 7, sequence)
		}
	})
}

// The example of interop-transport §4.
func TestStandardReplyIsUnderstood(t *testing.T) {
	code, message, content, err := component.ParseOutbound([]byte("\x12\x03\x01\x02\x03\x1a\x0bE0000000000\x22\x02OK"))
	require.NoError(t, err)
	require.Equal(t, []any{"E0000000000", "OK", []byte{1, 2, 3}}, []any{code, message, content})
}

func FuzzUnpackModel(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x00", 1024)))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		if raw, err := component.UnpackModel(data); err == nil {
			require.NotNil(t, raw)
		}
	})
}

// noMap is nil where no tool can see it coming.
func noMap() map[string]int { return nil }
