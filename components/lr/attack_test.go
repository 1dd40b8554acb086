package lr_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// made is a data set of normal features and labels from 0…classes−1, rows in the order of training.
func made(rows, guestColumns, hostColumns, classes int) joined {
	r := rand.New(rand.NewPCG(uint64(rows), uint64(hostColumns)))
	frame := func(columns int) *tables.Frame {
		f := &tables.Frame{Schema: tables.Schema{SampleID: "sid", MatchID: "id"}}
		for i := range rows {
			f.SampleID, f.MatchID = append(f.SampleID, fmt.Sprintf("%06d", i)), append(f.MatchID, fmt.Sprintf("%06d", i))
		}
		for j := range columns {
			f.Schema.Features = append(f.Schema.Features, tables.Column{Name: fmt.Sprintf("c%d", j), DType: tables.Float64})
			v := make([]float64, rows)
			for i := range v {
				v[i] = r.NormFloat64()
			}
			f.Features = append(f.Features, tables.NewFloats(tables.Float64, v))
		}
		return f
	}
	j := joined{guest: frame(guestColumns), host: frame(hostColumns)}
	labels := make([]int64, rows)
	for i := range labels {
		labels[i] = int64(r.IntN(classes))
	}
	j.guest.Schema.Label, j.guest.Label = &tables.Column{Name: "y", DType: tables.Int32}, tables.NewInts(tables.Int32, labels)
	for i := range rows {
		var row []float64
		for _, c := range append(append([]tables.Vector{}, j.guest.Features...), j.host.Features...) {
			row = append(row, c.Floats[i])
		}
		j.ref.x, j.ref.y = append(j.ref.x, row), append(j.ref.y, float64(2*labels[i]-1))
	}
	return j
}

// lenient is a policy for that many rows a column.
func lenient(perColumn int) openflow.Policy {
	p := openflow.DefaultPolicy()
	p.CoordinatedLR.RowsPerColumn = perColumn
	return p
}

func ofAll(p openflow.Policy) map[openflow.Party]openflow.Policy {
	return map[openflow.Party]openflow.Policy{guest: p, host: p, second: p, arbiter: p}
}

// With the limit lowered everywhere, a host that keeps to the protocol has every label, from one gradient. The first is case
// 74: 32 rows, 20 columns, zero start. The others have ten rows for each column, and are too small all the same.
func TestFewRowsGiveTheLabelsAway(t *testing.T) {
	for _, size := range []struct{ rows, columns int }{{32, 20}, {32, 3}, {40, 4}} {
		t.Run(fmt.Sprintf("%d rows, %d columns", size.rows, size.columns), func(t *testing.T) {
			j := made(size.rows, 2, size.columns, 2)
			c := trainCase(j, object{"epochs": 1, "init_param": object{"method": "zeros"},
				"optimizer": object{"method": "sgd", "penalty": "none", "optimizer_params": object{"lr": 1}}})
			refused := componenttest.Run(t, c)
			for _, p := range c.Parties {
				require.Equal(t, openflow.TaskFailed, refused.Parties[p].Status, p.String())
				require.Contains(t, refused.Parties[p].Error, fmt.Sprintf("a batch of %d rows is too few", size.rows), p.String())
			}

			c.Policies = ofAll(lenient(1))
			r := componenttest.RunOK(t, c)
			var x [][]float64
			var sums []float64
			for k, coefficient := range estimatorOf(t, r, host).Param.Coef {
				x = append(x, j.host.Features[k].Floats)
				sums = append(sums, 2*float64(size.rows)*coefficient[0]) // the step was ½·Xᵀy/rows
			}
			labels, found := labelsByReduction(x, sums, 1/4e-4) // the flooding is that wide
			require.True(t, found)
			require.Equal(t, j.ref.y, labels)
		})
	}
}

// solve returns A⁻¹·B.
func solve(a, b [][]float64) [][]float64 {
	n := len(a)
	m := make([][]float64, n)
	for i := range m {
		m[i] = append(append([]float64{}, a[i]...), b[i]...)
	}
	for c := range n {
		for i := c + 1; i < n; i++ {
			if math.Abs(m[i][c]) > math.Abs(m[c][c]) {
				m[i], m[c] = m[c], m[i]
			}
		}
		for i := range n {
			if factor := m[i][c] / m[c][c]; i != c {
				for k := range m[i] {
					m[i][k] -= factor * m[c][k]
				}
			}
		}
	}
	x := make([][]float64, n)
	for i := range m {
		for _, v := range m[i][n:] {
			x[i] = append(x[i], v/m[i][i])
		}
	}
	return x
}

func times(a, b [][]float64) [][]float64 {
	out := make([][]float64, len(a))
	for i := range a {
		out[i] = make([]float64, len(b[0]))
		for k := range b {
			for c := range b[k] {
				out[i][c] += a[i][k] * b[k][c]
			}
		}
	}
	return out
}

func transposed(a [][]float64) [][]float64 {
	out := make([][]float64, len(a[0]))
	for _, row := range a {
		for c, v := range row {
			out[c] = append(out[c], v)
		}
	}
	return out
}

// A guest invents 8 classes and knows 6 rows of a host with 6 columns: the scores in plaintext give it all others.
func TestInventedClassesGiveTheFeaturesAway(t *testing.T) {
	const rows, columns, classes = 200, 6, 8
	j := made(rows, 2, columns, classes)
	c := trainCase(j, quick(object{"epochs": 1, "init_param": object{"method": "random"}}))

	refused := componenttest.Run(t, c)
	require.Contains(t, refused.Parties[host].Error, "8")
	for _, p := range c.Parties {
		require.Equal(t, openflow.TaskFailed, refused.Parties[p].Status, p.String())
	}
	require.Contains(t, refused.Parties[guest].Error, "host 10000")
	for _, m := range refused.Messages() {
		require.NotContains(t, m.Topic, "h_pred")
		require.NotContains(t, m.Topic, "public_key", "refused before anything is computed")
	}

	c.Scores = map[openflow.Party]componenttest.ScoreLedger{host: {Raised: map[openflow.PartyID]int{guest.ID: classes}}}
	r := componenttest.RunOK(t, c)
	var z [][]float64 // [row][class], as the guest has it
	for _, m := range r.Messages() {
		if m.Topic == "host-10000~guest-9999~h_pred" {
			all, err := lr.DecodeNumbers(m.Payload[1:], rows*classes)
			require.NoError(t, err)
			for i := range rows {
				var row []float64
				for k := range classes {
					row = append(row, all[k*rows+i])
				}
				z = append(z, row)
			}
		}
	}
	known := j.host.Take([]int{0, 1, 2, 3, 4, 5})
	var x [][]float64
	for _, f := range known.Features {
		x = append(x, f.Floats)
	}
	w := solve(transposed(x), z[:columns])
	// X = Z·Wᵀ·(W·Wᵀ)⁻¹, solved as (W·Wᵀ)·Xᵀ = W·Zᵀ.
	found := solve(times(w, transposed(w)), times(w, transposed(z)))
	for k, f := range j.host.Features {
		require.Less(t, gap(f.Floats, found[k]), 1e-6, "with the limit raised the guest has column %d", k)
	}
}

func predictionWith(t *testing.T, j joined, trained *componenttest.Result) componenttest.Case {
	t.Helper()
	c := componenttest.Case{Component: lr.Component(), Stage: openflow.StagePredict, Parties: []openflow.Party{guest, host, arbiter},
		Timeout: time.Minute, Inputs: map[openflow.Party]componenttest.Inputs{}}
	for party, frame := range map[openflow.Party]*tables.Frame{guest: j.guest, host: j.host} {
		var m any
		trained.Model(party, "output_model", &m)
		c.Inputs[party] = componenttest.Inputs{Data: map[string]*tables.Frame{"test_data": frame}, Models: map[string]any{"input_model": m}}
	}
	return c
}

// Every run that gives the guest scores is counted once, with all its models and whatever tables it is about, and refused
// when the host's columns would be given away.
func TestScoresAreCounted(t *testing.T) {
	told := func(n int) map[openflow.Party]componenttest.ScoreLedger {
		return map[openflow.Party]componenttest.ScoreLedger{host: {Told: map[openflow.PartyID]int{guest.ID: n}}}
	}
	j := made(150, 2, 10, 2)
	c := trainCase(j, quick(object{"epochs": 1}))
	c.Inputs[guest].Data["validate_data"], c.Inputs[host].Data["validate_data"] = j.guest.Slice(0, 50), j.host.Slice(0, 50)
	c.Scores = told(8)
	trained := componenttest.RunOK(t, c)
	require.Equal(t, map[openflow.PartyID]int{guest.ID: 1}, trained.Parties[host].Scores)
	require.Empty(t, trained.Parties[host].Warnings)
	p := predictionWith(t, j, trained)
	p.Scores = told(8)
	require.Equal(t, map[openflow.PartyID]int{guest.ID: 1}, componenttest.RunOK(t, p).Parties[host].Scores)

	c.Scores, p.Scores = told(9), told(9)
	for stage, again := range map[string]componenttest.Case{"train": c, "predict": p} {
		r := componenttest.Run(t, again)
		require.Contains(t, r.Parties[host].Error, "9", stage)
		require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status, stage)
		for _, m := range r.Messages() {
			require.NotContains(t, m.Topic, "h_pred", stage)
		}
	}

	three := made(150, 2, 10, 3)
	c = trainCase(three, quick(object{"epochs": 1}))
	require.Equal(t, map[openflow.PartyID]int{guest.ID: 3}, componenttest.RunOK(t, c).Parties[host].Scores, "a model for each class")

	// Every host counts for itself.
	c = twoHosts(j, quick(object{"epochs": 1, "early_stop": "weight_diff"}))
	both := componenttest.RunOK(t, c)
	require.Equal(t, map[openflow.PartyID]int{guest.ID: 1}, both.Parties[host].Scores)
	require.Equal(t, map[openflow.PartyID]int{guest.ID: 1}, both.Parties[second].Scores)
	c.Scores = map[openflow.Party]componenttest.ScoreLedger{second: {Told: map[openflow.PartyID]int{guest.ID: 5}}}
	require.Equal(t, openflow.TaskFailed, componenttest.Run(t, c).Parties[second].Status, "6 columns, 5 told")
}

func TestAHostIsToldThatItsOnlyColumnIsGivenAway(t *testing.T) {
	j := made(150, 2, 1, 2)
	r := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 1})))
	require.NotEmpty(t, r.Parties[host].Warnings)
	require.Contains(t, r.Parties[host].Warnings[0], "one column")
	for _, w := range r.Parties[guest].Warnings {
		require.NotContains(t, w, "one column")
	}
	p := componenttest.RunOK(t, predictionWith(t, j, r))
	require.Len(t, p.Parties[host].Warnings, 1)
}

// deviating is the component with a guest that does as it likes.
func deviating(run func(ctx context.Context, t *component.Task) error) component.Component {
	c := lr.Component()
	honest := c.Run
	c.Run = func(ctx context.Context, t *component.Task) error {
		if t.Role() == openflow.RoleGuest {
			return run(ctx, t)
		}
		return honest(ctx, t)
	}
	return c
}

// A guest that announces more columns, other rows or another training than there is, or not the same to everybody, gets
// nothing opened: no key is handed out.
func TestAnnouncedColumnsArePinned(t *testing.T) {
	plan := func(change object) object {
		p := object{"rows": 300, "batch_rows": 300, "least_rows": 100, "epochs": 3, "models": 1, "columns": []int{3, 10}, "intercept": true,
			"block": 512, "precision": 23, "settings": object{"epochs": 3, "batch_size": nil,
				"optimizer":               object{"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.2}},
				"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 1.0}},
				"early_stop":              "diff", "tol": 0, "floating_point_precision": 23}}
		for k, v := range change {
			p[k] = v
		}
		return p
	}
	for name, tc := range map[string]struct {
		toHost, toArbiter object
		host, arbiter     string
	}{
		"as it is": {host: "", arbiter: ""},
		"more columns of its own than rows allow": {
			toHost: object{"columns": []int{200, 10}}, toArbiter: object{"columns": []int{200, 10}},
			host: "too few for the 199 columns of guest 9999", arbiter: "too few for the 199 columns of guest 9999",
		},
		"rows that nobody has": {
			toHost: object{"rows": 8000, "batch_rows": 8000, "columns": []int{200, 10}}, toArbiter: object{"rows": 8000, "batch_rows": 8000, "columns": []int{200, 10}},
			host: "does not fit the table of host 10000", arbiter: "host 10000 refuses the training plan",
		},
		"rows that only the arbiter hears of": {
			toArbiter: object{"rows": 8000, "batch_rows": 8000, "columns": []int{200, 10}},
			host:      "another training plan", arbiter: "another training plan",
		},
		"more columns for the host": {
			toHost: object{"columns": []int{3, 20}}, toArbiter: object{"columns": []int{3, 20}},
			host: "does not fit the table of host 10000", arbiter: "host 10000 refuses the training plan",
		},
		"more epochs": {
			toHost: object{"epochs": 30}, toArbiter: object{"epochs": 30}, host: "differ in epochs", arbiter: "differ in epochs",
		},
		"more models than the host's columns": {
			toHost: object{"models": 10}, toArbiter: object{"models": 10}, host: "10", arbiter: "host 10000 refuses the training plan",
		},
		"numbers without bounds": {
			toHost: object{"rows": 1 << 40, "batch_rows": 1}, toArbiter: object{"rows": 1 << 40, "batch_rows": 1}, host: "not valid", arbiter: "not valid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := trainCase(made(300, 2, 10, 2), quick(nil))
			c.Timeout = 30 * time.Second
			c.Component = deviating(func(ctx context.Context, task *component.Task) error {
				var enrolment any
				if err := task.ReceiveJSON(ctx, host, "rows", &enrolment); err != nil {
					return err
				}
				if err := task.SendJSON(ctx, host, "plan", plan(tc.toHost)); err != nil {
					return err
				}
				if err := task.SendJSON(ctx, arbiter, "plan", plan(tc.toArbiter)); err != nil {
					return err
				}
				var answer struct {
					Fault string `json:"fault"`
				}
				if err := task.ReceiveJSON(ctx, arbiter, "start", &answer); err != nil || answer.Fault != "" {
					return err
				}
				// It starts. More than was announced is refused when it is asked for.
				if _, err := task.Receive(ctx, arbiter, "public_key"); err != nil {
					return err
				}
				if err := task.Send(ctx, arbiter, "g_enc", make([]byte, 40*3*8192*8)); err != nil {
					return err
				}
				return task.Send(ctx, host, "half_d", []byte("the end"))
			})
			r := componenttest.Run(t, c)
			if name == "as it is" {
				require.Contains(t, r.Parties[arbiter].Error, "sealed")
			} else {
				require.Contains(t, r.Parties[host].Error, tc.host)
				require.Contains(t, r.Parties[arbiter].Error, tc.arbiter)
			}
			keys := 0
			for _, m := range r.Messages() {
				if m.Topic == "arbiter-10002~guest-9999~public_key" {
					keys++
				}
				require.NotEqual(t, "arbiter-10002~guest-9999~g", m.Topic, "nothing is opened")
			}
			require.Equal(t, name == "as it is", keys > 0)
		})
	}
}
