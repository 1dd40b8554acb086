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
