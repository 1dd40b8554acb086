package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// Text is a string argument that a number may stand for: ids are written both ways (part 7 #40).
type Text string

var textType = reflect.TypeFor[Text]()

// UnmarshalJSON accepts a string or a number.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if _, err := strconv.ParseFloat(string(b), 64); err != nil {
		return &json.UnmarshalTypeError{Value: clip(string(b)), Type: textType} // to which the decoder adds the field
	}
	*t = Text(b)
	return nil
}

// JobRef names a job at one of its parties: what every /v2/partner/job/* call begins with.
//
// Spec: fate-flow-api §2.3.
type JobRef struct {
	JobID   Text `json:"job_id" check:"required"`
	Role    Text `json:"role" check:"required"`
	PartyID Text `json:"party_id" check:"required"`
}

// Ref makes the wire form of a job at p.
func Ref(job openflow.JobID, p openflow.Party) JobRef {
	return JobRef{JobID: Text(job), Role: Text(p.Role), PartyID: Text(p.ID)}
}

// Key is the row that the reference means when scheduler asks. Errors: CodeInvalid.
func (r JobRef) Key(scheduler openflow.PartyID) (openflow.JobKey, error) {
	p := openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.PartyID)}
	if !p.Role.Valid() {
		return openflow.JobKey{}, openflow.Errorf(openflow.CodeInvalid, "unknown role %q", r.Role)
	}
	for kind, s := range map[string]Text{"job_id": r.JobID, "party_id": r.PartyID} {
		if err := openflow.CheckIdentifier(kind, string(s)); err != nil {
			return openflow.JobKey{}, err
		}
	}
	return openflow.JobKey{Scheduler: scheduler, Job: openflow.JobID(r.JobID), Party: p}, nil
}

// FailureCause is what a party tells the others of how its run failed; ours. Nothing else of an error leaves its node.
type FailureCause struct {
	Text        string `json:"error,omitempty" heard:"words"` // that its author marked public
	Code        string `json:"error_code,omitempty"`
	Consequence bool   `json:"error_consequence,omitempty"` // it follows from what failed at another party
}

// EncodeCause makes the wire form of c.
func EncodeCause(c openflow.Cause) FailureCause {
	return FailureCause{Text: openflow.FirstLine(c.Text), Code: string(c.Code), Consequence: c.Consequence}
}

// Decode is the way back. Whoever sent it chose the text and the code: the one is bounded, the other has to be known.
func (c FailureCause) Decode() openflow.Cause {
	code := openflow.Code(c.Code)
	if !code.Valid() {
		code = ""
	}
	return openflow.Cause{Text: openflow.FirstLine(c.Text), Code: code, Consequence: c.Consequence}
}

// JobStopped is the data of POST /v2/scheduler/job/stop and /v2/job/stop (ours): how far the stop has come.
type JobStopped struct {
	Status   string     `json:"status,omitempty"` // absent: the job has not ended yet
	Reason   string     `json:"reason,omitempty" heard:"words"`
	Stopping []PartyRef `json:"stopping,omitempty"` // who has not confirmed yet that nothing of the job runs there
}

// PartyRef is one party in one role.
type PartyRef struct {
	Role    string `json:"role"`
	PartyID string `json:"party_id"`
}

// EncodeStopped makes the wire form of s.
func EncodeStopped(s openflow.Stopped) JobStopped {
	b := JobStopped{Status: string(s.Status), Reason: s.Reason}
	for _, p := range s.Stopping {
		b.Stopping = append(b.Stopping, PartyRef{Role: string(p.Role), PartyID: string(p.ID)})
	}
	return b
}

// Decode is the way back. A genuine scheduler says nothing, which is a stop that has been taken.
func (b JobStopped) Decode() openflow.Stopped {
	s := openflow.Stopped{Status: openflow.JobStatus(heard(b.Status, maxWord)), Reason: openflow.Heard(b.Reason)}
	for _, p := range b.Stopping[:min(len(b.Stopping), maxWord)] {
		s.Stopping = append(s.Stopping, openflow.Party{Role: openflow.Role(heard(p.Role, maxWord)), ID: openflow.PartyID(heard(p.PartyID, maxWord))})
	}
	return s
}

// CreatedModel is the data of an answer that created a job.
type CreatedModel struct {
	ModelID      string `json:"model_id"`
	ModelVersion string `json:"model_version"`
}

// Decode reads a request body leniently: unknown keys are passed over, and fields tagged check:"required" must be there
// and not null. Errors: CodeInvalid; MissingFields tells which.
//
// Spec: fate-flow-api §0.2.
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := Bounded(body, MaxValues); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refusal(body, into, err)
	}
	if missing := missingFields(reflect.ValueOf(into).Elem()); len(missing) > 0 {
		return &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing " + strings.Join(missing, ", "),
			Err: MissingFields(missing),
		}
	}
	return nil
}

// mistake says what is wrong with a document in terms of JSON, not of Go: another party reads it.
func mistake(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &kind):
		return err.Error()
	case kind.Type == textType && kind.Field != "":
		return fmt.Sprintf("%s: expected a string, found %s", kind.Field, kind.Value)
	case kind.Type == textType:
		return "expected a string, found " + kind.Value
	case kind.Field != "" && wants(kind.Type) != "":
		return fmt.Sprintf("%s: expected %s, found %s", kind.Field, wants(kind.Type), kind.Value)
	case kind.Field == "":
		return fmt.Sprintf("it is a JSON %s, and must be an object", kind.Value)
	}
	return fmt.Sprintf("%s is a JSON %s, which it must not be", kind.Field, kind.Value)
}

// wants is what a field of a type that says so wants in its place.
func wants(t reflect.Type) string {
	if w, says := reflect.Zero(t).Interface().(interface{ Wants() string }); says {
		return w.Wants()
	}
	return ""
}

// MissingFields is the cause of a Decode that lacked required fields, in the order of the struct.
type MissingFields []string

// Error lists the fields.
func (m MissingFields) Error() string {
	return "missing data for required fields " + strings.Join(m, ", ")
}

func missingFields(v reflect.Value) []string {
	var missing []string
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		if t.Anonymous && f.Kind() == reflect.Struct {
			missing = append(missing, missingFields(f)...)
			continue
		}
		if t.Tag.Get("check") == "required" && (f.IsZero() || string(jsonText(f)) == "null") {
			name, _, _ := strings.Cut(t.Tag.Get("json"), ",")
			missing = append(missing, name)
		}
	}
	return slices.Clip(missing)
}

func jsonText(f reflect.Value) []byte {
	if raw, ok := f.Interface().(json.RawMessage); ok {
		return bytes.TrimSpace(raw)
	}
	return nil
}
