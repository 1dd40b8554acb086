// Package ptp is the wire form of the InterOp transport layer: headers, messages, their JSON and protobuf codecs,
// result codes, and the rules by which a receiver tells the forms of real peers apart.
//
// It is pure: bytes and header values in, values out, no HTTP and no gRPC. Queues live in messages, routing in the
// server. Servers start at [DecodePush], [DecodePop] and [EncodeReply], clients at [EncodePush] and [DecodeReply].
// What is decoded may share memory with the body it came from.
//
// Spec: interop-transport.
package ptp
