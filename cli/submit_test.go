package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// All mistakes of a job are printed, one a line, and so are its warnings.
func TestSubmitPrintsMistakesOneALine(t *testing.T) {
	_, url := newFake(t, map[string]string{submitRoute: `!{"code":5001,"message":"2 mistakes\n  dag.tasks.a: one\n  dag.tasks.b: two",
		"error":{"code":"invalid","message":"2 mistakes\n  dag.tasks.a: one\n  dag.tasks.b: two",
		"mistakes":[{"code":"invalid","path":"dag.tasks.a","message":"one"},{"code":"invalid","path":"dag.tasks.b","message":"two"}]}}`})
	r := runWith(t, dag, "job", "submit", "-", "--node", url)
	require.NotZero(t, r.code)
	lines := strings.Split(r.stderr, "\n")
	require.Contains(t, lines, "  dag.tasks.a: one")
	require.Contains(t, lines, "  dag.tasks.b: two")

	r = runWith(t, strings.Replace(dag, "tasks:", "moon: 1\n  sun: 2\n  tasks:", 1), "job", "submit", "-", "--node", url)
	require.NotZero(t, r.code)
	require.Contains(t, r.stderr, "\n  dag.moon (line 4): unknown key \"moon\"\n  dag.sun (line 5): unknown key \"sun\"")
}

func TestSubmitAndShowTellWarnings(t *testing.T) {
	answers := ended("success", "")
	answers[jobRoute] = strings.Replace(answers[jobRoute], `"job_id"`, `"warnings":["dag.conf.engine: this key has no effect"],
		"pins":[{"task_name":"reader_0","kind":"data","input_key":"","namespace":"bank","name":"people","digest":"abc","count":60},
		{"task_name":"lr_0","kind":"model","input_key":"input_model","model_id":"m7","model_version":"0","producer_task":"lr_0","output_artifact_key":"model","digest":"def"}],"job_id"`, 1)
	_, url := newFake(t, answers)
	r := runWith(t, dag, "job", "submit", "-", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "warning: mind the arbiter")
	r = run(t, "job", "show", "j1", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "dag.conf.engine: this key has no effect")
	require.Regexp(t, `table bank/people +guest 9999 +reader_0 +60 +abc\n`, r.stdout)
	require.Regexp(t, `model m7 version 0, lr_0.model +guest 9999 +lr_0 input_model +- +def\n`, r.stdout)
}
