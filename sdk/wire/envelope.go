package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"openflow"
)

// Envelope is every JSON answer of the v2 dialect. Readers look at Code; the HTTP status is 200 throughout.
//
// Spec: fate-flow-api §0.3. Error is ours: the structured form of a failure (part 7 #3), absent on success.
type Envelope struct {
	Code    int             `json:"code"`
	Data    json.RawMessage `json:"data,omitempty"`
	Error   *Problem        `json:"error,omitempty"`
	JobID   string          `json:"job_id,omitempty"`
	Message string          `json:"message"`
}

// Problem is an openflow.Error on the wire, so that a node of ours loses nothing between two nodes.
type Problem struct {
	Code    string `json:"code"`
	Subject string `json:"subject,omitempty"`
	Party   string `json:"party,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	Mistakes []Mistake `json:"mistakes,omitempty"` // of a job that is refused
}

// Mistake is an openflow.Mistake on the wire, without the value that is wrong: whoever relays it may not be its author.
type Mistake struct {
	Code    string `json:"code"`
	Subject string `json:"subject,omitempty"`
	Party   string `json:"party,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	Private string `json:"private,omitempty"` // for the users of this party; never in an answer to another node
}

// EncodeMistakes renders the first openflow.MaxMistakes of a list.
func EncodeMistakes(list []openflow.Mistake) []Mistake {
	var out []Mistake
	for _, m := range list[:min(len(list), openflow.MaxMistakes)] {
		out = append(out, Mistake{string(m.Code), string(m.Subject), string(m.Party), m.Path, m.Message, m.Remedy, m.Private})
	}
	return out
}

// DecodeMistakes is the inverse of EncodeMistakes; what a peer sends beyond the bound is left out.
func DecodeMistakes(list []Mistake) []openflow.Mistake {
	var out []openflow.Mistake
	for _, m := range list[:min(len(list), openflow.MaxMistakes)] {
		out = append(out, openflow.Mistake{
			Code: openflow.Code(m.Code), Subject: openflow.Subject(m.Subject), Party: openflow.PartyID(m.Party), Path: m.Path,
			Message: m.Message, Remedy: m.Remedy, Private: m.Private,
		})
	}
	return out
}

// Wire codes that openflow sends or acts on.
//
// Spec: fate-flow-api §0.4.
const (
	Success             = 0
	FederatedError      = 104
	JobParamsError      = 1000
	JobNotFound         = 1001
	CreateJobFailed     = 1002
	UpdateJobFailed     = 1003
	KillJobFailed       = 1004
	JobResourceBusy     = 1005
	JobResourceLimit    = 1006
	InheritanceFailed   = 1007
	TaskNotFound        = 2000
	StartTaskFailed     = 2001
	UpdateTaskFailed    = 2002
	KillTaskFailed      = 2003
	TaskResourceBusy    = 2004
	NoModelOutput       = 2005
	SiteIsStandalone    = 3000
	DeviceNotSupported  = 4001
	RequestExpired      = 5000
	InvalidParameter    = 5001
	NoFoundAppID        = 5002
	VerifyFailed        = 5003
	AuthenticationFail  = 5004
	NoPermission        = 5005
	PermissionOperate   = 5006
	NoFoundFile         = 5007
	ComponentOutputFail = 5008
	RoleTypeError       = 5009
	ServerException     = 6000
	FunctionRestricted  = 6001
	TableNotFound       = 7001
	TableExists         = 7002
	FileNotFound        = 8001
)

// CodeFor numbers an error: by its code and, where the dialect distinguishes, by what it is about.
func CodeFor(code openflow.Code, about openflow.Subject) int {
	switch code {
	case "":
		return Success
	case openflow.CodeInvalid:
		switch about {
		case openflow.AboutResource:
			return JobResourceLimit
		case openflow.AboutDevice:
			return DeviceNotSupported
		case openflow.AboutRole:
			return RoleTypeError
		case openflow.AboutGrant:
			return PermissionOperate
		case openflow.AboutFile:
			return NoFoundFile
		case openflow.AboutInheritance:
			return InheritanceFailed
		case openflow.AboutWarehouse:
			return JobParamsError
		case openflow.AboutJob, openflow.AboutTask, openflow.AboutTable, openflow.AboutModel, openflow.AboutSite,
			openflow.AboutApp, openflow.AboutTime:
		}
		return InvalidParameter
	case openflow.CodeUnauthorized:
		return unauthorized(about)
	case openflow.CodePermission:
		if about == openflow.AboutApp {
			return AuthenticationFail
		}
		return NoPermission
	case openflow.CodeNotFound:
		return notFound(about)
	case openflow.CodeConflict:
		return conflict(about)
	case openflow.CodeRejected:
		return CreateJobFailed
	case openflow.CodeExhausted:
		if about == openflow.AboutTask {
			return TaskResourceBusy
		}
		return JobResourceBusy
	case openflow.CodeSpent:
		return JobResourceLimit
	case openflow.CodeUnavailable, openflow.CodeDeadline:
		return FederatedError
	case openflow.CodeCanceled:
		return KillJobFailed
	case openflow.CodeUnimplemented:
		return FunctionRestricted
	case openflow.CodeInternal:
		return ServerException
	}
	return ServerException
}

// unauthorized tells why a signature of an app proves nobody.
func unauthorized(about openflow.Subject) int {
	switch about {
	case openflow.AboutApp:
		return NoFoundAppID
	case openflow.AboutTime:
		return RequestExpired
	case openflow.AboutJob, openflow.AboutTask, openflow.AboutResource, openflow.AboutTable, openflow.AboutModel, openflow.AboutFile,
		openflow.AboutSite, openflow.AboutDevice, openflow.AboutRole, openflow.AboutGrant:
	}
	return VerifyFailed
}

func notFound(about openflow.Subject) int {
	switch about {
	case openflow.AboutJob:
		return JobNotFound
	case openflow.AboutTask:
		return TaskNotFound
	case openflow.AboutModel:
		return NoModelOutput
	case openflow.AboutTable:
		return TableNotFound
	case openflow.AboutFile:
		return FileNotFound
	case openflow.AboutApp:
		return NoFoundAppID
	case openflow.AboutResource, openflow.AboutSite, openflow.AboutDevice, openflow.AboutRole, openflow.AboutTime, openflow.AboutGrant,
		openflow.AboutInheritance, openflow.AboutWarehouse:
	}
	return ServerException
}

func conflict(about openflow.Subject) int {
	switch about {
	case openflow.AboutTask:
		return UpdateTaskFailed
	case openflow.AboutTable:
		return TableExists
	case openflow.AboutApp:
		return InvalidParameter
	case openflow.AboutJob, openflow.AboutResource, openflow.AboutModel, openflow.AboutFile, openflow.AboutSite, openflow.AboutDevice,
		openflow.AboutRole, openflow.AboutTime, openflow.AboutGrant, openflow.AboutInheritance, openflow.AboutWarehouse:
	}
	return UpdateJobFailed
}

// domainCodes reads the answers of peers that send numbers only.
var domainCodes = map[int]struct {
	code  openflow.Code
	about openflow.Subject
}{
	FederatedError: {openflow.CodeUnavailable, ""}, JobParamsError: {openflow.CodeInvalid, openflow.AboutJob},
	JobNotFound: {openflow.CodeNotFound, openflow.AboutJob}, CreateJobFailed: {openflow.CodeRejected, openflow.AboutJob},
	UpdateJobFailed: {openflow.CodeConflict, openflow.AboutJob}, KillJobFailed: {openflow.CodeInternal, openflow.AboutJob},
	JobResourceBusy:  {openflow.CodeExhausted, openflow.AboutResource},
	JobResourceLimit: {openflow.CodeInvalid, openflow.AboutResource}, InheritanceFailed: {openflow.CodeInvalid, openflow.AboutInheritance},
	TaskNotFound: {openflow.CodeNotFound, openflow.AboutTask}, StartTaskFailed: {openflow.CodeRejected, openflow.AboutTask},
	UpdateTaskFailed: {openflow.CodeConflict, openflow.AboutTask}, KillTaskFailed: {openflow.CodeInternal, openflow.AboutTask},
	TaskResourceBusy: {openflow.CodeExhausted, openflow.AboutResource},
	NoModelOutput:    {openflow.CodeNotFound, openflow.AboutModel}, SiteIsStandalone: {openflow.CodeUnimplemented, openflow.AboutSite},
	DeviceNotSupported: {openflow.CodeInvalid, openflow.AboutDevice},
	RequestExpired:     {openflow.CodeUnauthorized, openflow.AboutTime}, InvalidParameter: {openflow.CodeInvalid, ""},
	NoFoundAppID: {openflow.CodeUnauthorized, openflow.AboutApp}, VerifyFailed: {openflow.CodeUnauthorized, ""},
	AuthenticationFail: {openflow.CodeUnauthorized, ""}, NoPermission: {openflow.CodePermission, ""},
	PermissionOperate: {openflow.CodeInvalid, openflow.AboutGrant}, RoleTypeError: {openflow.CodeInvalid, openflow.AboutRole},
	NoFoundFile: {openflow.CodeInvalid, openflow.AboutFile}, ComponentOutputFail: {openflow.CodeInvalid, ""},
	FunctionRestricted: {openflow.CodeUnimplemented, ""}, ServerException: {openflow.CodeInternal, ""},
	TableNotFound: {openflow.CodeNotFound, openflow.AboutTable}, TableExists: {openflow.CodeConflict, openflow.AboutTable},
	FileNotFound: {openflow.CodeNotFound, openflow.AboutFile},
}

// Failure builds the envelope of err: what the caller may see, without the chain of causes.
func Failure(err error) Envelope {
	e := asError(err)
	p := &Problem{
		Code: string(e.Code), Subject: string(e.Subject), Party: string(e.Party), Message: e.Message, Hint: e.Hint,
		Mistakes: EncodeMistakes(e.Mistakes),
	}
	if p.Message == "" {
		p.Message = string(e.Code)
	}
	shown := *e
	shown.Err = nil
	return Envelope{Code: CodeFor(e.Code, e.Subject), Message: shown.Error(), Error: p}
}

// Err turns a received envelope back into an error; nil for success. It reads those of our own dialect as well, which have
// an error and no number.
func (e Envelope) Err() error {
	if e.Code == Success && e.Error == nil {
		return nil
	}
	if e.Error != nil && e.Error.Code != "" {
		said := cmp.Or(e.Error.Message, e.Message, fmt.Sprintf("it refuses, and does not say why (%s)", e.Error.Code))
		return &openflow.Error{
			Code: openflow.Code(e.Error.Code), Subject: openflow.Subject(e.Error.Subject),
			Party: openflow.PartyID(e.Error.Party), Message: said, Hint: e.Error.Hint,
			Mistakes: DecodeMistakes(e.Error.Mistakes),
		}
	}
	known, ok := domainCodes[e.Code]
	if !ok {
		known.code = openflow.CodeInternal
	}
	msg := e.Message
	if msg == "" {
		msg = fmt.Sprintf("answered with code %d", e.Code)
	}
	return &openflow.Error{Code: known.code, Subject: known.about, Message: msg}
}

func asError(err error) *openflow.Error {
	var e *openflow.Error
	if errors.As(err, &e) {
		return e
	}
	code := openflow.CodeOf(err)
	msg := "internal error"
	if code != openflow.CodeInternal {
		msg = string(code)
	}
	return &openflow.Error{Code: code, Message: msg, Err: err}
}
