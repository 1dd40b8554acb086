package launcher

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// interpreter is Debian's, which every machine that runs the tests has.
const interpreter = "/usr/bin/python3"

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

// code is the folder of the small provider that keeps FATE's contract.
func code(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../tests/images/fate")
	require.NoError(t, err)
	return path
}

func frame() *tables.Frame {
	return &tables.Frame{
		Schema: tables.Schema{
			SampleID: "sid", MatchID: "id", Label: &tables.Column{Name: "y", DType: tables.Int32},
			Features: []tables.Column{{Name: "x0", DType: tables.Float64}, {Name: "x1", DType: tables.Float32}, {Name: "n", DType: tables.Int64}, {Name: "town", DType: tables.Object}},
		},
		SampleID: []string{"a", "b", "c"}, MatchID: []string{"1", "2", "3"}, Label: tables.NewInts(tables.Int32, []int64{0, 1, 1}),
		Features: []tables.Vector{
			tables.NewFloats(tables.Float64, []float64{0.1, -2.5, 1e-9}), tables.NewFloats(tables.Float32, []float64{0.5, 0.25, 3}),
			tables.NewInts(tables.Int64, []int64{1 << 40, 0, -7}), tables.NewStrings([]string{`a "quoted", town`, "line\nbreak", ""}),
		},
	}
}

// runCase runs the component of the small provider with these parameters.
func runCase(t *testing.T, parameters map[string]any, models map[string]any) *componenttest.Result {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	return componenttest.Run(t, componenttest.Case{
		Component: component.Component{Name: "scale"}, Parties: []openflow.Party{guest}, Parameters: parameters, Timeout: time.Minute, Cores: 1,
		Inputs: map[openflow.Party]componenttest.Inputs{guest: {Data: map[string]*tables.Frame{"input_data": frame()}, Models: models}},
		Main: func(ctx context.Context, env func(string) string, log io.Writer) int {
			return run(ctx, python{program: interpreter, path: code(t), log: log}, env, log)
		},
	})
}

// What a component of FATE's contract has made arrives: rows of its own engine's store, models, and metrics.
func TestWhatAComponentMakesIsTakenIn(t *testing.T) {
	r := runCase(t, map[string]any{"factor": 4.0, "trouble": "notes"}, map[string]any{"input_model": map[string]any{"data": map[string]any{"factor": 0.5}}})
	got := r.Parties[guest]
	require.Equal(t, openflow.TaskSuccess, got.Status, got.Error)
	require.Equal(t, component.ExitSuccess, got.ExitCode)

	in, out := frame(), r.Table(guest, "output_data")
	require.Equal(t, in.SampleID, out.SampleID)
	require.Equal(t, in.MatchID, out.MatchID)
	require.Equal(t, in.Label.Ints, out.Label.Ints)
	require.Equal(t, []float64{0.2, -5, 2e-9}, out.Features[0].Floats)
	require.Equal(t, []float64{1, 0.5, 6}, out.Features[1].Floats)
	require.Equal(t, in.Features[2].Ints, out.Features[2].Ints)
	require.Equal(t, in.Features[3].Strings, out.Features[3].Strings)
	require.Equal(t, in.Schema.Names(), out.Schema.Names())
	require.Equal(t, "guest_9999_x0", out.Schema.Features[0].Anonymous)

	require.True(t, r.HasModel(guest, "output_model"))
	require.True(t, r.HasModel(guest, "notes"))
	require.Len(t, r.MetricsNamed(guest, "loss"), 2)
	summary := r.MetricsNamed(guest, "summary")
	require.Len(t, summary, 1)
	require.JSONEq(t, `{"rows": 3, "worst": null}`, string(summary[0].Data))
	require.Contains(t, got.Log, "running scale", "its log is that of the run")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// A component that has written an output which its node has not got has not succeeded. Its own words stay at its party.
func TestEndsThatAreNoSuccess(t *testing.T) {
	for trouble, want := range map[string]string{
		"raise":       "ValueError: the row of customer 4711 is secret",
		"exit":        "exit code 7",
		"no_meta":     "No found task output",
		"broken_meta": "the final meta of the component",
		"late":        "exit code 3",
		"no_table":    `output "output_data" was not taken in: the component's own engine did not take table`,
		"count":       "its final meta tells of 4 rows, and its engine has 3",
		"elsewhere":   "only the standalone engine can be read",
		"undeclared":  `output "more" was not taken in: the component has no such output`,
		"link":        `output "output_model" was not taken in`,
		"bad_metric":  "metrics",
	} {
		t.Run(trouble, func(t *testing.T) {
			r := runCase(t, map[string]any{"trouble": trouble}, nil)
			got := r.Parties[guest]
			require.Equal(t, openflow.TaskFailed, got.Status)
			require.Equal(t, component.ExitFailed, got.ExitCode)
			require.Contains(t, got.Error, want)
			require.NotContains(t, got.Cause.Text, "4711")
		})
	}
}

// A run that is stopped ends its component, and reports nothing.
func TestStoppedRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said := &watched{text: "waiting as ", seen: stop}
	r := componenttest.Run(t, componenttest.Case{
		Component: component.Component{Name: "scale"}, Parties: []openflow.Party{guest}, Parameters: map[string]any{"trouble": "forever"},
		Inputs: map[openflow.Party]componenttest.Inputs{guest: {Data: map[string]*tables.Frame{"input_data": frame()}}},
		Main: func(_ context.Context, env func(string) string, _ io.Writer) int {
			return run(ctx, python{program: interpreter, path: code(t), log: said}, env, said)
		},
	})
	require.Equal(t, component.ExitCanceled, r.Parties[guest].ExitCode)
	require.Empty(t, r.Parties[guest].Status)
	_, rest, _ := strings.Cut(said.all.String(), said.text)
	pid, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

// watched is a log that tells when a text has been written.
type watched struct {
	mu   sync.Mutex
	all  strings.Builder
	text string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	if _, rest, ok := strings.Cut(w.all.String(), w.text); ok && strings.Contains(rest, "\n") {
		w.seen()
	}
	return len(p), nil
}

// A multi output has as many tables as the component has written, in their order.
func TestSeveralTablesOfOneOutput(t *testing.T) {
	r := runCase(t, map[string]any{"trouble": "parts"}, nil)
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
	parts := r.Tables(guest, "parts")
	require.Len(t, parts, 2)
	require.Equal(t, []string{"a"}, parts[0].SampleID)
	require.Equal(t, []string{"b", "c"}, parts[1].SampleID)
}

// A component that nothing is known of, or a provider's code that does not run, is a failure of the run and not a crash.
func TestAComponentThatThereIsNot(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := componenttest.Run(t, componenttest.Case{
		Component: component.Component{Name: "nothing"}, Parties: []openflow.Party{guest},
		Main: func(ctx context.Context, env func(string) string, log io.Writer) int {
			return run(ctx, python{program: interpreter, path: code(t), log: log}, env, log)
		},
	})
	require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
	require.Contains(t, r.Parties[guest].Error, `component "nothing" does not say what it reads and writes`)
}

func TestWhatANodeAsks(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ask := func(args ...string) (string, int) {
		var out, log strings.Builder
		code := Main(t.Context(), append([]string{"--python", interpreter, "--path", code(t)}, args...), os.Getenv, &out, &log)
		return out.String(), code
	}
	text, exit := ask("list")
	require.Zero(t, exit)
	require.JSONEq(t, `{"buildin": ["scale"], "thirdparty": []}`, text)
	text, exit = ask("desc", "--name", "scale")
	require.Zero(t, exit)
	require.True(t, json.Valid([]byte(text)))
	for _, args := range [][]string{{"desc", "--name", "other"}, {"desc"}, {"what"}} {
		_, exit = ask(args...)
		require.Equal(t, component.ExitUsage, exit, args)
	}
}
