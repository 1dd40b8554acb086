package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// trained is a node with a task that has made this model and these metrics.
func trained(model, metrics string) map[string]string {
	answers := ended("success", "")
	answers["GET /v2/output/data/table"] = `!{}`
	answers["GET /v2/output/model/query"] = `{"output_model":` + model + `}`
	answers["GET /v2/output/metric/query"] = metrics
	return answers
}

const (
	binaryModel = `{"data":{"estimator":{"header":["age","income"],"param":{"coef_":[[0.5],[-0.25]],"intercept_":[0.125]}}},"meta":{"labels":[0,1],"ovr":false}}`
	threeModel  = `{"data":{"estimator":{"0":{"header":["age"],"param":{"coef_":[[1]],"intercept_":[2]}},"1":{"header":["age"],"param":{"coef_":[[3]],"intercept_":[4]}},
		"2":{"header":["age"],"param":{"coef_":[[5]],"intercept_":[6]}}}},"meta":LABELS"ovr":true}}`
)

func loss(k, step int, value float64) string {
	return fmt.Sprintf(`{"name":"lr_loss","type":"loss","groups":[{"name":"default","index":null},{"name":"train","index":null},{"name":"class %d","index":%d}],
		"step_axis":"iterations","data":[{"metric":[%g],"step":%d,"timestamp":1}]}`, k+1, k, value, step)
}

// Coefficients are shown with the names of this party's columns, by class where there are several; curves and figures as
// numbers.
func TestOutputShowsCoefficientsAndCurves(t *testing.T) {
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	evaluation := `{"name":"evaluation","groups":[{"name":"default","index":null}],"data":{"lr_0":{"train_set":[{"metric":"auc","val":0.9937},
		[{"metric":"ks","val":0.9},{"metric":"ks_table","val":{"tpr":[1]}}],{"metric":"gain","val":{"gainx":[1]}}]}}}`
	other := `{"name":"summary","groups":[],"data":{"intersect_count":8}}`
	for name, c := range map[string]struct {
		model, metrics string
		want           []string
		coefficients   int
	}{
		"two classes": {binaryModel, "[]", []string{"COEFFICIENTS OF output_model VALUE age 0.5 income -0.25 (intercept) 0.125"}, 3},
		"three classes, at the guest": {strings.Replace(threeModel, "LABELS", `{"labels":["gut","böse",30],`, 1), "[]",
			[]string{"CLASS gut CLASS böse CLASS 30 age 1 3 5 (intercept) 2 4 6"}, 6},
		"three classes, at a host": {strings.Replace(threeModel, "LABELS", "{", 1), "[]", []string{"CLASS 1 CLASS 2 CLASS 3 age 1 3 5"}, 6},
		"an arbiter's":             {`{"data":{"estimator":{"end_epoch":3}},"meta":{}}`, "[]", []string{"model output_model"}, 0},
		"another kind of model":    {`[]`, "[]", []string{"model output_model 2 bytes"}, 0},
		"curves": {binaryModel, "[" + loss(0, 0, 0.75) + "," + loss(0, 1, 0.5) + "," + loss(1, 0, 0.25) + "]",
			[]string{"curve lr_loss train class 1 0.7500 0.5000 (2 steps)", "curve lr_loss train class 2 0.2500 (1 steps)"}, 3},
		"figures": {binaryModel, "[" + evaluation + "," + other + "]",
			[]string{"metric auc of lr_0, train_set 0.9937", "metric ks of lr_0, train_set 0.9", `metric summary {"intersect_count":8}`}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := newFake(t, trained(c.model, c.metrics))
			text := run(t, "job", "output", "j1", "--task", "psi_0", "--node", url)
			require.Zero(t, text.code, text.stderr)
			for _, want := range c.want {
				require.Contains(t, words(text.stdout), want)
			}
			doc := run(t, "job", "output", "j1", "--task", "psi_0", "--node", url, "-o", "json")
			var d struct {
				Coefficients map[string][]struct {
					Class, Column string
					Value         float64
				}
			}
			require.NoError(t, json.Unmarshal([]byte(doc.stdout), &d))
			require.Len(t, d.Coefficients["output_model"], c.coefficients)
		})
	}
}

// What a job warns of is shown where people look at it: by show, and by watch once.
func TestWarningsAreShown(t *testing.T) {
	answers := ended("success", "")
	answers[jobRoute] = strings.Replace(answers[jobRoute], `"job_id"`, `"warnings":["lr_0: the training has not \u001b[31mconverged","mind the arbiter"],"job_id"`, 1)
	_, url := newFake(t, answers)
	shown := run(t, "job", "show", "j1", "--node", url)
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stdout, "warning: lr_0: the training has not ")
	require.Equal(t, 1, strings.Count(shown.stdout, "mind the arbiter"), shown.stdout)
	require.NotContains(t, shown.stdout, "\x1b", "texts of algorithms move no cursor")
	watched := run(t, "job", "watch", "j1", "--node", url)
	require.Zero(t, watched.code, watched.stderr)
	require.Equal(t, 1, strings.Count(watched.stderr, "warning: mind the arbiter"), watched.stderr)
	require.NotContains(t, watched.stdout, "warning", "it was told already")
	submitted := run(t, "job", "submit", writeFile(t, "job.yaml", dag), "--watch", "--node", url)
	require.Equal(t, 1, strings.Count(submitted.stderr+submitted.stdout, "mind the arbiter"), submitted.stderr)
	doc, ok := run(t, "job", "show", "j1", "--node", url, "-o", "json").document(t).(map[string]any)
	require.True(t, ok)
	require.Len(t, doc["warnings"], 2)
}
