package ptp

// Headers of HTTP requests, and keys of gRPC metadata.
//
// Spec: interop-transport §3.
const (
	HeaderVersion      = "x-ptp-version" // VersionPassThrough, or something else for encapsulation
	HeaderProvider     = "x-ptp-tech-provider-code"
	HeaderTraceID      = "x-ptp-trace-id"
	HeaderToken        = "x-ptp-token"
	HeaderSessionID    = "x-ptp-session-id"
	HeaderTargetNodeID = "x-ptp-target-node-id"
	HeaderURI          = "x-ptp-uri"
	HeaderSourceNodeID = "x-ptp-source-node-id"
)

// Headers that real peers use beyond the standard, and what the choices of interop-transport §6 and §7 add.
const (
	HeaderTopic            = "x-ptp-topic"         // beats the topic of the body
	HeaderTimeout          = "x-ptp-timeout"       // milliseconds; beats the body
	HeaderFromNodeID       = "x-ptp-from-node-id"  // FATE's HeaderSourceNodeID
	HeaderOpenflowAck      = "x-openflow-ack"      // acknowledged read: drop sequences up to this one
	HeaderOpenflowSequence = "x-openflow-sequence" // reply of an acknowledged read: the message's sequence
	HeaderOpenflowSource   = "x-openflow-source"   // reply of a read: who has sent the message
	// HeaderOpenflowScheduler says whose session is meant where its name does not tell, as FATE-Flow's. The signature covers it,
	// as it does every header of this prefix.
	HeaderOpenflowScheduler = "x-ptp-openflow-scheduler"
	MetadataMessageID       = "x-ptp-message-id" // key of PushInbound.Metadata, for duplicate suppression (interop-transport §6.1)
	VersionPassThrough      = "1"                // the value of HeaderVersion that means pass-through (interop-transport §5.2)
	ProviderFATE            = "FATE"             // a HeaderProvider that expects ResultTimeout for an empty pop
)

// Content types that mean something here.
//
// Spec: interop-transport §4, §5.1.
const (
	TypeJSON     = "application/json"
	TypeProtobuf = "application/x-protobuf"
	TypeRaw      = "application/proto" // replies of the raw form
)
