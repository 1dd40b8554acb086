package catalogue

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"openflow"
	"openflow/store/document"
)

// column is what columns hold as JSON: forms of the domain's types, and lists of texts.
type column interface {
	document.DAG | document.TaskSpec | []document.TaskRun | document.GrantTerms | document.Mandate | document.Component | tableSource | cursor | []string | []openflow.RunID
}

// encode renders v as the JSON text of a column.
func encode[C column](subject string, v C) (string, error) {
	text, err := document.Marshal(v)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s cannot be stored as JSON: %w", subject, err)
	}
	return string(text), nil
}

// decode reads what encode wrote.
func decode[C column](subject, text string, into *C) error {
	if err := document.Unmarshal([]byte(text), into); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "%s in the catalogue is damaged: %w", subject, err)
	}
	return nil
}

func encodeDAG(job openflow.JobID, d *openflow.DAG) (string, error) {
	if d == nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "job %s has no DAG", job)
	}
	return encode("the DAG of job "+string(job), document.EncodeDAG(*d))
}

func decodeDAG(job openflow.JobID, text string) (*openflow.DAG, error) {
	if text == "null" {
		return nil, openflow.Errorf(openflow.CodeInternal, "the DAG of job %s in the catalogue is damaged: null", job)
	}
	var doc document.DAG
	if err := decode("the DAG of job "+string(job), text, &doc); err != nil {
		return nil, err
	}
	d := doc.Decode()
	return &d, nil
}

// decodeComponent reads what a component says of itself.
func decodeComponent(r offerRow) (openflow.ComponentRecord, error) {
	var doc document.Component
	subject := "the description of component " + r.Name
	if err := decode(subject, r.Description, &doc); err != nil {
		return openflow.ComponentRecord{}, err
	}
	if doc.Form == "" && len(doc.Description) == 0 { // with one, it is of release 0.1.0; see registry.Carry
		return openflow.ComponentRecord{}, openflow.Errorf(openflow.CodeInternal, "%s in the catalogue is damaged: it is of no form", subject)
	}
	at := standingRow{r.Name, r.Provider, r.Version, r.State, r.Since, r.Machine, r.Reason}.record()
	c := doc.Decode()
	c.Name, c.Provider, c.Standing = at.Name, at.Provider, at.Standing
	return c, nil
}

// checkRaw refuses opaque JSON that is none: it would surface when somebody reads it, far from its origin.
func checkRaw(subject string, raws ...json.RawMessage) error {
	for _, r := range raws {
		if len(r) > 0 && !json.Valid(r) {
			return openflow.Errorf(openflow.CodeInvalid, "%s is not JSON", subject)
		}
	}
	return nil
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// orNow is millis, with now for a time that was not given.
func orNow(t time.Time, now int64) int64 {
	if t.IsZero() {
		return now
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// cursor is the place after a page: the sort keys of its last row.
type cursor struct {
	Time int64    `json:"time"`
	Keys []string `json:"keys"`
}

func (c cursor) String() (string, error) {
	text, err := encode("page cursor", c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text)), nil
}

// parseCursor reads a cursor that a caller gives back. keys is how many sort keys follow the time.
func parseCursor(s string, keys int) (cursor, error) {
	var c cursor
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || len(c.Keys) != keys {
		return c, openflow.Errorf(openflow.CodeInvalid, "page cursor %q is not one of this catalogue", s).
			WithHint("take it unchanged from the page before")
	}
	return c, nil
}
