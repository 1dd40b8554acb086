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

// QueueQueries are those that run whenever a job asks for resources or gives them back.
var QueueQueries = map[string]string{"told": toldClaims, "late": lateClaims, "fitting": fittingClaims}

// LockWriters is the statement that makes a transaction the only writer.
const LockWriters = lockWriters
