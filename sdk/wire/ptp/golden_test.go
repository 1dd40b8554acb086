package ptp_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/wire/ptp"
)

// The examples of interop-transport §4 and §5.3: bytes 01 02 03 on topic psi.round1.
const (
	pushJSON     = `{"topic":"psi.round1","payload":"AQID"}`
	pushProtobuf = "0a 0a 70 73 69 2e 72 6f 75 6e 64 31 12 03 01 02 03"
	wrappedJSON  = `{"metadata":{},"payload":"eyJ0b3BpYyI6InBzaS5yb3VuZDEiLCJwYXlsb2FkIjoiQVFJRCJ9"}`
	wrappedProto = "12 11 0a 0a 70 73 69 2e 72 6f 75 6e 64 31 12 03 01 02 03"
	popJSON      = `{"code":"E0000000000","message":"OK","content":"AQID"}`
	popProtobuf  = "12 03 01 02 03 1a 0b 45 30 30 30 30 30 30 30 30 30 30 22 02 4f 4b"
	popLegacy    = "0a 03 01 02 03 12 0b 45 30 30 30 30 30 30 30 30 30 30 1a 02 4f 4b"
)

const (
	push      = "/v1/interconn/chan/push"
	invoke    = "/v1/interconn/chan/invoke"
	transport = "/v1/interconn/chan/transport"
)

var (
	example      = ptp.PushInbound{Topic: "psi.round1", Payload: []byte{1, 2, 3}}
	exampleReply = ptp.TransportOutbound{Payload: []byte{1, 2, 3}, Code: ptp.ResultOK, Message: "OK"}
)

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestGoldenEncode(t *testing.T) {
	wrap := func(d ptp.Form, p ptp.PushInbound) (string, []byte) { return ptp.EncodeInvoke(d, nil, p) }
	for name, test := range map[string]struct {
		encode   func(ptp.Form, ptp.PushInbound) (string, []byte)
		form     ptp.Form
		wantType string
		want     string
	}{
		"push, JSON":       {ptp.EncodePush, ptp.FormJSON, "application/json", pushJSON},
		"push, protobuf":   {ptp.EncodePush, ptp.FormProtobuf, "application/x-protobuf", unhex(pushProtobuf)},
		"push, raw":        {ptp.EncodePush, ptp.FormRaw, "application/octet-stream", "\x01\x02\x03"},
		"invoke, JSON":     {wrap, ptp.FormJSON, "application/json", wrappedJSON},
		"invoke, protobuf": {wrap, ptp.FormProtobuf, "application/x-protobuf", unhex(wrappedProto)},
		"invoke, raw":      {wrap, ptp.FormRaw, "application/octet-stream", "\x01\x02\x03"},
	} {
		contentType, body := test.encode(test.form, example)
		require.Equal(t, test.wantType, contentType, name)
		require.Equal(t, test.want, string(body), name)
	}
}

func TestGoldenReply(t *testing.T) {
	for name, test := range map[string]struct {
		form     ptp.Form
		wantType string
		want     string
	}{
		"JSON":           {ptp.FormJSON, "application/json", popJSON},
		"JSON with both": {ptp.FormJSONBoth, "application/json", popJSON[:len(popJSON)-1] + `,"payload":"AQID"}`},
		"protobuf":       {ptp.FormProtobuf, "application/x-protobuf", unhex(popProtobuf)},
		"raw":            {ptp.FormRaw, "application/proto", unhex(popLegacy)},
	} {
		contentType, body := ptp.EncodeReply(test.form, exampleReply)
		require.Equal(t, test.wantType, contentType, name)
		require.Equal(t, test.want, string(body), name)
		got, err := ptp.DecodeReply(contentType, body)
		require.NoError(t, err, name)
		require.Equal(t, exampleReply, got, name)
	}
}

// The table of interop-transport §5.4, row by row, then what it leaves to a guess.
func TestDecodePush(t *testing.T) {
	const grpcPush = "/org.ppc.ptp.PrivateTransferTransport/push"
	const grpcInvoke = "/org.ppc.grpc_ptp.PrivateTransferProtocol/invoke"
	wrap := func(s string) string {
		return `{"payload":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}`
	}
	for name, test := range map[string]struct {
		contentType, version, topic, path, body string

		want   ptp.PushInbound
		form   ptp.Form
		result ptp.Result // of the error
	}{
		"gRPC push": {path: grpcPush, body: unhex(pushProtobuf), want: example,
			form: ptp.FormProtobuf},
		"gRPC invoke": {path: grpcInvoke, body: unhex(wrappedProto), want: example,
			form: ptp.FormProtobuf},
		"gRPC invoke, version 1": {path: grpcInvoke, version: "1", body: unhex(wrappedProto), want: example,
			form: ptp.FormProtobuf},
		"gRPC, damaged": {path: grpcPush, topic: "t", body: "\x0a\xff", form: ptp.FormProtobuf,
			result: ptp.ResultCodec},

		"JSON push": {contentType: "application/json", path: push, body: pushJSON, want: example,
			form: ptp.FormJSON},
		"JSON push, charset": {contentType: "Application/JSON; charset=utf-8", path: push, body: pushJSON,
			want: example,
			form: ptp.FormJSON},
		"JSON invoke with topic": {contentType: "application/json", path: invoke, body: pushJSON, want: example,
			form: ptp.FormJSON},
		"JSON invoke, version 1, no topic in the body": {contentType: "application/json",
			version: "1", topic: "psi.round1",
			path: invoke, body: `{"payload":"AQID"}`, want: example, form: ptp.FormJSON},
		"JSON invoke, wrapped": {contentType: "application/json", path: invoke, body: wrappedJSON, want: example,
			form: ptp.FormJSON},
		"JSON invoke, wrapped, version 2": {contentType: "application/json", version: "2", path: invoke,
			body: wrap(pushJSON),
			want: example, form: ptp.FormJSON},
		"JSON transport, wrapped": {contentType: "application/json", path: transport, body: wrappedJSON, want: example,
			form: ptp.FormJSON},
		"JSON push without topic": {contentType: "application/json", path: push, body: `{"payload":"AQID"}`,
			want: ptp.PushInbound{Payload: []byte{1, 2, 3}}, form: ptp.FormJSON},
		"JSON, empty object": {contentType: "application/json", path: invoke, body: `{}`, form: ptp.FormJSON},
		"JSON, metadata": {contentType: "application/json", path: push,
			body: `{"payload":"","metadata":{"x-ptp-message-id":"7"},"other":[1]}`,
			want: ptp.PushInbound{Payload: []byte{}, Metadata: map[string]string{ptp.MetadataMessageID: "7"}},
			form: ptp.FormJSON},
		"JSON, topic null": {contentType: "application/json", path: invoke, body: `{"topic":null,` + wrap(pushJSON)[1:],
			want: example, form: ptp.FormJSON},

		"protobuf push": {contentType: "application/x-protobuf", path: push, body: unhex(pushProtobuf), want: example,
			form: ptp.FormProtobuf},
		"protobuf invoke, version 1": {contentType: "application/x-protobuf", version: "1", path: invoke,
			body: unhex(pushProtobuf), want: example, form: ptp.FormProtobuf},
		"protobuf invoke, wrapped": {contentType: "application/x-protobuf", path: invoke, body: unhex(wrappedProto),
			want: example, form: ptp.FormProtobuf},
		"protobuf with a field of tomorrow": {contentType: "application/x-protobuf", path: push,
			body: unhex(pushProtobuf + "2a 01 61"), want: example, form: ptp.FormProtobuf},
		"protobuf, only metadata, is never taken for a topic": {contentType: "application/x-protobuf", path: invoke,
			body: unhex("0a 06 0a 01 61 12 01 62"), form: ptp.FormProtobuf},

		"raw": {path: push, topic: "psi.round1", body: "\x01\x02\x03", want: example, form: ptp.FormRaw},
		"raw, other type": {contentType: "application/proto", path: invoke, topic: "psi.round1", body: "\x01\x02\x03",
			want: example, form: ptp.FormRaw},
		"raw, though it is JSON inside": {path: push, topic: "t", body: pushJSON,
			want: ptp.PushInbound{Topic: "t", Payload: []byte(pushJSON)}, form: ptp.FormRaw},
		"raw, foreign codec": {contentType: "application/x-msgpack", path: push, topic: "t", body: "x",
			want: ptp.PushInbound{Topic: "t", Payload: []byte("x")}, form: ptp.FormRaw},
		"raw, damaged JSON": {contentType: "application/json", path: push, topic: "t", body: `{"payload":"*"}`,
			want: ptp.PushInbound{Topic: "t", Payload: []byte(`{"payload":"*"}`)}, form: ptp.FormRaw},
		"raw, damaged protobuf": {contentType: "application/x-protobuf", path: push, topic: "t", body: "\x0a\xff",
			want: ptp.PushInbound{Topic: "t", Payload: []byte("\x0a\xff")}, form: ptp.FormRaw},
		"raw, empty": {path: push, topic: "t", form: ptp.FormRaw, result: ptp.ResultIllegal},

		"the header's topic beats the body's": {contentType: "application/json", path: push, topic: "t", body: pushJSON,
			want: ptp.PushInbound{Topic: "t", Payload: []byte{1, 2, 3}}, form: ptp.FormJSON},

		"guess JSON":         {path: push, body: pushJSON, want: example, form: ptp.FormJSON},
		"guess wrapped JSON": {path: invoke, body: wrappedJSON, want: example, form: ptp.FormJSON},
		"guess protobuf":     {path: push, body: unhex(pushProtobuf), want: example, form: ptp.FormProtobuf},
		"guess wrapped protobuf": {path: invoke, body: unhex(wrappedProto), want: example,
			form: ptp.FormProtobuf},
		"guess, of unknown field": {path: push, body: unhex(pushProtobuf + "2a 01 61"), form: ptp.FormJSON,
			result: ptp.ResultCodec},
		"nothing": {path: push, form: ptp.FormJSON, result: ptp.ResultCodec},
		"text": {contentType: "text/plain", path: push, body: "hello", form: ptp.FormJSON,
			result: ptp.ResultCodec},
		"foreign codec": {contentType: "application/xml", path: push, body: pushJSON, form: ptp.FormJSON,
			result: ptp.ResultCodec},
		"bad base64": {contentType: "application/json", path: push, body: `{"topic":"t","payload":"*"}`,
			form: ptp.FormJSON, result: ptp.ResultCodec},
		"bad inner JSON": {contentType: "application/json", path: invoke, body: `{"payload":"AQID"}`,
			form: ptp.FormJSON, result: ptp.ResultCodec},
		"topic is no UTF-8": {contentType: "application/x-protobuf", path: push, body: "\x0a\x01\xff",
			form: ptp.FormProtobuf, result: ptp.ResultCodec},
		"another wire type": {contentType: "application/x-protobuf", path: push, body: "\x08\x01",
			form: ptp.FormProtobuf, result: ptp.ResultCodec},
	} {
		t.Run(name, func(t *testing.T) {
			got, form, err := ptp.DecodePush(test.contentType, test.version, test.topic, test.path, []byte(test.body))
			require.Equal(t, test.form, form)
			if test.result != "" {
				require.Error(t, err)
				require.Equal(t, test.result, ptp.ResultOf(err), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestDecodePop(t *testing.T) {
	for name, test := range map[string]struct {
		contentType, topic, body string

		want   ptp.PopInbound
		form   ptp.Form
		result ptp.Result
	}{
		"JSON": {contentType: "application/json", body: `{"topic":"a","timeout":1500}`,
			want: ptp.PopInbound{Topic: "a", Timeout: 1500}, form: ptp.FormJSON},
		"JSON, number as text": {contentType: "application/json", body: `{"timeout":"1500"}`,
			want: ptp.PopInbound{Timeout: 1500}, form: ptp.FormJSON},
		"JSON, huge": {contentType: "application/json", body: `{"timeout":1e300}`,
			want: ptp.PopInbound{Timeout: 1<<31 - 1}, form: ptp.FormJSON},
		"JSON, header topic": {contentType: "application/json", topic: "h", body: `{"topic":"a"}`,
			want: ptp.PopInbound{Topic: "h"}, form: ptp.FormJSON},
		"JSON, empty": {contentType: "application/json", topic: "h", want: ptp.PopInbound{Topic: "h"},
			form: ptp.FormJSON},
		"JSON, no type": {body: ` {"topic":"a"} `, want: ptp.PopInbound{Topic: "a"}, form: ptp.FormJSON},
		"JSON, damaged": {contentType: "application/json", body: `{`, form: ptp.FormJSON,
			result: ptp.ResultCodec},
		"JSON, no number": {contentType: "application/json", body: `{"timeout":"AAA="}`, form: ptp.FormJSON,
			result: ptp.ResultCodec},
		"protobuf": {contentType: "application/x-protobuf", body: "\x0a\x01a\x10\xdc\x0b",
			want: ptp.PopInbound{Topic: "a", Timeout: 1500}, form: ptp.FormProtobuf},
		"protobuf, negative": {contentType: "application/grpc", body: "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
			want: ptp.PopInbound{Timeout: -1}, form: ptp.FormProtobuf},
		"protobuf, empty": {contentType: "application/x-protobuf", form: ptp.FormProtobuf},
		"protobuf, damaged": {contentType: "application/x-protobuf", topic: "t", body: "\x0a\xff",
			form:   ptp.FormProtobuf,
			result: ptp.ResultCodec},
		"raw":     {topic: "t", want: ptp.PopInbound{Topic: "t"}, form: ptp.FormRaw},
		"nothing": {form: ptp.FormJSON},
		"foreign codec": {contentType: "application/toml", body: `{}`, form: ptp.FormJSON,
			result: ptp.ResultCodec},
	} {
		t.Run(name, func(t *testing.T) {
			got, form, err := ptp.DecodePop(test.contentType, test.topic, []byte(test.body))
			require.Equal(t, test.form, form)
			if test.result != "" {
				require.Error(t, err)
				require.Equal(t, test.result, ptp.ResultOf(err), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestDecodeReply(t *testing.T) {
	const ok = "E0000000000"
	for name, test := range map[string]struct {
		contentType, body string
		want              ptp.TransportOutbound
	}{
		"mesh: payload": {"application/json", `{"payload":"AQID","code":"E0000000000","message":"OK"}`, exampleReply},
		"OSX: msg": {"application/json", `{"code":"136","msg":"no message"}`,
			ptp.TransportOutbound{Code: "136", Message: "no message"}},
		"code as number": {"application/json", `{"code":136,"message":"x"}`,
			ptp.TransportOutbound{Code: "136", Message: "x"}},
		"empty pop": {"application/json", `{"code":"E0000000000","message":"OK","content":null}`,
			ptp.TransportOutbound{Code: ok, Message: "OK"}},
		"empty message": {"application/json", `{"code":"E0000000000","message":"OK","content":""}`,
			ptp.TransportOutbound{Payload: []byte{}, Code: ok, Message: "OK"}},
		"JSON without a type":     {"", popJSON, exampleReply},
		"legacy without a type":   {"", unhex(popLegacy), exampleReply},
		"legacy under x-protobuf": {"application/x-protobuf", unhex(popLegacy), exampleReply},
		"standard under proto":    {"application/proto", unhex(popProtobuf), exampleReply},
		"standard, code as payload": {"application/x-protobuf", "\x12\x0bE0000000000\x1a\x0bE0000000404\x22\x01x",
			ptp.TransportOutbound{Payload: []byte(ok), Code: "E0000000404", Message: "x"}},
		"legacy, code as message": {"application/proto", "\x12\x0bE0000000404\x1a\x0bE0000000000",
			ptp.TransportOutbound{Code: "E0000000404", Message: ok}},
		"OSX: short code": {"application/x-protobuf", "\x1a\x03136\x22\x01x",
			ptp.TransportOutbound{Code: "136", Message: "x"}},
		"legacy: short code": {"application/proto", "\x12\x03136\x1a\x01x",
			ptp.TransportOutbound{Code: "136", Message: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ptp.DecodeReply(test.contentType, []byte(test.body))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	for name, body := range map[string]string{"text": "<html>", "other JSON": `{"a":1}`} {
		_, err := ptp.DecodeReply("text/html", []byte(body))
		require.Equal(t, ptp.ResultCodec, ptp.ResultOf(err), name)
	}
}

func TestDecodeInbound(t *testing.T) {
	metadata := map[string]string{ptp.HeaderSessionID: "s"}
	for _, d := range []ptp.Form{ptp.FormJSON, ptp.FormProtobuf} {
		_, inner := ptp.EncodePush(d, example)
		contentType, body := ptp.EncodeInvoke(d, metadata, example)
		got, err := ptp.DecodeInbound(contentType, body)
		require.NoError(t, err)
		require.Equal(t, ptp.Inbound{Metadata: metadata, Payload: inner}, got)
		_, err = ptp.DecodeInbound(contentType, []byte("\xff"))
		require.Equal(t, ptp.ResultCodec, ptp.ResultOf(err))
	}
}
