package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"

	"openflow"
)

// protocol is how a connection of AMQP 0-9-1 begins.
var protocol = []byte("AMQP\x00\x00\x09\x01")

// What a client says before it has opened a virtual host.
const (
	maxFrame    = 128 << 10 // bytes
	maxFrames   = 16
	frameMethod = 1
	frameBeat   = 8
	frameEnd    = 0xce
	connection  = 10 // the class of methods
	startOK     = 11
	tuneOK      = 31
	open        = 40
)

// Opened is what a client has said to the point at which it opens a virtual host.
type Opened struct {
	User, Password, VHost string
	password              bool
}

// Open reads the beginning of a connection, up to the frame that opens a virtual host, and checks each part with allow before it
// goes on to the broker by pass. allow is asked once, with all of it, before that last frame is passed on.
//
// Errors: CodeInvalid (it is no AMQP, or another order of it), those of allow, or those of from and pass.
func Open(from io.Reader, pass func([]byte) error, allow func(Opened) error) error {
	begin := make([]byte, len(protocol))
	if _, err := io.ReadFull(from, begin); err != nil {
		return err
	}
	if !bytes.Equal(begin, protocol) {
		return malformed("it begins with %q, and not as AMQP 0-9-1 does", begin)
	}
	if err := pass(begin); err != nil {
		return err
	}
	var o Opened
	for range maxFrames {
		frame, method, err := nextFrame(from)
		if err != nil {
			return err
		}
		done := false
		switch method {
		case 0: // a heartbeat
		case startOK:
			err = o.login(frame)
		case tuneOK:
		case open:
			if err = o.vhost(frame); err == nil {
				err = allow(o)
			}
			done = true
		default:
			err = malformed("method %d comes before a virtual host is open", method)
		}
		if err == nil {
			err = pass(frame)
		}
		if err != nil || done {
			return err
		}
	}
	return malformed("it opens no virtual host in %d frames", maxFrames)
}

// nextFrame reads a frame, and the method of class connection that it is; 0: it is a heartbeat.
func nextFrame(from io.Reader) (frame []byte, method uint16, err error) {
	const head = 7
	frame = make([]byte, head)
	if _, err := io.ReadFull(from, frame); err != nil {
		return nil, 0, err
	}
	kind, channel, size := frame[0], binary.BigEndian.Uint16(frame[1:]), binary.BigEndian.Uint32(frame[3:])
	if size > maxFrame || channel != 0 || kind != frameMethod && kind != frameBeat {
		return nil, 0, malformed("a frame of kind %d, channel %d and %d bytes comes before a virtual host is open", kind, channel, size)
	}
	frame = append(frame, make([]byte, size+1)...)
	if _, err := io.ReadFull(from, frame[head:]); err != nil {
		return nil, 0, err
	}
	if frame[len(frame)-1] != frameEnd {
		return nil, 0, malformed("a frame does not end where it should")
	}
	if kind == frameBeat {
		return frame, 0, nil
	}
	if size < 4 || binary.BigEndian.Uint16(frame[head:]) != connection {
		return nil, 0, malformed("a method of another class comes before a virtual host is open")
	}
	method = binary.BigEndian.Uint16(frame[head+2:])
	if method == 0 {
		return nil, 0, malformed("there is no method 0")
	}
	return frame, method, nil
}

// arguments are those of a frame's method.
func arguments(frame []byte) reader { return reader{b: frame[11 : len(frame)-1]} }

// login reads Connection.StartOk: properties, mechanism, response, locale.
func (o *Opened) login(frame []byte) error {
	r := arguments(frame)
	r.long() // properties of the client
	mechanism, response := string(r.short()), r.long()
	r.short()
	parts := bytes.Split(response, []byte{0})
	if r.failed || len(r.b) > 0 || o.password || mechanism != "PLAIN" || len(parts) != 3 || len(parts[0]) > 0 {
		return malformed("it does not log in with a name and a password")
	}
	o.User, o.Password, o.password = string(parts[1]), string(parts[2]), true
	return nil
}

// vhost reads Connection.Open: the virtual host, and two fields that mean nothing any more.
func (o *Opened) vhost(frame []byte) error {
	r := arguments(frame)
	o.VHost = string(r.short())
	if r.failed || !o.password {
		return malformed("it opens a virtual host before it has logged in")
	}
	return nil
}

// reader takes strings of AMQP off bytes.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n uint32) []byte {
	if r.failed || uint64(n) > uint64(len(r.b)) {
		r.failed = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) short() []byte {
	n := r.take(1)
	if n == nil {
		return nil
	}
	return r.take(uint32(n[0]))
}

func (r *reader) long() []byte {
	n := r.take(4)
	if n == nil {
		return nil
	}
	return r.take(binary.BigEndian.Uint32(n))
}

func malformed(format string, args ...any) error {
	e := openflow.Errorf(openflow.CodeInvalid, format, args...)
	return openflow.Errorf(openflow.CodeInvalid, "the connection to the broker cannot be passed on: %w", e)
}
