package refusals_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"

	"openflow"
	"openflow/components/lr"
	"openflow/components/lr/he"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

const rowsOfTraining = 100 // as many as the default policy asks for

// training is a job of coordinated_lr that would succeed.
func training(hosts ...openflow.Party) componenttest.Case {
	frames := map[openflow.Party]*tables.Frame{guest: marked(guest, rowsOfTraining, 2, true)}
	parties := []openflow.Party{guest}
	for _, h := range hosts {
		frames[h], parties = marked(h, rowsOfTraining, 3, false), append(parties, h)
	}
	return componenttest.Case{
		Component: lr.Component(), Stage: openflow.StageTrain, Parties: append(parties, arbiter), Inputs: inputs("train_data", frames),
		Parameters: object{"epochs": 2, "init_param": object{"method": "zeros"}, "optimizer": object{
			"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.1}}},
	}
}

func withTables(change func(g, h *tables.Frame)) componenttest.Case {
	c := training(host)
	change(c.Inputs[guest].Data["train_data"], c.Inputs[host].Data["train_data"])
	return c
}

func withParameters(o object) componenttest.Case {
	c := training(host)
	c.Parameters = maps.Clone(c.Parameters)
	maps.Copy(c.Parameters, o)
	return c
}

// withModel binds a model of one estimator, or of several, to an input of a party.
func withModel(c componenttest.Case, key string, of openflow.Party, estimator any, meta object) componenttest.Case {
	in := c.Inputs[of]
	in.Models = map[string]any{key: object{"data": object{"estimator": estimator}, "meta": meta}}
	c.Inputs[of] = in
	return c
}

func estimatorFor(f *tables.Frame, intercept bool) object {
	var header []string
	var coef [][]float64
	for _, c := range f.Schema.Features {
		header, coef = append(header, c.Name), append(coef, []float64{0.1})
	}
	param := object{"coef_": coef, "dtype": "float64"}
	if intercept {
		param["intercept_"] = []float64{0.1}
	}
	return object{"param": param, "header": header}
}

func metaOf() object {
	return object{"optimizer_param": object{"method": "sgd", "penalty": "none", "optimizer_params": object{"lr": 0.1}},
		"learning_rate_param": object{"method": "constant"}}
}

// labelled is the meta of a guest's model.
func labelled(labels any) object {
	m := metaOf()
	m["labels"], m["threshold"] = labels, 0.5
	return m
}

func sendsPlan(to openflow.Party, change object) script {
	p := object{"rows": rowsOfTraining, "batch_rows": rowsOfTraining, "epochs": 2, "models": 1, "columns": []int{3, 3}, "block": 64, "precision": 23,
		"settings": object{"epochs": 2, "batch_size": nil, "early_stop": "diff", "tol": 1e-4, "floating_point_precision": 23,
			"optimizer":               training().Parameters["optimizer"],
			"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 1}}}}
	maps.Copy(p, change)
	payload, err := json.Marshal(p)
	return func(ctx context.Context, t *component.Task) error {
		if err != nil {
			return err
		}
		return t.Send(ctx, to, "plan", payload)
	}
}

func trainingCases() []refusalCase {
	noArbiter := training(host)
	noArbiter.Parties = noArbiter.Parties[:2]
	noHost := training()
	early := training(host, second)
	early.Parameters = maps.Clone(early.Parameters)
	early.Parameters["early_stop"] = "weight_diff"
	before := metaOf()
	before["early_stop"], before["tol"] = "diff", 1e-4
	early = withModel(early, "warm_start_model", arbiter, object{}, before)
	noLoss := training(host, second)
	common := training(host)
	common.Parties = []openflow.Party{guest, host, {Role: openflow.RoleArbiter, ID: host.ID}}
	other := training(host)
	other.Override = map[openflow.Party]map[string]any{host: {"tol": 0.5}}
	told := training(host)
	told.Scores = map[openflow.Party]componenttest.ScoreLedger{host: {Told: map[openflow.PartyID]int{guest.ID: 2}}}
	wide := training(host)
	wide.Parameters = maps.Clone(wide.Parameters)
	wide.Parameters["batch_size"] = 10
	wide.Inputs[guest].Data["train_data"] = marked(guest, rowsOfTraining, 12, true)
	g, h := marked(guest, rowsOfTraining, 2, true), marked(host, rowsOfTraining, 3, false)
	warm := func(of openflow.Party, estimator any, meta object) componenttest.Case {
		return withModel(training(host), "warm_start_model", of, estimator, meta)
	}
	both := func(guestModel, hostModel any) componenttest.Case {
		return withModel(warm(guest, guestModel, labelled([]int{0, 1})), "warm_start_model", host, hostModel, metaOf())
	}
	shifted := estimatorFor(h, false)
	shifted["header"] = []string{"marked-host-10000-column-1", "marked-host-10000-column-0", "marked-host-10000-column-2"}
	unfit := estimatorFor(h, false)
	unfit["optimizer"] = object{"optimizer": object{"steps": 1, "shadow": []float64{1}}}
	ovr := labelled([]int{0, 1})
	ovr["ovr"] = true
	diverging := object{"init_param": object{"method": "consts", "fill_val": 1e12}}
	heavy := withParameters(object{"optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 1e6, "optimizer_params": object{"lr": 0.1}}})
	heavy.Override = map[openflow.Party]map[string]any{host: {"init_param": object{"method": "consts", "fill_val": 1000}}}
	stepping := object{"epochs": 50, "optimizer": object{"method": "sgd", "penalty": "none", "alpha": 0, "optimizer_params": object{"lr": 1e11}}}
	hostile := func(s script) map[openflow.Party]script { return map[openflow.Party]script{guest: s} }
	numbers := binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN()))
	key := func(payload []byte) map[openflow.Party]script {
		return map[openflow.Party]script{arbiter: func(ctx context.Context, t *component.Task) error {
			if err := t.SendJSON(ctx, guest, "start", object{}); err != nil {
				return err
			}
			return t.Send(ctx, guest, "public_key", payload)
		}}
	}
	noKey := map[openflow.Party]script{arbiter: func(ctx context.Context, t *component.Task) error {
		a, err := he.NewAuthority(func(n int, f func(i int) error) error { return t.Parallel(ctx, n, f) })
		if err != nil {
			return err
		}
		return key(bytes.Repeat([]byte{0xff}, len(a.PublicKey())))[arbiter](ctx, t)
	}}
	// first is a party that sends something before it does what it should.
	first := func(p, to openflow.Party, tag string, payload []byte) map[openflow.Party]script {
		return map[openflow.Party]script{p: func(ctx context.Context, t *component.Task) error {
			if err := t.Send(ctx, to, tag, payload); err != nil {
				return err
			}
			return lr.Component().Run(ctx, t)
		}}
	}
	texts := func(change func(values []string)) func(g, _ *tables.Frame) {
		return func(g, _ *tables.Frame) {
			values := make([]string, rowsOfTraining)
			for i := range values {
				values[i] = []string{"marked-yes", "marked-no"}[i%2]
			}
			change(values)
			g.Schema.Label.DType, g.Label = tables.Object, tables.NewStrings(values)
		}
	}
	fault := "no training: guest 9999 refuses it, its own task says why"
	norm := withParameters(object{"early_stop": "weight_diff"})
	return []refusalCase{
		{name: "lr: no host", c: noHost, by: guest, want: "1 guests and 0 hosts", public: "coordinated_lr needs one guest and at least one host", too: everybody},
		{name: "lr: no arbiter", c: noArbiter, by: guest, want: "0 arbiters", public: "training needs exactly one arbiter", too: everybody},
		{name: "lr: host without rows", c: withTables(func(_, h *tables.Frame) { *h = *h.Take(nil) }), by: host, want: "has no rows", public: "its input has no rows"},
		{name: "lr: weights", c: withTables(func(g, _ *tables.Frame) {
			g.Schema.Weight, g.Weight = &tables.Column{Name: "marked-weight", DType: tables.Float64}, g.Features[0]
		}), by: guest, want: `"marked-weight"`, public: "coordinated_lr does not weight rows"},
		{name: "lr: repeated sample id", c: withTables(func(_, h *tables.Frame) { h.SampleID[7] = h.SampleID[8] }), by: host, want: `"marked-host-10000-id-7"`},
		{name: "lr: text", c: withTables(func(_, h *tables.Frame) {
			h.Schema.Features[1].DType, h.Features[1] = tables.Object, tables.NewStrings(h.MatchID)
		}), by: host, want: `"marked-host-10000-column-1" is text`, public: "coordinated_lr takes columns of numbers only"},
		{name: "lr: no value at the host", c: withTables(func(_, h *tables.Frame) { h.Features[2].Floats[56] = math.NaN() }), by: host,
			want: `"marked-host-10000-column-2" has no value in the row of match id "marked-host-10000-id-56" (sample id "056")`},
		{name: "lr: no value at the host, at the guest", c: withTables(func(_, h *tables.Frame) { h.Features[2].Floats[56] = math.NaN() }), by: guest,
			want: "host 10000 cannot take part", ctx: true, public: "no training: host 10000 cannot take part, its own task says why"},
		{name: "lr: no value at the guest", c: withTables(func(g, _ *tables.Frame) { g.Features[0].Floats[9] = math.Inf(1) }), by: guest,
			want: `"marked-guest-9999-column-0" has an infinite value in the row of match id "marked-guest-9999-id-9" (sample id "009")`},
		{name: "lr: no value at the guest, at the arbiter", c: withTables(func(g, _ *tables.Frame) { g.Features[0].Floats[9] = math.Inf(1) }), by: arbiter,
			want: "guest 9999 is not usable", ctx: true, public: fault},
		{name: "lr: no label", c: withTables(func(g, _ *tables.Frame) { g.Schema.Label, g.Label = nil, tables.Vector{} }), by: guest,
			want: "no label column", public: "the guest's table has no label"},
		{name: "lr: label with a fraction", c: withTables(func(g, _ *tables.Frame) {
			values := make([]float64, rowsOfTraining)
			values[4] = 17.25
			g.Schema.Label.DType, g.Label = tables.Float64, tables.NewFloats(tables.Float64, values)
		}), by: guest, want: `label "marked-guest-9999-label" is not a whole number in the row of match id "marked-guest-9999-id-4"`},
		{name: "lr: one class", c: withTables(func(g, _ *tables.Frame) { clear(g.Label.Ints) }), by: guest, want: "one value only"},
		{name: "lr: label without a value", c: withTables(texts(func(values []string) { values[6] = "" })), by: guest,
			want: `label "marked-guest-9999-label" has no value in the row of match id "marked-guest-9999-id-6"`},
		{name: "lr: many classes", c: func() componenttest.Case {
			c := training(host)
			for p := range c.Inputs {
				columns := len(c.Inputs[p].Data["train_data"].Features)
				c.Inputs[p].Data["train_data"] = marked(p, 100, columns, p == guest)
			}
			for i := range 100 {
				c.Inputs[guest].Data["train_data"].Label.Ints[i] = int64(i)
			}
			return c
		}(), by: guest, want: "has 100 values"},
		{name: "lr: other ids", c: withTables(func(_, h *tables.Frame) { h.SampleID[3] = "marked-sample" }), by: guest, want: "the same sample ids",
			public: "no training: its input does not have the same sample ids at guest 9999 and host 10000 (let psi come before)"},
		{name: "lr: other ids, at the host", c: withTables(func(_, h *tables.Frame) { h.SampleID[3] = "marked-sample" }), by: host, want: "the same sample ids",
			ctx: true, public: fault},
		{name: "lr: small batches", c: wide, by: guest, want: "would give the residuals away",
			public: "a batch of 10 rows is too few for a party with 12 columns: its gradient would give the residuals away"},
		{name: "lr: too few rows", c: withParameters(object{"batch_size": 50}), by: guest, want: "a batch of 50 rows is too few",
			public: "a batch of 50 rows is too few for the 3 columns of host 10000: labels or scores could be solved from its gradient; " +
				"party 9999 asks for 100 rows"},
		{name: "lr: common arbiter", c: common, by: guest, want: "party 10000 is host and arbiter of one training",
			public: "guest 9999 refuses an arbiter that is also host, as in FATE's examples, which share host and arbiter: " +
				"that needs coordinated_lr.allow_common_arbiter: true in policy.yaml of party 9999"},
		{name: "lr: other parameters", c: other, by: host, want: "differ in tol (",
			public: "the guest's training plan and the parameters of host 10000 differ in tol"},
		{name: "lr: other parameters, at the arbiter", c: other, by: arbiter, want: "host 10000 refuses the training plan", ctx: true,
			public: "no training: host 10000 refuses the training plan, its own task says why"},
		{name: "lr: another plan", c: training(host), by: arbiter, want: "has sent host 10000 another training plan than arbiter 10002",
			public: "the guest has sent host 10000 another training plan than arbiter 10002",
			peers:  first(host, arbiter, "agreed", []byte(`{"digest":"marked"}`))},
		{name: "lr: scores told before", c: told, by: host, want: "scores for guest 9999",
			public: "party 10000 tells no more score vectors about these rows: as many as it has columns would give the columns away"},
		{name: "lr: scores told before, at the guest", c: told, by: guest, want: "host 10000 refuses the training plan", ctx: true,
			public: "no training: arbiter 10002 refuses it, its own task says why"},
		{name: "lr: more models than columns", c: withTables(func(g, _ *tables.Frame) {
			for i := range g.Label.Ints {
				g.Label.Ints[i] = int64(i % 3)
			}
		}), by: host, want: "3 models need more than 3 columns that do not follow from each other at host 10000; it has 2", public: "3 models need more than 3 columns that do not follow from each other at host 10000"},
		{name: "lr: early stop", c: early, by: arbiter, want: "early_stop diff needs the loss", public: "early_stop diff needs the loss, which exists with one host only"},
		{name: "lr: early stop, at the guest", c: noLoss, by: guest, want: "early_stop diff needs the loss",
			public: "no training: early_stop diff needs the loss, which exists with one host only (use weight_diff)"},
		{name: "lr: end of an epoch that is none", c: training(host), by: guest, want: "is not readable",
			public: "the arbiter's message at the end of an epoch is not readable", peers: first(arbiter, guest, "converge_flag", []byte{2})},
		{name: "lr: optimizer", c: withParameters(object{"optimizer": object{"method": "rprop", "optimizer_params": object{"lr": 1}}}), by: host,
			want: `optimizer "rprop"`, public: "coordinated_lr does not offer that optimizer", too: everybody},
		{name: "lr: option", c: withParameters(object{"optimizer": object{"method": "sgd", "optimizer_params": object{"marked-option": 1}}}), by: host,
			want: `"marked-option"`, public: "an option of optimizer or scheduler is not accepted", too: everybody},
		{name: "lr: options that are none", c: withParameters(object{"optimizer": object{"method": "sgd", "optimizer_params": []int{4711}}}), by: host,
			want: "want an object", public: `parameter "optimizer.optimizer_params" has a value that is not accepted`, too: everybody},
		{name: "lr: no encryption", c: withParameters(object{"he_param": object{"kind": "mock"}}), by: host, want: "forbidden",
			public: "he_param.kind mock means no encryption; it is forbidden", too: everybody},
		{name: "lr: scores out of range", c: withParameters(diverging), by: host, want: "leave the range of the encryption", public: "training diverges", too: everybody},
		{name: "lr: loss out of range", c: heavy, by: host, want: "the loss of host 10000 leaves the range of the encryption", public: "training diverges"},
		{name: "lr: alpha without sense", c: withParameters(object{"optimizer": object{"method": "sgd", "alpha": 1e300, "optimizer_params": object{"lr": 0.1}}}), by: host,
			want: "at most 1e6", public: `parameter "optimizer.alpha" has a value that is not accepted`, too: everybody},
		{name: "lr: coefficients out of range", c: withParameters(stepping), by: host, want: "found in model param", public: "training diverges", too: everybody},
		{name: "lr: warm start, other labels", c: warm(guest, estimatorFor(g, true), labelled([]int{0, 4711})), by: guest,
			want: "was trained on other labels", public: "the guest's warm_start_model was trained on other labels than its train_data has"},
		{name: "lr: warm start, labels that are none", c: warm(guest, estimatorFor(g, true), labelled([]any{0, "marked"})), by: guest,
			want: "labels are neither whole numbers nor texts", public: `the model bound to "warm_start_model" is not readable`},
		{name: "lr: warm start, classes", c: warm(guest, object{"0": estimatorFor(g, true), "1": estimatorFor(g, true)}, ovr), by: guest, want: "does not belong to that of",
			public: "no training: the model of host 10000 does not belong to that of guest 9999"},
		{name: "lr: warm start, number of models", c: withModel(
			warm(guest, object{"0": estimatorFor(g, true), "1": estimatorFor(g, true)}, ovr),
			"warm_start_model", host, object{"0": estimatorFor(h, false), "1": estimatorFor(h, false)}, ovr,
		), by: guest, want: "has 2 models, the labels need 1", public: "warm_start_model does not have one model for each class"},
		{name: "lr: warm start, a class is missing", c: warm(host, object{"0": estimatorFor(h, false), "2": estimatorFor(h, false)}, ovr), by: host,
			want: "class 1 is missing", public: `the model bound to "warm_start_model" is not one of coordinated_lr`},
		{name: "lr: warm start, nothing in it", c: warm(host, object{}, ovr), by: host, want: "it has 0 estimators",
			public: `the model bound to "warm_start_model" is not one of coordinated_lr`},
		{name: "lr: warm start, no coefficients", c: both(estimatorFor(g, true), object{"header": []string{"marked"}}), by: host, want: "has no coefficients",
			public: "its model has no coefficients"},
		{name: "lr: warm start, number of columns", c: both(estimatorFor(g, true), estimatorFor(&tables.Frame{Schema: tables.Schema{Features: h.Schema.Features[:2]}}, false)), by: host,
			want:   `has 2 features, its table 3; the model lacks "marked-host-10000-column-2"`,
			public: "its model and its table do not have the same columns"},
		{name: "lr: warm start, columns", c: both(estimatorFor(g, true), shifted), by: host, want: `is "marked-host-10000-column-1", of its table`,
			public: "its model and its table do not have the same columns"},
		{name: "lr: warm start, intercept", c: both(estimatorFor(g, true), estimatorFor(h, true)), by: host, want: "disagree about the intercept",
			public: "its model and its parameters disagree about the intercept"},
		{name: "lr: warm start, optimizer", c: both(estimatorFor(g, true), unfit), by: host, want: "does not fit its coefficients",
			public: "the warm_start_model does not fit"},
		{name: "lr: plan that is none", c: training(host), by: host, want: "plan is not valid", public: "the guest's training plan is not valid",
			peers: hostile(sendsPlan(host, object{"epochs": 0}))},
		{name: "lr: plan for others", c: training(host), by: host, want: "plan is for 3 parties", public: "the guest's training plan is not for these parties",
			peers: hostile(sendsPlan(host, object{"columns": []int{3, 3, 3}}))},
		{name: "lr: plan for another table", c: training(host), by: host, want: "does not fit the table of",
			public: "the guest's training plan does not fit the table of host 10000", peers: hostile(sendsPlan(host, object{"rows": 101, "batch_rows": 101}))},
		{name: "lr: key that is empty", c: training(host), by: guest, want: "public key has 0 bytes", public: "public key has another length than it should", peers: key(nil)},
		{name: "lr: key that is none", c: training(host), by: guest, want: "a residue that is not below its modulus", peers: noKey},
		{name: "lr: norm of another length", c: norm, by: arbiter, want: "3 bytes, not 1 numbers", public: "a message has another length than it should",
			peers: map[openflow.Party]script{guest: fakeGuest(norm, []byte("abc"))}},
		{name: "lr: norm that is no number", c: norm, by: arbiter, want: "not finite", public: "a message holds a number that is not finite",
			peers: map[openflow.Party]script{guest: fakeGuest(norm, numbers)}},
	}
}

// fakeGuest is a guest that trains as it should, until the arbiter asks for the length of its step.
func fakeGuest(c componenttest.Case, norm []byte) script {
	return func(ctx context.Context, t *component.Task) error {
		if err := t.Send(ctx, arbiter, "delta_norm", norm); err != nil { // comes before its own, which is never read
			return err
		}
		return c.Component.Run(ctx, t)
	}
}

func predictionCases() []refusalCase {
	frames := map[openflow.Party]*tables.Frame{guest: marked(guest, 20, 2, true), host: marked(host, 20, 3, false)}
	run := func(meta object) componenttest.Case {
		c := componenttest.Case{Component: lr.Component(), Stage: openflow.StagePredict, Parties: []openflow.Party{guest, host}, Inputs: inputs("test_data", frames)}
		c = withModel(c, "input_model", guest, estimatorFor(frames[guest], true), meta)
		return withModel(c, "input_model", host, estimatorFor(frames[host], false), metaOf())
	}
	good := labelled([]int{0, 1})
	broken := run(good)
	h := marked(host, 20, 3, false)
	h.Features[0].Floats[11] = math.NaN()
	broken.Inputs[host].Data["test_data"] = h
	partial := func(ctx context.Context, t *component.Task) error {
		real := lr.Component()
		if err := t.Send(ctx, guest, "h_pred", []byte("abc")); err != nil {
			return err
		}
		return real.Run(ctx, t)
	}
	return []refusalCase{
		{name: "lr: prediction without labels", c: run(metaOf()), by: guest, want: "lacks its labels or threshold", public: "input_model lacks its labels or threshold"},
		{name: "lr: prediction, no value at the host", c: broken, by: host, want: `has no value in the row of match id "marked-host-10000-id-11"`},
		{name: "lr: prediction, no value at the host, at the guest", c: broken, by: guest, want: "host 10000 cannot take part", ctx: true,
			public: "no prediction: host 10000 cannot take part, its own task says why"},
		{name: "lr: prediction, partial scores", c: run(good), by: guest, want: "partial scores of host 10000",
			public: "a message has another length than it should", peers: map[openflow.Party]script{host: partial}},
	}
}
