package wire_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
)

func seed(f *testing.F, patterns ...string) {
	f.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob("testdata/dag/" + p)
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			f.Add(read(f, file))
		}
	}
}

// survives checks what holds for every document that is accepted: it is valid, it can be sent, and whoever receives it
// has the same DAG.
func survives(t *testing.T, d *openflow.DAG, err error) {
	t.Helper()
	if err != nil {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "the fault is the document's: %v", err)
		require.NotEmpty(t, err.Error())
		return
	}
	require.NoError(t, d.Validate())
	sent, err := wire.EncodeDocument(d)
	require.NoError(t, err)
	again, err := wire.ReceiveDAG(sent)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(d, again))
	for _, p := range d.Parties {
		require.NotEmpty(t, d.ForParty(p))
		require.NoError(t, d.StrippedFor(p.ID).Validate())
	}
}

func FuzzParseDAG(f *testing.F) {
	seed(f, "*.yaml", "*.json")
	fuzzing.Within(f, func(t *testing.T, doc []byte) {
		d, err := wire.ParseDAG(doc)
		survives(t, d, err)
	})
}

func FuzzReceiveDAG(f *testing.F) {
	seed(f, "*.json", "*.golden")
	fuzzing.Within(f, func(t *testing.T, doc []byte) {
		d, err := wire.ReceiveDAG(doc)
		survives(t, d, err)
		if _, strict := wire.ParseDAG(doc); strict == nil && json.Valid(doc) {
			require.NoError(t, err, "what a person may write a node may send")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"job_id":"J","role":"host","party_id":"10000","status":"running","progress":50.0}`))
	f.Add([]byte(`{"execution_id":1,"status":"success"}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		for _, into := range []any{&wire.JobRef{}, &wire.ContainerStatus{}} {
			err := wire.Decode(body, into)
			if err != nil {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				continue
			}
			again, err := json.Marshal(into)
			require.NoError(t, err)
			require.NoError(t, wire.Decode(again, into), "what was read can be written and read again: %s", again)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"code":1001,"message":"No found job","data":{},"job_id":"1","error":{"code":"not_found","message":"m"}}`))
	f.Add([]byte(`{"code":0,"message":"success"}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		var e wire.Envelope
		if json.Unmarshal(body, &e) != nil {
			return
		}
		err := e.Err()
		require.Equal(t, e.Code == wire.Success && e.Error == nil, err == nil)
		if err == nil {
			return
		}
		var got *openflow.Error
		require.True(t, errors.As(err, &got))
		require.NotEmpty(t, got.Code)
		require.NotEmpty(t, err.Error())
	})
}
