package openflow

// Verdict is how a check of a node's health ended.
type Verdict string

// The verdicts. A warning is something that an operator should know and that stops nothing now.
const (
	VerdictOK   Verdict = "ok"
	VerdictWarn Verdict = "warn"
	VerdictFail Verdict = "FAIL"
)

// Finding is what one check of a node's health has found, and what to do about it.
type Finding struct {
	Check   string // a stable name, such as "clock 10000"
	Verdict Verdict
	Detail  string // one sentence
	Remedy  string // empty when all is well
}
