package wire

// AuditPage is the data of /openflow/v1/user/audit/list, ours: events, newest first. Next is empty at the end.
type AuditPage struct {
	Events []AuditEvent `json:"events"`
	Next   string       `json:"next,omitempty"` // "after" of the request for the page after
}

// AuditEvent is one entry of the record of who changed what at this site.
type AuditEvent struct {
	ID      string `json:"id"`
	Time    *int64 `json:"time"` // milliseconds since 1970
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`
}
