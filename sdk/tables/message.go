package tables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"openflow"
)

// Bounds on one message of a stream. Our own writer stays near 1 MiB; other writers may make larger batches.
const (
	maxMetadata = 64 << 20
	maxBody     = 256 << 20
)

// firstRead is how much of a body is believed before it has arrived.
const firstRead = 4 << 20

// messages reads the frames of an Arrow IPC stream. Arrow's own reader believes the lengths that a stream claims. A few
// hostile bytes make it ask for more memory than there is, which nothing can recover from. It also takes a stream that
// breaks off between two messages for a complete one.
type messages struct{ r io.Reader }

// Retain and Release are part of ipc.MessageReader; memory is the garbage collector's.
func (m messages) Retain() {}

// Release does nothing; see Retain.
func (m messages) Release() {}

// Message reads the next message; io.EOF at the end mark.
//
// Spec: Arrow columnar format, "Encapsulated message format".
func (m messages) Message() (*ipc.Message, error) {
	length, err := m.word()
	if err == nil && length == 0xFFFFFFFF {
		length, err = m.word()
	}
	if err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, io.EOF
	}
	if length > maxMetadata {
		return nil, openflow.Errorf(openflow.CodeInvalid, "metadata of a batch has %d bytes, more than %d", length, maxMetadata)
	}
	meta, err := m.bytes(int64(length))
	if err != nil {
		return nil, err
	}
	bodyLength, err := checkMessage(meta)
	if err != nil {
		return nil, err
	}
	body, err := m.bytes(bodyLength)
	if err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

func (m messages) word() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(m.r, b[:]); err != nil {
		return 0, brokenOff(err)
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

func (m messages) bytes(n int64) ([]byte, error) {
	if n <= firstRead {
		b := make([]byte, n)
		_, err := io.ReadFull(m.r, b)
		return b, brokenOff(err)
	}
	var b bytes.Buffer
	b.Grow(firstRead)
	_, err := io.CopyN(&b, m.r, n)
	return b.Bytes(), brokenOff(err)
}

// brokenOff keeps an early end from being taken for the end mark.
func brokenOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkMessage checks what Arrow's reader would believe, and gives the length of the body.
//
// Spec: Arrow format/Message.fbs.
func checkMessage(meta []byte) (bodyLength int64, err error) {
	b := flat(meta)
	message, ok := b.offset(0)
	if !ok {
		return 0, errNotMessage
	}
	kind, _ := b.byteField(message, 1)
	header, ok := b.tableField(message, 2)
	if !ok {
		return 0, errNotMessage
	}
	bodyLength, _ = b.longField(message, 3)
	if bodyLength < 0 || bodyLength > maxBody {
		return 0, openflow.Errorf(openflow.CodeInvalid, "a batch has %d bytes, more than %d", bodyLength, maxBody).
			WithHint("write smaller batches")
	}
	switch ipc.MessageType(kind) {
	case ipc.MessageSchema:
		return bodyLength, b.checkSchema(header)
	case ipc.MessageRecordBatch:
		return bodyLength, b.checkBatch(header, bodyLength)
	default:
		return 0, openflow.Errorf(openflow.CodeInvalid, "the stream has a message of kind %s, want a schema and batches only", ipc.MessageType(kind))
	}
}

var errNotMessage = openflow.Errorf(openflow.CodeInvalid, "the stream has a message that is none")

func (b flat) checkSchema(schema int) error {
	fields, ok := b.vectorField(schema, 1, 4)
	if !ok {
		return errNotMessage
	}
	if _, ok := b.vectorField(schema, 2, 4); !ok {
		return errNotMessage
	}
	for i := range fields.length {
		field, ok := b.offset(fields.start + 4*i)
		if !ok {
			return errNotMessage
		}
		children, ok := b.vectorField(field, 5, 4)
		if !ok {
			return errNotMessage
		}
		if _, ok := b.vectorField(field, 6, 4); !ok {
			return errNotMessage
		}
		_, dictionary := b.tableField(field, 4)
		if children.length > 0 || dictionary {
			return openflow.Errorf(openflow.CodeInvalid, "column %d is nested or has a dictionary; a table has plain columns", i)
		}
	}
	return nil
}

func (b flat) checkBatch(batch int, bodyLength int64) error {
	rows, _ := b.longField(batch, 0)
	if rows < 0 || rows > bodyLength/8 { // two columns of ids have an offset of 4 bytes per row each
		return openflow.Errorf(openflow.CodeInvalid, "a batch of %d bytes claims %d rows", bodyLength, rows)
	}
	for _, v := range []struct{ field, size int }{{1, 16}, {2, 16}, {4, 8}} { // nodes, buffers, variadic counts
		if _, ok := b.vectorField(batch, v.field, v.size); !ok {
			return errNotMessage
		}
	}
	if _, compressed := b.tableField(batch, 3); compressed {
		return openflow.Errorf(openflow.CodeInvalid, "a batch is compressed").WithHint("write the stream without compression")
	}
	return nil
}

// flat reads a FlatBuffer without believing its offsets. Positions are absolute.
type flat []byte

type vector struct{ start, length int }

func (b flat) u32(at int) (int, bool) {
	if at < 0 || at > len(b)-4 {
		return 0, false
	}
	return int(binary.LittleEndian.Uint32(b[at:])), true
}

// offset follows the offset at a position.
func (b flat) offset(at int) (int, bool) {
	n, ok := b.u32(at)
	return at + n, ok && at+n <= len(b)-4
}

// field finds a field of a table; found is false when the table does not have it.
func (b flat) field(table, index int) (at int, found bool) {
	back, ok := b.u32(table)
	if !ok {
		return 0, false
	}
	vtable := table - int(int32(uint32(back)))
	slot := vtable + 4 + 2*index
	if vtable < 0 || vtable > len(b)-4 || slot+2 > vtable+int(binary.LittleEndian.Uint16(b[vtable:])) || slot+2 > len(b) {
		return 0, false
	}
	n := int(binary.LittleEndian.Uint16(b[slot:]))
	return table + n, n != 0 && table+n < len(b)
}

func (b flat) byteField(table, index int) (byte, bool) {
	at, ok := b.field(table, index)
	if !ok {
		return 0, false
	}
	return b[at], true
}

func (b flat) longField(table, index int) (int64, bool) {
	at, ok := b.field(table, index)
	if !ok || at > len(b)-8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(b[at:])), true
}

func (b flat) tableField(table, index int) (int, bool) {
	at, ok := b.field(table, index)
	if !ok {
		return 0, false
	}
	return b.offset(at)
}

// vectorField finds a vector of elements of size bytes. A missing one is empty; one that leaves the buffer is not ok.
func (b flat) vectorField(table, index, size int) (v vector, ok bool) {
	at, found := b.field(table, index)
	if !found {
		return vector{}, true
	}
	start, ok := b.offset(at)
	if !ok {
		return vector{}, false
	}
	length, _ := b.u32(start)
	return vector{start + 4, length}, length <= (len(b)-start-4)/size
}
