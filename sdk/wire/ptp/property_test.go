package ptp_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow/sdk/wire/ptp"
	"openflow/tests/fuzzing"
)

var (
	forms    = rapid.SampledFrom([]ptp.Form{ptp.FormJSON, ptp.FormJSONBoth, ptp.FormProtobuf, ptp.FormRaw})
	texts    = rapid.StringN(0, 20, -1)
	payloads = rapid.SliceOfN(rapid.Byte(), 1, 200)
	metadata = rapid.MapOfN(texts, texts, 1, 4)
)

// A push is read as it was written, in every codec and both modes; only what a form does not carry is missing.
func TestPushRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, wrapped := forms.Draw(t, "form"), rapid.Bool().Draw(t, "wrapped")
		want := ptp.PushInbound{
			Topic: texts.Draw(t, "topic"), Payload: payloads.Draw(t, "payload"), Metadata: metadata.Draw(t, "metadata"),
		}
		contentType, body := ptp.EncodePush(d, want)
		path, version, topic := push, "", ""
		if wrapped {
			contentType, body = ptp.EncodeInvoke(d, metadata.Draw(t, "outer"), want)
			path = invoke
		} else if rapid.Bool().Draw(t, "pass-through") {
			path, version = invoke, ptp.VersionPassThrough
		}
		switch d {
		case ptp.FormJSONBoth:
			d = ptp.FormJSON
		case ptp.FormRaw:
			want.Metadata = nil
			want.Topic += "x" // not empty
			topic = want.Topic
		case ptp.FormJSON, ptp.FormProtobuf:
		}
		got, form, err := ptp.DecodePush(contentType, version, topic, path, body)
		require.NoError(t, err)
		require.Equal(t, d, form)
		require.Equal(t, want, got)
	})
}

func TestReplyRoundTrip(t *testing.T) {
	results := rapid.SampledFrom(all)
	rapid.Check(t, func(t *rapid.T) {
		d := forms.Draw(t, "form")
		want := ptp.TransportOutbound{
			Code: results.Draw(t, "result").result, Message: texts.Draw(t, "message") + ".",
			Payload: payloads.Draw(t, "payload"), Metadata: metadata.Draw(t, "metadata"),
		}
		contentType, body := ptp.EncodeReply(d, want)
		got, err := ptp.DecodeReply(contentType, body)
		require.NoError(t, err)
		if d == ptp.FormRaw {
			want.Metadata = nil
		}
		require.Equal(t, want, got)
	})
}

func TestPopRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom([]ptp.Form{ptp.FormJSON, ptp.FormProtobuf}).Draw(t, "form")
		want := ptp.PopInbound{Topic: texts.Draw(t, "topic"), Timeout: rapid.Int32().Draw(t, "timeout")}
		contentType, body := ptp.EncodePop(d, want)
		got, form, err := ptp.DecodePop(contentType, "", body)
		require.NoError(t, err)
		require.Equal(t, d, form)
		require.Equal(t, want, got)
	})
}

func FuzzDecodePush(f *testing.F) {
	for _, body := range []string{pushJSON, wrappedJSON, unhex(pushProtobuf), unhex(wrappedProto), "", `{"payload":"*"}`} {
		for _, contentType := range []string{"application/json", "application/x-protobuf", ""} {
			for _, path := range []string{push, invoke} {
				f.Add(contentType, "1", "", path, []byte(body))
				f.Add(contentType, "", "t", path, []byte(body))
			}
		}
	}
	fuzzing.Within(f, func(t *testing.T, contentType, version, topic, path string, body []byte) {
		p, d, err := ptp.DecodePush(contentType, version, topic, path, body)
		require.Contains(t, []ptp.Form{ptp.FormJSON, ptp.FormProtobuf, ptp.FormRaw}, d)
		if err != nil {
			require.Contains(t, []ptp.Result{ptp.ResultCodec, ptp.ResultIllegal}, ptp.ResultOf(err))
			require.Zero(t, p)
			return
		}
		if topic != "" {
			require.Equal(t, topic, p.Topic)
		}
		if !utf8.ValidString(p.Topic) {
			return // a header's
		}
		_, again := ptp.EncodePush(ptp.FormProtobuf, p)
		q, _, err := ptp.DecodePush(ptp.TypeProtobuf, "", "", push, again)
		require.NoError(t, err)
		require.Equal(t, p.Topic, q.Topic)
		require.Equal(t, string(p.Payload), string(q.Payload))
		require.Len(t, q.Metadata, len(p.Metadata))
	})
}

func FuzzDecodePop(f *testing.F) {
	for _, body := range []string{`{"topic":"a","timeout":1500}`, "\x0a\x01a\x10\xdc\x0b", ""} {
		for _, contentType := range []string{"application/json", "application/x-protobuf", ""} {
			f.Add(contentType, "", []byte(body))
		}
	}
	fuzzing.Within(f, func(t *testing.T, contentType, topic string, body []byte) {
		p, d, err := ptp.DecodePop(contentType, topic, body)
		if err != nil {
			require.Contains(t, []ptp.Result{ptp.ResultCodec, ptp.ResultIllegal}, ptp.ResultOf(err))
			return
		}
		if topic == "" && d != ptp.FormRaw {
			contentType, body := ptp.EncodePop(d, p)
			q, _, err := ptp.DecodePop(contentType, "", body)
			require.NoError(t, err)
			require.Equal(t, p, q)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	for _, body := range []string{popJSON, unhex(popProtobuf), unhex(popLegacy), "", "<html>"} {
		for _, contentType := range []string{"application/json", "application/x-protobuf", "application/proto", ""} {
			f.Add(contentType, []byte(body))
		}
	}
	fuzzing.Within(f, func(t *testing.T, contentType string, body []byte) {
		o, err := ptp.DecodeReply(contentType, body)
		if err != nil {
			require.Equal(t, ptp.ResultCodec, ptp.ResultOf(err))
			return
		}
		require.Equal(t, o.Code == ptp.ResultOK, o.Err() == nil)
		contentType, body = ptp.EncodeReply(ptp.FormJSON, o)
		again, err := ptp.DecodeReply(contentType, body)
		require.NoError(t, err)
		require.Equal(t, o.Code, again.Code)
		require.Equal(t, o.Payload == nil, again.Payload == nil)
		require.Equal(t, string(o.Payload), string(again.Payload))
	})
}

func FuzzDecodeInbound(f *testing.F) {
	f.Add("application/json", []byte(wrappedJSON))
	f.Add("application/x-protobuf", []byte(unhex(wrappedProto)))
	fuzzing.Within(f, func(t *testing.T, contentType string, body []byte) {
		in, err := ptp.DecodeInbound(contentType, body)
		require.LessOrEqual(t, len(in.Payload), len(body))
		if err != nil {
			require.Equal(t, ptp.ResultCodec, ptp.ResultOf(err))
		}
	})
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{"", ptp.PushURI, ptp.PushURIGRPC, "/a", "https://ptp.cn", "%"} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		op, path, err := ptp.ParseURI(s)
		if err != nil {
			require.Equal(t, ptp.ResultNotFound, ptp.ResultOf(err))
			return
		}
		again, _, err := ptp.ParseURI("https://ptp.cn" + path)
		if err == nil { // a path may hold what needs escaping
			require.Equal(t, op, again)
		}
	})
}

func FuzzWait(f *testing.F) {
	f.Add("30", "5000", int32(6000))
	fuzzing.Within(f, func(t *testing.T, query, header string, body int32) {
		d := ptp.Wait(query, header, body)
		require.GreaterOrEqual(t, d, ptp.MinWait)
		require.LessOrEqual(t, d, ptp.MaxWait)
	})
}
