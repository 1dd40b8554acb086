package lr_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// sound are the settings that docs/jobs.md and the warnings name.
func sound() object {
	return object{"epochs": 50, "early_stop": "diff", "tol": 1e-4, "init_param": object{"method": "zeros"},
		"optimizer": object{"method": "adam", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.1}}}
}

// separable makes rows of equally many classes, in a random order, whose centres lie on a circle: every class is on a
// side of its own.
func separable(count, rows int) (index []int, guest, host []float64) {
	random := rand.New(rand.NewPCG(3, 4))
	centre := [][2]float64{{2, 0}, {-1.2, 1.8}, {-1.2, -1.8}}
	if count == 2 {
		centre = [][2]float64{{1, 1}, {-1, -1}}
	}
	for range rows {
		k := random.IntN(count)
		index = append(index, k)
		guest = append(guest, centre[k][0]+random.NormFloat64()/3)
		host = append(host, centre[k][1]+random.NormFloat64()/3)
	}
	return index, guest, host
}

func column(name string, values []float64) (tables.Column, tables.Vector) {
	return tables.Column{Name: name, DType: tables.Float64}, tables.NewFloats(tables.Float64, values)
}

// sides makes both parties' tables; label gives the column of labels.
func sides(count, rows int, label func(index []int) tables.Vector) (index []int, g, h *tables.Frame) {
	index, a, b := separable(count, rows)
	random := rand.New(rand.NewPCG(5, 6))
	make := func(name string, values []float64) *tables.Frame {
		f := &tables.Frame{Schema: tables.Schema{SampleID: "sid", MatchID: "id"}}
		// Columns without a meaning: a host with more columns than models gives none of them away.
		for k := range 12 {
			noise := values
			if k > 0 {
				noise = nil
				for range values {
					noise = append(noise, random.NormFloat64())
				}
			}
			c, v := column(fmt.Sprintf("%s%d", name, k), noise)
			f.Schema.Features, f.Features = append(f.Schema.Features, c), append(f.Features, v)
		}
		for i := range values {
			f.SampleID = append(f.SampleID, fmt.Sprintf("%04d", (i*7919)%10007)) // not in the order of the table
		}
		f.MatchID = f.SampleID
		return f
	}
	g, h = make("x", a), make("z", b)
	g.Label = label(index)
	g.Schema.Label = &tables.Column{Name: "y", DType: g.Label.DType}
	return index, g, h
}

func ints(d tables.DType, values ...int64) func([]int) tables.Vector {
	return func(index []int) tables.Vector {
		out := make([]int64, len(index))
		for i, k := range index {
			out[i] = values[k]
		}
		return tables.NewInts(d, out)
	}
}

// scoringCase predicts a table with the models of a training.
func scoringCase(trained *componenttest.Result, c componenttest.Case, g, h *tables.Frame) componenttest.Case {
	p := componenttest.Case{Component: c.Component, Stage: openflow.StagePredict, Parties: c.Parties, Timeout: 3 * time.Minute,
		Inputs: map[openflow.Party]componenttest.Inputs{}}
	for party, frame := range map[openflow.Party]*tables.Frame{guest: g, host: h} {
		var m any
		trained.Model(party, "output_model", &m)
		p.Inputs[party] = componenttest.Inputs{Data: map[string]*tables.Frame{"test_data": frame}, Models: map[string]any{"input_model": m}}
	}
	return p
}

// Predictions, the keys of their details and the model hold the label's own values, whatever they are.
func TestLabelsKeepTheirValues(t *testing.T) {
	floats := func(values ...float64) func([]int) tables.Vector {
		return func(index []int) tables.Vector {
			out := make([]float64, len(index))
			for i, k := range index {
				out[i] = values[k]
			}
			return tables.NewFloats(tables.Float32, out)
		}
	}
	texts := func(values ...string) func([]int) tables.Vector {
		return func(index []int) tables.Vector {
			out := make([]string, len(index))
			for i, k := range index {
				out[i] = values[k]
			}
			return tables.NewStrings(out)
		}
	}
	for name, tc := range map[string]struct {
		count   int
		label   func([]int) tables.Vector
		values  []any  // by class
		classes string // in the guest's model
		warning string
	}{
		"0 and 1":           {2, ints(tables.Int32, 0, 1), []any{int64(0), int64(1)}, `[0,1]`, ""},
		"1 and 0":           {2, ints(tables.Int32, 1, 0), []any{int64(1), int64(0)}, `[0,1]`, ""},
		"truth":             {2, ints(tables.Bool, 0, 1), []any{int64(0), int64(1)}, `[0,1]`, ""},
		"-1 and 1":          {2, ints(tables.Int32, -1, 1), []any{int64(-1), int64(1)}, `[-1,1]`, ""},
		"10 and 20":         {2, ints(tables.Int64, 10, 20), []any{int64(10), int64(20)}, `[10,20]`, `"20", the greater one, counts as the positive class`},
		"0 and 2":           {2, ints(tables.Int32, 0, 2), []any{int64(0), int64(2)}, `[0,2]`, `"2", the greater one`},
		"1 and 2":           {2, ints(tables.Int32, 1, 2), []any{int64(1), int64(2)}, `[1,2]`, `"2", the greater one`},
		"-2 and -1":         {2, ints(tables.Int32, -2, -1), []any{int64(-2), int64(-1)}, `[-2,-1]`, `"-1", the greater one`},
		"1, 2, 3":           {3, ints(tables.Int32, 1, 2, 3), []any{int64(1), int64(2), int64(3)}, `[1,2,3]`, ""},
		"-1, 0, 1":          {3, ints(tables.Int32, -1, 0, 1), []any{int64(-1), int64(0), int64(1)}, `[-1,0,1]`, ""},
		"10, -5, 1000000":   {3, ints(tables.Int64, 10, -5, 1000000), []any{int64(10), int64(-5), int64(1000000)}, `[-5,10,1000000]`, ""},
		"whole floats":      {3, floats(1, 2, 3), []any{int64(1), int64(2), int64(3)}, `[1,2,3]`, ""},
		"texts":             {3, texts("gut", "böse", `it's "so"`), []any{"gut", "böse", `it's "so"`}, `["böse","gut","it's \"so\""]`, ""},
		"two texts":         {2, texts("no", "yes"), []any{"no", "yes"}, `["no","yes"]`, `"yes", the greater one`},
		"texts of numerals": {3, texts("01", "1", "10"), []any{"01", "1", "10"}, `["01","1","10"]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			index, g, h := sides(tc.count, 240, tc.label)
			c := trainCase(joined{guest: g, host: h}, sound())
			r := componenttest.RunOK(t, c)
			out := r.Table(guest, "train_output_data")
			checkPredictions(t, out, index, tc.values)
			var m model
			r.Model(guest, "output_model", &m)
			labels, err := json.Marshal(m.Meta["labels"])
			require.NoError(t, err)
			require.JSONEq(t, tc.classes, string(labels))
			warnings := strings.Join(r.Parties[guest].Warnings, "\n")
			require.Contains(t, warnings, tc.warning)
			if tc.warning == "" {
				require.NotContains(t, warnings, "positive class")
			}
			for _, party := range []openflow.Party{host, arbiter} {
				require.NotContains(t, strings.Join(r.Parties[party].Warnings, "\n"), "class")
			}

			// Rows of one class only, then without a label: the model knows the classes.
			var some []int
			for i, k := range index {
				if k == 1 {
					some = append(some, i)
				}
			}
			gOne, hOne := g.Take(some), h.Take(some)
			for range 2 {
				predicted := componenttest.RunOK(t, scoringCase(r, c, gOne, hOne)).Table(guest, "test_output_data")
				checkPredictions(t, predicted, slices.Repeat([]int{1}, len(some)), tc.values)
				gOne.Schema = gOne.Schema.Clone()
				gOne.Schema.Label, gOne.Label = nil, tables.Vector{}
			}
		})
	}
}

func checkPredictions(t *testing.T, out *tables.Frame, index []int, values []any) {
	t.Helper()
	result, err := out.Feature("predict_result")
	require.NoError(t, err)
	detail, err := out.Feature("predict_detail")
	require.NoError(t, err)
	score, err := out.Feature("predict_score")
	require.NoError(t, err)
	right := 0
	for i := range out.Rows() {
		require.Contains(t, values, result.At(i))
		if result.At(i) == values[index[i]] {
			right++
		}
		var byClass map[string]float64
		text := strings.ReplaceAll(strings.Trim(detail.Strings[i], `"`), "'", `"`)
		require.NoError(t, json.Unmarshal([]byte(text), &byClass), text)
		require.Len(t, byClass, len(values))
		for _, v := range values {
			require.Contains(t, byClass, fmt.Sprint(v))
		}
		if len(values) > 2 {
			require.Equal(t, score.Floats[i], byClass[fmt.Sprint(result.At(i))], "predict_result has the greatest score")
		}
	}
	require.Greater(t, float64(right)/float64(out.Rows()), 0.9)
}

func TestLabelsThatAreNoClasses(t *testing.T) {
	for name, tc := range map[string]struct {
		label func([]int) tables.Vector
		want  string
	}{
		"fractions": {func(index []int) tables.Vector {
			v := make([]float64, len(index))
			for i := range v {
				v[i] = float64(i) / 4
			}
			return tables.NewFloats(tables.Float64, v)
		}, "is not a whole number in the row of "},
		"65 values": {func(index []int) tables.Vector {
			v := make([]int64, len(index))
			for i := range v {
				v[i] = int64(i % 65)
			}
			return tables.NewInts(tables.Int64, v)
		}, "has 65 values, more than 64 classes"},
		"an empty text": {func(index []int) tables.Vector {
			v := make([]string, len(index))
			for i := range v {
				v[i] = string(rune('a' + i%2))
			}
			v[7] = ""
			return tables.NewStrings(v)
		}, `label "y" has no value in the row of `},
	} {
		t.Run(name, func(t *testing.T) {
			_, g, h := sides(2, 240, tc.label)
			r := componenttest.Run(t, trainCase(joined{guest: g, host: h}, sound()))
			require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
			require.Contains(t, r.Parties[guest].Error, tc.want)
			for _, party := range []openflow.Party{host, arbiter} {
				require.NotContains(t, r.Parties[party].Error, tc.want, "what the label holds is the guest's")
			}
		})
	}
}

// A warm start from a model of other labels would take one class's coefficients for another's.
func TestWarmStartNeedsTheSameLabels(t *testing.T) {
	_, g, h := sides(3, 240, ints(tables.Int32, 1, 2, 3))
	few := sound()
	few["epochs"] = 1
	first := componenttest.RunOK(t, trainCase(joined{guest: g, host: h}, few))
	for name, c := range map[string]struct {
		label func([]int) tables.Vector
		want  string
	}{
		"the same": {ints(tables.Int32, 3, 1, 2), ""},
		"others":   {ints(tables.Int32, 2, 3, 4), "was trained on other labels than train_data has"},
		"texts of the same": {func(index []int) tables.Vector {
			v := make([]string, len(index))
			for i, k := range index {
				v[i] = fmt.Sprint(k + 1)
			}
			return tables.NewStrings(v)
		}, "was trained on other labels than train_data has"},
	} {
		t.Run(name, func(t *testing.T) {
			_, g, h := sides(3, 240, c.label)
			again := trainCase(joined{guest: g, host: h}, few)
			for _, p := range again.Parties {
				var m any
				first.Model(p, "output_model", &m)
				in := again.Inputs[p]
				in.Models = map[string]any{"warm_start_model": m}
				again.Inputs[p] = in
			}
			r := componenttest.Run(t, again)
			if c.want == "" {
				require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
				return
			}
			require.Contains(t, r.Parties[guest].Error, c.want)
			require.Equal(t, openflow.TaskFailed, r.Parties[host].Status)
		})
	}
}
