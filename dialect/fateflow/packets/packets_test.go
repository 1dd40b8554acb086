package packets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"openflow/dialect/fateflow/packets"
	"openflow/sdk/httpclient"
	"openflow/server"
	"openflow/tests/fuzzing"
)

const path = "/v2/partner/task/start"

// What this side writes, FATE's libraries read, and the other way round.
func TestPacketsAreFATEs(t *testing.T) {
	p := packets.Packet{
		Job: "202601", Header: http.Header{"Appid": {"40172236"}, "Initiatorpartyid": {""}}, To: "9998", Method: http.MethodPost, Path: path,
		Body: []byte(`{"job_id":"202601"}`), Timeout: 10,
	}
	b, err := p.Append(nil)
	require.NoError(t, err)
	m := blank()
	require.NoError(t, proto.Unmarshal(b, m))
	require.Empty(t, m.GetUnknown())
	require.Equal(t, "202601", get(m, "header", "task", "taskId").String())
	require.Equal(t, "headers", get(m, "header", "task", "model", "name").String())
	require.JSONEq(t, `{"Appid":"40172236","Initiatorpartyid":""}`, get(m, "header", "task", "model", "dataKey").String())
	require.Equal(t, "202601", get(m, "header", "src", "name").String())
	require.Empty(t, get(m, "header", "src", "partyId").String())
	require.Equal(t, "9998", get(m, "header", "dst", "partyId").String())
	require.Equal(t, "fateflow", get(m, "header", "dst", "role").String())
	require.Equal(t, path, get(m, "header", "command", "name").String())
	require.Equal(t, "POST", get(m, "header", "operator").String())
	require.Equal(t, int64(10), get(m, "header", "conf", "overallTimeout").Int())
	require.Equal(t, path, get(m, "body", "key").String())
	require.JSONEq(t, `{"job_id":"202601"}`, string(get(m, "body", "value").Bytes()))

	theirs, err := proto.Marshal(packet("202601", "9998", path, map[string]string{"app_id-x": "1"}, map[string]string{"job_id": "202601"}))
	require.NoError(t, err)
	got, err := packets.Read(theirs, 1<<20)
	require.NoError(t, err)
	require.Equal(t, packets.Packet{
		Job: "202601", Header: http.Header{"App-Id-X": {"1"}}, To: "9998", Method: http.MethodPost, Path: path, Body: p.Body, Timeout: 10,
	}, got)
}

// What is wrong with a packet is said by its field, and nothing of it is used.
func TestPacketsThatCannotBeRead(t *testing.T) {
	with := func(change func(*dynamicpb.Message)) []byte {
		m := packet("1", "9998", path, map[string]string{"a": "b"}, map[string]string{})
		change(m)
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		return b
	}
	headers := func(text string) []byte {
		return with(func(m *dynamicpb.Message) { set(m, text, "header", "task", "model", "dataKey") })
	}
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprintf("h%d", i)] = "v"
	}
	lots, err := json.Marshal(many)
	require.NoError(t, err)
	million := "{" + strings.Repeat(`"h":"v",`, 1_000_000) + `"h":"v"}`
	group := append([]byte{0x0b}, bytes.Repeat([]byte{0x0b}, 1<<20)...)
	for name, tc := range map[string]struct {
		packet []byte
		says   string
	}{
		"no message":              {[]byte("GET / HTTP/1.1"), "it is no message"},
		"cut off":                 {with(func(*dynamicpb.Message) {})[:40], "it is no message"},
		"groups within groups":    {group, "it is no message"},
		"many fields":             {bytes.Repeat([]byte{0x18, 0x01}, 1000), "more than 256 fields"},
		"a long path":             {with(func(m *dynamicpb.Message) { set(m, strings.Repeat("/", 2000), "body", "key") }), "body.key"},
		"a path with a line":      {with(func(m *dynamicpb.Message) { set(m, "/v2\n", "body", "key") }), "body.key"},
		"a long party":            {with(func(m *dynamicpb.Message) { set(m, strings.Repeat("9", 2000), "header", "dst", "partyId") }), "header.dst.partyId"},
		"a large body":            {with(func(m *dynamicpb.Message) { set(m, make([]byte, 1<<20+1), "body", "value") }), "body.value"},
		"a large unknown field":   {with(func(m *dynamicpb.Message) { set(m, make([]byte, 1<<20), "header", "ext") }), "all of it but its body"},
		"headers in no JSON":      {headers("appId: 1"), "no JSON object"},
		"headers in a list":       {headers(`["appId"]`), "no JSON object"},
		"an unclosed object":      {headers(`{"a":"b"`), "dataKey"},
		"two objects":             {headers(`{"a":"b"}{}`), "something follows"},
		"a header within another": {headers(`{"a":{"b":{"c":"d"}}}`), "a header is no text"},
		"a number":                {headers(`{"appId":1}`), "a header is no text"},
		"twice":                   {headers(`{"appId":"1","APPID":"2"}`), "is there twice"},
		"twice, spelt otherwise":  {headers(`{"dest-party-id":"1","dest_party_id":"2"}`), "is there twice"},
		"a name with a line":      {headers(`{"a\r\nb":"c"}`), "none of HTTP"},
		"a value with a line":     {headers(`{"a":"b\r\nSignature: c"}`), "none of HTTP"},
		"no name":                 {headers(`{"":"b"}`), "none of HTTP"},
		"a header of connections": {headers(`{"transfer_encoding":"chunked"}`), "none of HTTP"},
		"many headers":            {headers(string(lots)), "more than 64 headers"},
		"a million headers":       {headers(million), "is there twice"},
		"a long value":            {headers(`{"a":"` + strings.Repeat("b", 9000) + `"}`), "none of HTTP"},
	} {
		_, err := packets.Read(tc.packet, 1<<20)
		require.ErrorContains(t, err, tc.says, name)
	}
	for _, none := range []string{"", "null", "{}"} {
		p, err := packets.Read(headers(none), 1<<20)
		require.NoError(t, err)
		require.Empty(t, p.Header)
	}
}

func FuzzRead(f *testing.F) {
	b, err := proto.Marshal(packet("1", "9998", path, map[string]string{"appId": "1", "Nonce": "1234"}, map[string]string{"job_id": "1"}))
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x0b}, 100))
	fuzzing.Within(f, func(t *testing.T, b []byte) {
		p, err := packets.Read(b, 1<<16)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(p.Body), 1<<16)
		again, err := p.Append(nil)
		require.NoError(t, err)
		back, err := packets.Read(again, 1<<16)
		require.NoError(t, err)
		if len(p.Body) == 0 {
			p.Body, back.Body = nil, nil
		}
		require.Equal(t, p, back)
	})
}

// served is a bridge whose routes say what they were asked.
func served(t *testing.T) (address string, calls *[]*http.Request) {
	t.Helper()
	calls = new([]*http.Request)
	b := &packets.Bridge{
		Routes: map[string]bool{path: true, "/v2/partner/panic": true}, Most: 1 << 20, Log: slog.New(slog.DiscardHandler),
		Serve: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/partner/panic" {
				panic("secret of the stack")
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			*calls = append(*calls, r)
			_ = json.NewEncoder(w).Encode(map[string]any{"code": 0, "message": "success", "data": json.RawMessage(body)})
		}),
	}
	s := httptest.NewUnstartedServer(server.Handler(slog.New(slog.DiscardHandler), server.Mount{Prefix: packets.Service, Handler: http.StripPrefix(packets.Service, b.Router())}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), calls
}

// A packet is served as the request that is in it, and answered as FATE-Flow's bridge answers.
func TestBridge(t *testing.T) {
	address, calls := served(t)
	conn := bridge(t, address)
	back, e := send(t, conn, packet("1", "9999", path, map[string]string{"appId": "40172236", "initiator-party-id": ""}, map[string]string{"job_id": "1"}))
	require.Equal(t, map[string]any{"code": 0.0, "message": "success", "data": map[string]any{"job_id": "1"}}, e)
	require.Equal(t, path, get(back, "body", "key").String())
	require.Equal(t, "9999", get(back, "header", "src", "partyId").String(), "the parties have changed places")
	require.Equal(t, "null", get(back, "header", "task", "model", "dataKey").String())
	require.Equal(t, int64(30000), get(back, "header", "conf", "overallTimeout").Int())
	require.Len(t, *calls, 1)
	r := (*calls)[0]
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, path, r.URL.Path)
	require.Equal(t, "40172236", r.Header.Get("appId"))
	require.Equal(t, "9999", r.Header.Get("Dest-Party-Id"), "a packet for another party shows as that")
	require.Empty(t, r.Header.Get("Grpc-Timeout"), "headers are those of the packet")

	for _, not := range []string{
		"", "/", "v2/partner/task/start", path + "/", path + "?x", "/v2//partner/task/start", "/v2/partner/../partner/task/start", "/v2/partner/task/%73tart",
		"/v2/job/submit", "/v2/worker/task/status", "/openflow/v1/node/job/open", "http://127.0.0.1:9380" + path, "//h" + path, strings.ToUpper(path),
	} {
		_, e := send(t, conn, packet("1", "9999", not, nil, map[string]string{}))
		require.Equal(t, 6001.0, e["code"], not)
	}
	get := packet("1", "9999", path, nil, map[string]string{})
	set(get, "GET", "header", "operator")
	_, e = send(t, conn, get)
	require.Equal(t, 6001.0, e["code"])
	_, e = send(t, conn, packet("1", "9999", path, nil, strings.Repeat("x", 1<<20)))
	require.Equal(t, 5001.0, e["code"], "a large body")
	_, e = send(t, conn, packet("1", "9999", path, nil, strings.Repeat("x", 4<<20)))
	require.Equal(t, 5001.0, e["code"], "a larger one is not even read")
	set(get, `{"a":`, "header", "task", "model", "dataKey")
	_, e = send(t, conn, get)
	require.Equal(t, 5001.0, e["code"])
	require.Contains(t, e["message"], "dataKey")
	require.Len(t, *calls, 1, "nothing of that has been called")

	err := conn.Invoke(t.Context(), method, packet("1", "9999", "/v2/partner/panic", nil, nil), blank())
	if err == nil {
		_, e = send(t, conn, packet("1", "9999", "/v2/partner/panic", nil, nil))
		require.Equal(t, 6000.0, e["code"])
		require.NotContains(t, fmt.Sprint(e), "secret")
	}
	_, e = send(t, conn, packet("1", "9999", path, nil, map[string]string{}))
	require.Equal(t, 0.0, e["code"], "the bridge has outlived all of that")
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, strings.Replace(method, "unaryCall", "push", 1))
	if err == nil {
		err = stream.RecvMsg(blank())
	}
	require.Error(t, err, "other methods are not served")
}

// A request goes as a packet that FATE-Flow would write, and what comes back is an answer of HTTP.
func TestWay(t *testing.T) {
	var got []*dynamicpb.Message
	var meta metadata.MD
	refuse := error(nil)
	address := site(t, func(ctx context.Context, m *dynamicpb.Message) (proto.Message, error) {
		got = append(got, m)
		meta, _ = metadata.FromIncomingContext(ctx)
		if refuse != nil {
			return nil, refuse
		}
		return packet("1", "", path, nil, map[string]any{"code": 0, "message": "success"}), nil
	})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("grpc_proxy", "http://127.0.0.1:1")
	client := &http.Client{Transport: packets.Way{Through: httpclient.New(httpclient.Options{GRPC: true}).Transport, Peer: "9998", Most: 1 << 20}}
	call := func(path string, body []byte) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Dest-Party-Id", "9998")
		r.Header.Set("appId", "40172236")
		return client.Do(r)
	}
	resp, err := call(path, []byte(`{"job_id":"202601"}`))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"code":0,"message":"success"}`, string(body))
	require.Len(t, got, 1)
	require.JSONEq(t, `{"Appid":"40172236"}`, get(got[0], "header", "task", "model", "dataKey").String())
	require.Equal(t, "202601", get(got[0], "header", "task", "taskId").String())
	require.Equal(t, "9998", get(got[0], "header", "dst", "partyId").String())
	for name, want := range map[string]string{"service": "fateflow", "src-party-id": "", "src-role": "guest", "dest-party-id": "9998", "dest-role": "host"} {
		require.Equal(t, []string{want}, meta.Get(name), name)
	}
	_, err = call("/v2/scheduler/job/stop", []byte(`{"job_id":"202601"}`))
	require.NoError(t, err)
	require.Empty(t, get(got[1], "header", "task", "taskId").String(), "as in FATE-Flow's calls of a scheduler")

	refuse = status.Error(codes.Unavailable, "no route to 9998")
	_, err = call(path, nil)
	require.ErrorContains(t, err, "no route to 9998")
	_, err = call(path, make([]byte, 1<<20+1))
	require.ErrorContains(t, err, "which a packet holds")

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	address = strings.TrimPrefix(web.URL, "http://")
	_, err = call(path, nil)
	require.Error(t, err, "it speaks no HTTP/2")
}
