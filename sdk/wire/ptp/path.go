package ptp

import (
	"net/url"
	"strings"
)

// Operation is what a path of the transport layer asks for.
type Operation string

// The operations. OperationOther is a path that is not of this layer.
//
// Spec: interop-transport §2.
const (
	OperationPush      Operation = "push"
	OperationPop       Operation = "pop"
	OperationPeek      Operation = "peek"
	OperationRelease   Operation = "release"
	OperationInvoke    Operation = "invoke"
	OperationTransport Operation = "transport"
	OperationOther     Operation = ""
)

// PathPrefix is the HTTP path of an operation without its name.
const PathPrefix = "/v1/interconn/chan/"

// The gRPC services, as paths without the method's name. Kuscia serves the same ones in a package of its own.
//
// Spec: interop-transport §2.
const (
	GRPCTransport       = "/org.ppc.ptp.PrivateTransferTransport/"
	GRPCProtocol        = "/org.ppc.ptp.PrivateTransferProtocol/"
	GRPCTransportKuscia = "/org.ppc.grpc_ptp.PrivateTransferTransport/"
	GRPCProtocolKuscia  = "/org.ppc.grpc_ptp.PrivateTransferProtocol/"
)

// PushURI is the HeaderURI of an invoke over HTTP that pushes, PushURIGRPC that of one over gRPC.
//
// Spec: interop-transport §7.1.
const (
	PushURI     = "https://ptp.cn" + PathPrefix + "push"
	PushURIGRPC = "https://ptp.cn" + GRPCTransport + "push"
)

var services = map[string][]Operation{
	PathPrefix: {OperationPush, OperationPop, OperationPeek, OperationRelease, OperationInvoke,
		OperationTransport},
	GRPCTransport:       {OperationPush, OperationPop, OperationPeek, OperationRelease},
	GRPCProtocol:        {OperationInvoke, OperationTransport},
	GRPCTransportKuscia: {OperationPush, OperationPop, OperationPeek, OperationRelease},
	GRPCProtocolKuscia:  {OperationInvoke, OperationTransport},
}

// ParsePath names the operation of an HTTP path or a gRPC full method, and whether it is the latter.
func ParsePath(path string) (op Operation, grpc bool) {
	for prefix, ops := range services {
		name, ok := strings.CutPrefix(path, prefix)
		for _, op := range ops {
			if ok && name == string(op) {
				return op, prefix != PathPrefix
			}
		}
	}
	return OperationOther, false
}

// ParseURI reads a HeaderURI: the operation that an invoke is meant for, and the path, for those that are
// OperationOther. Scheme and host mean nothing. An absent value is a push.
//
// Errors: CodeNotFound (ResultNotFound) for what is neither a URL nor a path.
//
// Spec: interop-transport §7.1.
func ParseURI(value string) (op Operation, path string, err error) {
	if value == "" {
		return OperationPush, PathPrefix + string(OperationPush), nil
	}
	u, err := url.Parse(value)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return OperationOther, "", failure(ResultNotFound, "%s %q has no path", HeaderURI, value)
	}
	op, _ = ParsePath(u.Path)
	return op, u.Path, nil
}
