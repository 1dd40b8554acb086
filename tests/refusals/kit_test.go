package refusals_test

import (
	"context"
	"encoding/json"
	"strings"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// kitCases are refusals of the kit itself, which any author's component can meet. The host meets them; the guest has
// nothing to do.
func kitCases() []refusalCase {
	type run = func(ctx context.Context, t *component.Task) error
	own := func(do run) componenttest.Case {
		return componenttest.Case{
			Parties: []openflow.Party{guest, host},
			Component: component.Component{
				Name: "own", Roles: []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
				Inputs: []component.Artifact{
					{Key: "table", Optional: true}, {Key: "tables", Multi: true, Optional: true}, {Key: "model", Type: component.JSONModel, Optional: true},
				},
				Outputs: []component.Artifact{{Key: "out"}, {Key: "many", Multi: true}, {Key: "trained", Type: component.JSONModel}},
				Run: func(ctx context.Context, t *component.Task) error {
					if t.Role() == openflow.RoleGuest {
						return nil
					}
					return do(ctx, t)
				},
			},
			Inputs: map[openflow.Party]componenttest.Inputs{host: {
				Data:   map[string]*tables.Frame{"table": marked(host, 3, 2, true)},
				Multi:  map[string][]componenttest.Produced{"tables": {{Task: "a", Table: marked(host, 3, 1, false)}, {Task: "b", Table: marked(host, 3, 1, false)}}},
				Models: map[string]any{"model": object{"marked-host-10000-column-0": 4711}},
			}},
		}
	}
	frame := func(change func(f *tables.Frame)) *tables.Frame {
		f := marked(host, 3, 2, true)
		change(f)
		return f
	}
	save := func(key string, times int, f *tables.Frame) run {
		return func(ctx context.Context, t *component.Task) error {
			for range times {
				if err := t.SaveTable(ctx, key, f); err != nil {
					return err
				}
			}
			return nil
		}
	}
	says := func(chunk ...byte) map[openflow.Party]script {
		return map[openflow.Party]script{guest: func(ctx context.Context, t *component.Task) error { return t.Send(ctx, host, "word", chunk) }}
	}
	refused := func(path string, do run) componenttest.Case {
		c := own(do)
		c.Component.Inputs = []component.Artifact{{Key: "table", Roles: []openflow.Role{openflow.RoleHost}}}
		c.Faults = []componenttest.Fault{{Path: path, Kind: componenttest.Verdict, Every: 1, Code: 7001}}
		return c
	}
	lacks := own(nil)
	lacks.Component.Inputs = append(lacks.Component.Inputs, component.Artifact{Key: "more"})
	noRole := own(nil)
	noRole.Component.Roles = noRole.Component.Roles[:1]
	noStage := own(nil)
	noStage.Component.Stages, noStage.Stage = []openflow.Stage{openflow.StageTrain}, openflow.StagePredict
	at := `task "task_0" of job 202401010000000000000 (host 10000)`
	secret := "marked-host-10000-column-0"
	unset := func(f *tables.Frame) { f.Features[0] = f.Features[0].Take(nil) }
	return []refusalCase{
		{name: "kit: required input", c: lacks, by: host, want: "is required", public: `input "more" of component "own" is required`, too: everybody},
		{name: "kit: role", c: noRole, by: host, want: "not supported", public: `role "host" not supported for component "own"`},
		{name: "kit: stage", c: noStage, by: host, want: "not supported", public: `stage "predict" not supported for component "own"`, too: everybody},
		{name: "kit: panic", c: own(func(context.Context, *component.Task) error { panic(secret) }), by: host, want: secret, public: "the component panicked"},
		{name: "kit: no such input", c: own(func(ctx context.Context, t *component.Task) error { _, err := t.Table(ctx, "none"); return err }), by: host,
			want: "is not given", public: `input "none" of ` + at + ` is not given`},
		{name: "kit: no such model", c: own(func(ctx context.Context, t *component.Task) error { return t.Model(ctx, "none", nil) }), by: host,
			want: "is not given", public: `input "none" of ` + at + ` is not given`},
		{name: "kit: two tables", c: own(func(ctx context.Context, t *component.Task) error { _, err := t.Table(ctx, "tables"); return err }), by: host,
			want: "has 2 tables", public: `input "tables" of ` + at + ` has 2 tables, want one`},
		{name: "kit: model of another form", c: own(func(ctx context.Context, t *component.Task) error {
			var list []int
			return t.Model(ctx, "model", &list)
		}), by: host, want: "is not readable", public: `the model bound to "model" is not readable`},
		{name: "kit: model without a form", c: own(func(ctx context.Context, t *component.Task) error {
			return t.SaveModel(ctx, "trained", map[string]any{secret: func() {}})
		}), by: host, want: "has no JSON form"},
		{name: "kit: no such output", c: own(save("none", 1, frame(func(*tables.Frame) {}))), by: host, want: "has no output",
			public: `component "own" has no output "none" for host in stage default`},
		{name: "kit: output twice", c: own(save("out", 2, frame(func(*tables.Frame) {}))), by: host, want: "is written twice",
			public: `output "out" of ` + at + ` is written twice`},
		{name: "kit: column without values", c: own(save("out", 1, frame(unset))), by: host, want: `column "marked-host-10000-column-0" has 0 values for 3 rows`},
		{name: "kit: column that is another", c: own(save("out", 1, frame(func(f *tables.Frame) { f.Schema.Features[0].DType = tables.Int64 }))), by: host,
			want: `column "marked-host-10000-column-0" is int64`},
		{name: "kit: column twice", c: own(save("out", 1, frame(func(f *tables.Frame) { f.Schema.Features[1].Name = f.Schema.Features[0].Name }))), by: host,
			want: `column "marked-host-10000-column-0" appears twice`},
		{name: "kit: column without a name", c: own(save("out", 1, frame(func(f *tables.Frame) { f.Schema.Features[1].Name = "" }))), by: host, want: "has no name"},
		{name: "kit: column of no type", c: own(save("out", 1, frame(func(f *tables.Frame) { f.Schema.Features[1].DType = "marked" }))), by: host, want: `has type "marked"`},
		{name: "kit: weight of text", c: own(save("out", 1, frame(func(f *tables.Frame) {
			f.Schema.Weight, f.Weight = &tables.Column{Name: secret + "-w", DType: tables.Object}, tables.NewStrings(f.MatchID)
		}))), by: host, want: "it must be a number"},
		{name: "kit: ids of another number", c: own(save("out", 1, frame(func(f *tables.Frame) { f.MatchID = f.MatchID[1:] }))), by: host, want: "3 sample ids and 2 match ids"},
		{name: "kit: rows of another table", c: own(func(context.Context, *component.Task) error {
			return frame(func(*tables.Frame) {}).Append(marked(host, 2, 1, false))
		}), by: host, want: "do not fit"},
		{name: "kit: not among the columns", c: own(func(context.Context, *component.Task) error {
			_, err := frame(func(*tables.Frame) {}).Feature("marked-none")
			return err
		}), by: host, want: "no column"},
		{name: "kit: table that its node refuses", c: refused("/v2/worker/data/tracking/query", func(ctx context.Context, t *component.Task) error {
			_, err := t.Table(ctx, "table")
			return err
		}), by: host, want: `input "table" of ` + at + ": node refused", public: `its node does not give it input "table"`},
		{name: "kit: output that its node does not store", c: refused("/openflow/v1/container/data/object", save("out", 1, frame(func(*tables.Frame) {}))), by: host,
			want: "cannot be uploaded", public: `its node did not take output "out"`},
		{name: "kit: output that its node does not register", c: refused("/v2/worker/data/tracking/save", save("out", 1, frame(func(*tables.Frame) {}))), by: host,
			want: "cannot be registered", public: `its node did not take output "out"`},
		{name: "kit: model that its node does not store", c: refused("/v2/worker/model/save", func(ctx context.Context, t *component.Task) error {
			return t.SaveModel(ctx, "trained", object{secret: 1})
		}), by: host, want: "cannot be saved"},
		{name: "kit: warning that its node refuses", c: refused("/openflow/v1/container/task/warning", func(ctx context.Context, t *component.Task) error {
			return t.Warn(ctx, "see %s", secret)
		}), by: host, want: "warning: node refused"},
		{name: "kit: values that do not fit", c: own(save("out", 1, frame(func(f *tables.Frame) {
			f.Features = f.Features[:1]
		}))), by: host, want: "do not fit a table with"},
		{name: "kit: metric without a name", c: own(func(ctx context.Context, t *component.Task) error {
			return t.Metric(ctx, component.Metric{Data: secret})
		}), by: host,
			want: "a metric has no name"},
		{name: "kit: metric without a form", c: own(func(ctx context.Context, t *component.Task) error {
			return t.Metric(ctx, component.Metric{Name: "m", Data: json.RawMessage(secret)})
		}), by: host, want: "invalid character"},
		{name: "kit: message without a form", c: own(func(ctx context.Context, t *component.Task) error {
			return t.SendJSON(ctx, guest, "word", map[string]any{secret: func() {}})
		}), by: host, want: "unsupported type"},
		{name: "kit: message to nobody", c: own(func(ctx context.Context, t *component.Task) error { return t.Send(ctx, second, "word", []byte(secret)) }), by: host,
			want: "is not another party", public: "host 10001 is not another party of " + at},
		{name: "kit: message that is too long", c: own(func(ctx context.Context, t *component.Task) error {
			_, err := t.ReceiveUpTo(ctx, guest, "word", 2)
			return err
		}), by: host, want: "has more than 2 bytes", public: `message "word" from guest 9999 has more than 2 bytes`, peers: says(1, 2, 3)},
		{name: "kit: message that is not readable", c: own(func(ctx context.Context, t *component.Task) error {
			var v struct{ A int }
			return t.ReceiveJSON(ctx, guest, "word", &v)
		}), by: host, want: "is not readable", public: `message "word" from guest 9999 is not readable`, peers: says([]byte(strings.Repeat("[", 20))...)},
		{name: "kit: parameters into nothing", c: own(func(_ context.Context, t *component.Task) error { return t.Parameters(object{}) }), by: host, want: "want a pointer to a struct"},
	}
}
