package scenarios_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// Case 7: blanks around the guest's ids do not keep rows from matching. The tables have names in other scripts, and the
// host grants its one by that name.
func TestBlankPaddedIDsMatch(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict())
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	var done wire.Uploaded
	guest.OK(guest.Upload("银行", "客户", `{"match_id_name":"id","label_name":"y"}`, strings.NewReader("id,y,x0\n1001 ,1,1\n 1002,0,2\n1003,1,3\n")), &done)
	require.Contains(t, strings.Join(done.Read.Notes, "\n"), `ids with blanks around them: 2 in "id"`)
	host.OK(host.Upload("банк", "клиенты", `{"match_id_name":"id"}`, strings.NewReader("id,x1\n1001,1\n1002,2\n1003,3\n")), nil)
	host.OK(host.Post("/v2/permission/resource/grant", map[string]any{
		"party_id": "9999", "component": "reader,psi", "dataset": []map[string]string{{"namespace": "банк", "name": "клиенты"}},
	}), nil)

	d := intersection()
	d.PartyTasks = []openflow.PartyTasks{
		env.At(d.Parties[0], "reader_0", openflow.Parameters{"namespace": "银行", "name": "客户"}),
		env.At(d.Parties[1], "reader_0", openflow.Parameters{"namespace": "банк", "name": "клиенты"}),
	}
	id := guest.Submit(d)
	guest.WaitFor(id, openflow.JobSuccess)
	host.WaitFor(id, openflow.JobSuccess)
	for _, run := range [][]string{env.Run(id, "guest", "9999", "psi_0"), env.Run(id, "host", "10000", "psi_0")} {
		var summary struct {
			Intersect int `json:"intersect_count"`
		}
		require.NoError(t, json.Unmarshal(e.As(t, run[5]).Metrics(run)["summary"], &summary))
		require.Equal(t, 3, summary.Intersect)
	}
	e.NoContainers(t)
}
