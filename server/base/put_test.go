package base_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/store/catalogue"
)

// uploaded is the upload of rows.
func uploaded(rows string) request {
	return request{method: http.MethodPut, path: "/openflow/v1/container/data/object", body: rows}
}

// A run stores so much and no more, in whatever portions. What is refused leaves nothing, and others go on.
func TestObjectsOfARunAreBounded(t *testing.T) {
	const limit = 1 << 20
	n := newNodeWith(t, catalogue.Options{Objects: catalogue.Bound{Run: limit}})
	reader, psi := key("1", "reader_0", guest), key("1", "psi_0", guest)
	rows := func(seed string, bytes int) string { return strings.Repeat(seed, bytes/len(seed)) }
	n.put(reader, rows("a", limit/2))
	before := digests(t, n)
	e := n.envelope(reader, uploaded(rows("b", limit)))
	require.Equal(t, openflow.CodeSpent, openflow.CodeOf(e.Err()), "%v", e.Err())
	require.ErrorContains(t, e.Err(), reader.String())
	require.ElementsMatch(t, before, digests(t, n))
	n.put(reader, rows("c", limit/4)) // what was refused holds no room
	n.put(psi, rows("d", limit/2))
	for i := 0; ; i++ {
		if e := n.envelope(reader, uploaded("")); e.Err() != nil {
			require.Equal(t, openflow.CodeSpent, openflow.CodeOf(e.Err()), "empty objects are not free")
			break
		}
		require.Less(t, i, 1000)
	}
}

// Metrics and tracked outputs of a run are bounded like its objects.
func TestRowsOfARunAreBounded(t *testing.T) {
	n := newNodeWith(t, catalogue.Options{Rows: catalogue.Bound{Run: 64 << 10}})
	reader, psi := key("1", "reader_0", guest), key("1", "psi_0", guest)
	metrics := func(k openflow.TaskKey, names ...string) wire.Envelope {
		list := make([]object, len(names))
		for i, name := range names {
			list[i] = object{"name": name, "data": 1}
		}
		return n.envelope(k, post("/v2/worker/metric/save", object{"execution_id": k.RunID(), "data": list}))
	}
	require.NoError(t, metrics(reader, "a").Err())
	var many []string
	for i := range 100 {
		many = append(many, strings.Repeat("b", 900)+strconv.Itoa(i))
	}
	e := metrics(reader, many...)
	require.Equal(t, openflow.CodeSpent, openflow.CodeOf(e.Err()), "%v", e.Err())
	require.NoError(t, metrics(reader, "c").Err())
	require.NoError(t, metrics(psi, "a").Err())
}

// On a disk that is nearly full nothing new is stored.
func TestNothingIsStoredOnAFullDisk(t *testing.T) {
	n := newNode(t)
	full := openflow.Errorf(openflow.CodeExhausted, "the disk is nearly full")
	n.site.Space, n.transport.Space = func() error { return full }, func() error { return full }
	reader := key("1", "reader_0", guest)
	before := digests(t, n)
	for name, r := range map[string]request{
		"object":  uploaded("rows"),
		"metrics": post("/v2/worker/metric/save", object{"execution_id": reader.RunID(), "data": []object{{"name": "a", "data": 1}}}),
	} {
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(n.envelope(reader, r).Err()), name)
	}
	require.ElementsMatch(t, before, digests(t, n))
	push := channel("push", ptp.FormJSON, &ptp.PushInbound{Topic: toSelf, Payload: []byte("x")})
	_, result := verdict(t, n.as(psi, push))
	require.Equal(t, ptp.ResultBufferFull, result, "a container waits and repeats a message")
	n.transport.Space = nil
	_, result = verdict(t, n.as(psi, push))
	require.Equal(t, ptp.ResultOK, result)
}
