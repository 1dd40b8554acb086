package packets_test

import (
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// This file is FATE's side of the bridge: messages by the library of protocol buffers, and calls by the one of gRPC.

const method = "/com.webank.ai.eggroll.api.networking.proxy.DataTransferService/unaryCall"

// form has the messages of fate-flow-api §0.8.2.
var form = func() protoreflect.FileDescriptor {
	text, number, long := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64
	raw, message := descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	type f struct {
		name string
		n    int32
		kind descriptorpb.FieldDescriptorProto_Type
		of   string
	}
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("proxy.proto"), Package: proto.String("p"), Syntax: proto.String("proto3")}
	for name, fields := range map[string][]f{
		"Packet": {{"header", 1, message, ".p.Metadata"}, {"body", 2, message, ".p.Data"}},
		"Data":   {{"key", 1, text, ""}, {"value", 2, raw, ""}},
		"Metadata": {
			{"task", 1, message, ".p.Task"}, {"src", 2, message, ".p.Topic"}, {"dst", 3, message, ".p.Topic"}, {"command", 4, message, ".p.Command"},
			{"operator", 5, text, ""}, {"seq", 6, long, ""}, {"ack", 7, long, ""}, {"conf", 8, message, ".p.Conf"}, {"ext", 9, raw, ""}, {"version", 100, text, ""},
		},
		"Task":     {{"taskId", 1, text, ""}, {"model", 2, message, ".p.Model"}},
		"Model":    {{"name", 1, text, ""}, {"dataKey", 2, text, ""}},
		"Topic":    {{"name", 1, text, ""}, {"partyId", 2, text, ""}, {"role", 3, text, ""}, {"callback", 4, message, ".p.Endpoint"}},
		"Endpoint": {{"ip", 1, text, ""}, {"port", 2, number, ""}, {"hostname", 3, text, ""}},
		"Command":  {{"name", 1, text, ""}},
		"Conf":     {{"overallTimeout", 1, long, ""}, {"completionWaitTimeout", 2, long, ""}, {"packetIntervalTimeout", 3, long, ""}, {"maxRetries", 4, number, ""}},
	} {
		m := &descriptorpb.DescriptorProto{Name: proto.String(name)}
		for _, x := range fields {
			d := &descriptorpb.FieldDescriptorProto{
				Name: proto.String(x.name), Number: proto.Int32(x.n), Type: x.kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}
			if x.of != "" {
				d.TypeName = proto.String(x.of)
			}
			m.Field = append(m.Field, d)
		}
		file.MessageType = append(file.MessageType, m)
	}
	built, err := protodesc.NewFile(file, nil)
	if err != nil {
		panic(err)
	}
	return built
}()

func blank() *dynamicpb.Message { return dynamicpb.NewMessage(form.Messages().ByName("Packet")) }

// set writes a value at the end of a way of names, and get reads it.
func set(m protoreflect.Message, value any, way ...protoreflect.Name) {
	for _, name := range way[:len(way)-1] {
		m = m.Mutable(m.Descriptor().Fields().ByName(name)).Message()
	}
	m.Set(m.Descriptor().Fields().ByName(way[len(way)-1]), protoreflect.ValueOf(value))
}

func get(m protoreflect.Message, way ...protoreflect.Name) protoreflect.Value {
	for _, name := range way[:len(way)-1] {
		m = m.Get(m.Descriptor().Fields().ByName(name)).Message()
	}
	return m.Get(m.Descriptor().Fields().ByName(way[len(way)-1]))
}

// packet is one as FATE-Flow fills it.
func packet(job, to, path string, headers map[string]string, body any) *dynamicpb.Message {
	m := blank()
	said, _ := json.Marshal(headers) // texts always can
	text, _ := json.Marshal(body)    // and what the tests give it
	for _, v := range []struct {
		value any
		way   []protoreflect.Name
	}{
		{job, []protoreflect.Name{"header", "task", "taskId"}}, {"headers", []protoreflect.Name{"header", "task", "model", "name"}},
		{string(said), []protoreflect.Name{"header", "task", "model", "dataKey"}}, {job, []protoreflect.Name{"header", "src", "name"}},
		{"fateflow", []protoreflect.Name{"header", "src", "role"}}, {"10.0.0.7", []protoreflect.Name{"header", "src", "callback", "ip"}},
		{int32(9380), []protoreflect.Name{"header", "src", "callback", "port"}}, {job, []protoreflect.Name{"header", "dst", "name"}},
		{to, []protoreflect.Name{"header", "dst", "partyId"}}, {"fateflow", []protoreflect.Name{"header", "dst", "role"}},
		{path, []protoreflect.Name{"header", "command", "name"}}, {"POST", []protoreflect.Name{"header", "operator"}},
		{int64(10), []protoreflect.Name{"header", "conf", "overallTimeout"}}, {path, []protoreflect.Name{"body", "key"}}, {text, []protoreflect.Name{"body", "value"}},
	} {
		set(m, v.value, v.way...)
	}
	return m
}

// bridge is FATE's client.
func bridge(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // the server may have been faster
	return conn
}

// send sends a packet as FATE does, and returns the envelope in what comes back.
func send(t *testing.T, conn *grpc.ClientConn, m proto.Message) (back *dynamicpb.Message, envelope map[string]any) {
	t.Helper()
	back = blank()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "service", "fateflow", "dest-party-id", "9999"), 10*time.Second)
	defer cancel()
	require.NoError(t, conn.Invoke(ctx, method, m, back))
	require.NoError(t, json.Unmarshal(get(back, "body", "value").Bytes(), &envelope))
	return back, envelope
}

// site is FATE's server, which says what it has got.
func site(t *testing.T, serve func(context.Context, *dynamicpb.Message) (proto.Message, error)) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "com.webank.ai.eggroll.api.networking.proxy.DataTransferService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "unaryCall", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := blank()
			if err := decode(m); err != nil {
				return nil, status.Error(codes.Internal, err.Error())
			}
			return serve(ctx, m)
		}}},
	}, struct{}{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}
