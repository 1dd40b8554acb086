package catalogue

// Opened to the tests of this package only.
var (
	EncodeDAG   = encodeDAG
	DecodeDAG   = decodeDAG
	ParseCursor = parseCursor
	Classify    = classify
	RetryBusy   = retryBusy
	ParseURL    = parseURL
)

// LockWriters is the statement that makes a transaction the only writer.
const LockWriters = lockWriters
