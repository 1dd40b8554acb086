package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sameNumber compares numbers by value: YAML and JSON spell them differently.
var sameNumber = cmp.Comparer(func(a, b json.Number) bool {
	x, errX := a.Float64()
	y, errY := b.Float64()
	return a == b || (errX == nil && errY == nil && x == y)
})

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return b
}

// golden compares got with a file, or rewrites the file under -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	require.Empty(t, cmp.Diff(string(read(t, path)), string(got)))
}

// The documents of the specifications: fate-flow-api §5.1, §5.2 and fate-components §8.1–8.3.
func TestDocumentsOfTheSpecification(t *testing.T) {
	files, err := filepath.Glob("testdata/dag/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			authored, err := wire.ParseDAG(read(t, file))
			require.NoError(t, err)
			same := func(d *openflow.DAG, err error) {
				t.Helper()
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(authored, d, sameNumber))
			}
			same(wire.ParseDAG(read(t, name+".json")))
			same(wire.ReceiveDAG(read(t, name+".json")))

			sent, err := wire.EncodeDocument(authored)
			require.NoError(t, err)
			same(wire.ReceiveDAG(sent))
			same(wire.ParseDAG(sent))
			var pretty bytes.Buffer
			require.NoError(t, json.Indent(&pretty, sent, "", " "))
			golden(t, name+".golden", append(pretty.Bytes(), '\n'))
		})
	}
}

// A genuine node sends every key of its schema, unset ones as null, and fills in conf.
func TestWhatAGenuineNodeSends(t *testing.T) {
	want, err := wire.ParseDAG(read(t, "testdata/dag/flow-5.1.yaml"))
	require.NoError(t, err)
	want.Conf.Scheduler, want.Conf.Initiator = "9999", "9999"
	want.Conf.ComputingPartitions = 8
	want.Conf.Task.LauncherName = "default"
	got, err := wire.ReceiveDAG(read(t, "testdata/dag/flow-5.2-sent.json"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, sameNumber))
}

// What fate-flow-api §5.1 says about the derived tasks.
func TestTasksDerivedFromTheWorkedExample(t *testing.T) {
	d, err := wire.ParseDAG(read(t, "testdata/dag/flow-5.1.yaml"))
	require.NoError(t, err)
	for party, want := range map[openflow.Party][]string{
		{Role: openflow.RoleGuest, ID: "9999"}:    {"reader_0", "psi_0", "lr_0", "evaluation_0"},
		{Role: openflow.RoleHost, ID: "10000"}:    {"reader_0", "psi_0", "lr_0"},
		{Role: openflow.RoleArbiter, ID: "10000"}: {"lr_0"},
	} {
		var got []string
		for _, s := range d.ForParty(party) {
			got = append(got, string(s.Name))
			require.Equal(t, 2, *s.Conf.Cores)
		}
		require.Equal(t, want, got, party.String())
	}
	host := d.ForParty(openflow.Party{Role: openflow.RoleHost, ID: "10000"})
	require.Empty(t, cmp.Diff(openflow.Parameters{"epochs": json.Number("10"), "batch_size": nil}, host[2].Parameters))
	channel, err := json.Marshal(wire.EncodeChannel(host[2].Inputs[0]))
	require.NoError(t, err)
	require.JSONEq(t, `{"producer_task":"psi_0","output_artifact_key":"output_data","parties":[{"role":"host","party_id":["10000"]}]}`,
		string(channel))
}

func TestModelOfThePredictJob(t *testing.T) {
	d, err := wire.ParseDAG(read(t, "testdata/dag/components-8.2-predict.yaml"))
	require.NoError(t, err)
	model := &openflow.ModelRef{ID: "202501010000000000001", Version: "0"}
	require.Equal(t, model, d.Conf.ModelWarehouse)
	specs := d.ForParty(openflow.Party{Role: openflow.RoleGuest, ID: "9999"})
	found := 0
	for _, s := range specs {
		for _, in := range s.Inputs {
			if in.Kind == openflow.InputModel {
				require.Equal(t, model, in.Channels[0].Model, "filled in from conf")
				found++
			}
		}
	}
	require.Equal(t, 3, found)
}
