package component

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"openflow"
)

// jsonPayload is the size in bytes up to which a message travels as base64 in JSON.
const jsonPayload = 64 << 10

const messageID = "x-ptp-message-id"

// transportReply is the answer to a push or a pop.
type transportReply struct {
	content  []byte // nil: nothing yet
	sequence int64  // of the message in its topic; 0: not told
	source   string // "<role> <party>"; empty: not told
}

// pushBody fills in the body of a push, with one message id for all attempts, so that the receiver drops repeats.
//
// Spec: interop-transport §4 (PushInbound), §6.1.
func pushBody(r *request, topic string, payload []byte) {
	id := newMessageID()
	if len(payload) <= jsonPayload {
		r.json = map[string]any{"topic": topic, "payload": payload, "metadata": map[string]string{messageID: id}}
		return
	}
	entry := protowire.AppendTag(nil, 1, protowire.BytesType)
	entry = protowire.AppendString(entry, messageID)
	entry = protowire.AppendTag(entry, 2, protowire.BytesType)
	entry = protowire.AppendString(entry, id)
	head := protowire.AppendTag(nil, 1, protowire.BytesType)
	head = protowire.AppendString(head, topic)
	head = protowire.AppendTag(head, 3, protowire.BytesType)
	head = protowire.AppendBytes(head, entry)
	head = protowire.AppendTag(head, 2, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(payload)))
	r.contentType, r.length = contentProtobuf, int64(len(head)+len(payload))
	r.body = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(head), bytes.NewReader(payload))), nil
	}
}

func newMessageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// transport sends a message operation until the node has answered, and translates its verdict.
func (c *client) transport(ctx context.Context, r request) (transportReply, error) {
	var reply transportReply
	err := c.repeat(ctx, r, func(ctx context.Context) error {
		answer, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer answer.Body.Close() //nolint:errcheck // it was only read
		reply, err = decodeTransport(answer)
		return err
	})
	return reply, err
}

func decodeTransport(answer *http.Response) (transportReply, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, 2*chunkBytes+maxEnvelope))
	if err != nil {
		return transportReply{}, openflow.Errorf(openflow.CodeUnavailable, "node's answer broke off: %w", err)
	}
	var code, message string
	var content []byte
	if strings.HasPrefix(answer.Header.Get("Content-Type"), contentProtobuf) {
		code, message, content, err = parseOutbound(body)
	} else {
		code, message, content, err = parseOutboundJSON(body)
	}
	if err != nil {
		return transportReply{}, openflow.Errorf(openflow.CodeInternal, "node's answer about a message is not readable: %w", err)
	}
	if code != "E0000000000" {
		return transportReply{}, openflow.Errorf(transportCode(code), "%s", strings.TrimSuffix(transportWords(code)+": "+message, ": "))
	}
	reply := transportReply{content: content, source: answer.Header.Get("x-openflow-source")}
	if s := answer.Header.Get("x-openflow-sequence"); s != "" && content != nil {
		if reply.sequence, err = strconv.ParseInt(s, 10, 64); err != nil || reply.sequence <= 0 {
			return transportReply{}, openflow.Errorf(openflow.CodeInternal, "node numbered a message %q", s)
		}
	}
	return reply, nil
}

// transportCode translates the result codes of the transport layer.
//
// Spec: interop-transport §9.
func transportCode(code string) openflow.Code {
	switch code {
	case "E0000000700":
		return openflow.CodeExhausted
	case "E0000000503", "E0000000601", "E0000000602", "E0000000607":
		return openflow.CodeUnavailable
	case "E0000000608":
		return openflow.CodeCanceled
	case "E0000000403", "E0000000606", "E0000000614":
		return openflow.CodePermission
	case "E0000000400", "E0000000413", "E0000000616":
		return openflow.CodeInvalid
	case "E0000000404", "E0000000618":
		return openflow.CodeNotFound
	}
	return openflow.CodeInternal
}

// transportWords says what a result code means to people.
func transportWords(code string) string {
	switch code {
	case "E0000000608":
		return "the node has ended this task's messages, because the task or its job was stopped"
	case "E0000000700", "E0000000413":
		return "the node does not take so much"
	}
	switch transportCode(code) {
	case openflow.CodeUnavailable:
		return "the node cannot pass messages on now"
	case openflow.CodePermission:
		return "the node does not allow this message"
	case openflow.CodeInvalid:
		return "the node refuses the message"
	case openflow.CodeNotFound:
		return "the node does not know this task's messages"
	case openflow.CodeExhausted, openflow.CodeSpent, openflow.CodeCanceled, openflow.CodeDeadline, openflow.CodeUnimplemented, openflow.CodeInternal,
		openflow.CodeUnauthorized, openflow.CodeConflict, openflow.CodeRejected:
	}
	return "the node answered with the result " + code
}

func parseOutboundJSON(body []byte) (code, message string, content []byte, err error) {
	var reply struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Msg     string `json:"msg"`
		Content []byte `json:"content"`
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", "", nil, err
	}
	if reply.Message == "" {
		reply.Message = reply.Msg
	}
	if reply.Content == nil {
		reply.Content = reply.Payload
	}
	return reply.Code, reply.Message, reply.Content, nil
}

// parseOutbound reads TransportOutbound: 2 payload, 3 code, 4 message.
//
// Spec: interop-transport §4.
func parseOutbound(body []byte) (code, message string, content []byte, err error) {
	for len(body) > 0 {
		number, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return "", "", nil, protowire.ParseError(n)
		}
		body = body[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, body); n < 0 {
				return "", "", nil, protowire.ParseError(n)
			}
			body = body[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(body)
		if n < 0 {
			return "", "", nil, protowire.ParseError(n)
		}
		body = body[n:]
		switch number {
		case 2:
			content = value
		case 3:
			code = string(value)
		case 4:
			message = string(value)
		}
	}
	return code, message, content, nil
}
