package rabbitmq_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/rabbitmq"
	"openflow/tests/fuzzing"
)

const amqp = "AMQP\x00\x00\x09\x01"

// frame is a frame of a method of class connection.
func frame(method uint16, arguments ...[]byte) []byte {
	body := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 10), method)
	for _, a := range arguments {
		body = append(body, a...)
	}
	return framed(1, 0, body)
}

func framed(kind byte, channel uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, channel)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(append(b, body...), 0xce)
}

func short(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func long(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }

func startOK(mechanism, response string) []byte {
	return frame(11, long("properties"), short(mechanism), long(response), short("en_US"))
}

func opens(name string) []byte { return frame(40, short(name), short(""), []byte{0}) }

var tuneOK = frame(31, []byte{0, 10, 0, 2, 0, 0, 0, 60})

// connects is how a component's client begins.
func connects(user, name string) []byte {
	return bytes.Join([][]byte{[]byte(amqp), startOK("PLAIN", "\x00"+user+"\x00"+user), framed(8, 0, nil), tuneOK, opens(name)}, nil)
}

func TestOpen(t *testing.T) {
	said := connects(session, vhost)
	var passed bytes.Buffer
	pass := func(b []byte) error { passed.Write(b); return nil }
	rest := bytes.NewReader(append(bytes.Clone(said), "more"...))
	err := rabbitmq.Open(iotest.OneByteReader(rest), pass, func(o rabbitmq.Opened) error {
		require.Equal(t, session, o.User)
		require.Equal(t, session, o.Password)
		require.Equal(t, vhost, o.VHost)
		require.Less(t, passed.Len(), len(said), "the broker has not heard of it yet")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, said, passed.Bytes())
	require.Equal(t, 4, rest.Len(), "what follows is the connection's own")
}

func TestOpenRefuses(t *testing.T) {
	login := startOK("PLAIN", "\x00u\x00p")
	long := append(bytes.Clone(login), bytes.Repeat(tuneOK, 16)...)
	for name, said := range map[string][]byte{
		"another protocol":     []byte("GET / HTTP/1.1\r\n"),
		"another version":      []byte("AMQP\x00\x01\x00\x00"),
		"another mechanism":    startOK("EXTERNAL", ""),
		"no password":          startOK("PLAIN", "\x00u"),
		"for somebody else":    startOK("PLAIN", "x\x00u\x00p"),
		"two logins":           append(bytes.Clone(login), login...),
		"no login":             opens(vhost),
		"a channel":            framed(1, 1, []byte{0, 10, 0, 40}),
		"a message":            framed(2, 0, []byte("body")),
		"another class":        framed(1, 0, []byte{0, 20, 0, 10}),
		"half a method":        framed(1, 0, []byte{0, 10}),
		"no method":            framed(1, 0, []byte{0, 10, 0, 0}),
		"too large":            {1, 0, 0, 0xff, 0xff, 0xff, 0xff},
		"an end that is none":  append(bytes.Clone(tuneOK[:len(tuneOK)-1]), 0),
		"never open":           long,
		"a string too long":    frame(11, []byte{0xff, 0xff, 0xff, 0xff}),
		"a name that is short": append(bytes.Clone(login), frame(40, []byte{9, 'x'})...),
	} {
		if !bytes.HasPrefix(said, []byte("AMQP")) && !bytes.HasPrefix(said, []byte("GET")) {
			said = append([]byte(amqp), said...)
		}
		err := rabbitmq.Open(bytes.NewReader(said), func([]byte) error { return nil }, func(rabbitmq.Opened) error {
			t.Errorf("%s was let through", name)
			return nil
		})
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%s: %v", name, err)
	}
	refused := errors.New("refused")
	passed := 0
	err := rabbitmq.Open(bytes.NewReader(connects("u", "v")), func(b []byte) error { passed += len(b); return nil }, func(rabbitmq.Opened) error { return refused })
	require.ErrorIs(t, err, refused)
	require.Equal(t, len(connects("u", "v"))-len(opens("v")), passed, "the broker never hears of the virtual host")
}

// Whatever comes, what is passed on is what came, and nothing is opened that was not asked about.
func FuzzOpen(f *testing.F) {
	f.Add(connects(session, vhost))
	f.Add([]byte(amqp))
	f.Add(append([]byte(amqp), startOK("PLAIN", "\x00\x00")...))
	fuzzing.Within(f, func(t *testing.T, said []byte) {
		var passed []byte
		asked := 0
		err := rabbitmq.Open(iotest.HalfReader(bytes.NewReader(said)), func(b []byte) error { passed = append(passed, b...); return nil },
			func(rabbitmq.Opened) error { asked++; return nil })
		require.True(t, bytes.HasPrefix(said, passed))
		require.LessOrEqual(t, asked, 1)
		require.True(t, err != nil || asked == 1)
	})
}
