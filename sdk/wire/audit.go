package wire

// AuditPage is the data of /openflow/v1/user/audit/list, ours: events, newest first. Next is empty at the end.
type AuditPage struct {
	Events []AuditEvent `json:"events"`
	Next   string       `json:"next,omitempty"` // "after" of the request for the page after
}

// AuditEvent is one entry of the record of who changed what at this site, and of what peers were refused or given.
type AuditEvent struct {
	ID      string `json:"id"`
	Time    *int64 `json:"time"` // milliseconds since 1970
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`

	// Of a decision about what a peer has asked for.
	Party     Text     `json:"party,omitempty"`
	Outcome   string   `json:"outcome,omitempty"`   // done, refused
	Authority string   `json:"authority,omitempty"` // on whose word
	Grants    []string `json:"grants,omitempty"`    // that permit it
	Count     int      `json:"count,omitempty"`     // how often it was refused; absent: once
}
