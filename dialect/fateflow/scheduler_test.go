package fateflow_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// answering is a client of a node that gives one answer to every call, with that signature.
func answering(t *testing.T, code int, signature string) *fateflow.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if signature != "" {
			w.Header().Set(peer.SignatureHeader, signature)
		}
		_ = json.NewEncoder(w).Encode(wire.Envelope{Code: code, Message: "m"}) // texts can be encoded
	}))
	t.Cleanup(srv.Close)
	return &fateflow.Client{Link: peer.Link{
		Self: "9999", Peer: "10000", URL: srv.URL, Signer: unsigned{}, Verifier: only("openflow=:right:"), HTTP: http.DefaultClient,
	}}
}

// only proves answers with one signature.
type only string

func (o only) VerifyAnswer(_ openflow.PartyID, _, answer http.Header, _ int, _ []byte) error {
	if answer.Get(peer.SignatureHeader) != string(o) {
		return openflow.Errorf(openflow.CodeUnauthorized, "not its signature")
	}
	return nil
}

// A report that changes nothing for a scheduler of FATE-Flow has been heard; any other refusal is one.
func TestReportsThatAreRefused(t *testing.T) {
	k := openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	for code, want := range map[int]openflow.Code{
		wire.Success: "", wire.UpdateTaskFailed: "", wire.JobResourceBusy: openflow.CodeExhausted, wire.TaskNotFound: openflow.CodeNotFound,
		wire.VerifyFailed: openflow.CodeUnauthorized, wire.ServerException: openflow.CodeInternal,
	} {
		err := answering(t, code, "").Scheduler().ReportTask(t.Context(), "9999", openflow.Report{Key: k, Status: openflow.TaskSuccess})
		if want == "" {
			require.NoError(t, err, code)
			continue
		}
		require.Equal(t, want, openflow.CodeOf(err), code)
	}
}

// FATE-Flow signs nothing. A signature that is there all the same must fit, whatever the answer is.
func TestASignatureThatIsThereMustFit(t *testing.T) {
	k := openflow.JobKey{Scheduler: "9999", Job: "1", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
	require.NoError(t, answering(t, wire.Success, "").Release(t.Context(), k))
	require.NoError(t, answering(t, wire.Success, "openflow=:right:").Release(t.Context(), k))
	require.NoError(t, answering(t, wire.Success, "proxy=:x:").Release(t.Context(), k), "a proxy's")
	for _, code := range []int{wire.Success, wire.JobNotFound} {
		err := answering(t, code, "proxy=:x:, openflow=:wrong:").Release(t.Context(), k)
		require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	}
}

// A scheduler that has not seen a run running takes no failure of it. It is told that it has begun, and of the end once more.
func TestARefusedEndIsToldInOrder(t *testing.T) {
	k := openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	legal := map[string][]string{"waiting": {"running", "success"}, "running": {"failed", "success"}}
	for _, c := range []struct {
		at     string
		report openflow.TaskStatus
		want   []string
	}{
		{"waiting", openflow.TaskFailed, []string{"failed", "running", "failed"}},
		{"waiting", openflow.TaskSuccess, []string{"success"}},
		{"running", openflow.TaskFailed, []string{"failed"}},
		{"failed", openflow.TaskFailed, []string{"failed", "running", "failed"}},
		{"failed", openflow.TaskRunning, []string{"running"}},
	} {
		var heard []string
		at := c.at
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b struct{ Status string }
			_ = json.NewDecoder(r.Body).Decode(&b) // what is not read is not legal
			heard = append(heard, b.Status)
			e := wire.Envelope{Code: wire.UpdateTaskFailed, Message: "Update task status does not take effect"}
			if slices.Contains(legal[at], b.Status) {
				at, e.Code = b.Status, wire.Success
			}
			_ = json.NewEncoder(w).Encode(e) // it can be encoded
		}))
		client := &fateflow.Client{Link: peer.Link{Self: "9999", Peer: "10000", URL: srv.URL, Signer: unsigned{}, HTTP: http.DefaultClient}}
		require.NoError(t, client.Scheduler().ReportTask(t.Context(), "9999", openflow.Report{Key: k, Status: c.report}))
		srv.Close()
		require.Equal(t, c.want, heard)
	}
}
