package wire

// ScoreAccount is an element of the data of GET /openflow/v1/user/site/scores; ours.
type ScoreAccount struct {
	PartyID    string        `json:"party_id"`
	Object     string        `json:"object"` // content, by digest
	Tables     []ScoredTable `json:"tables"` // that have this content now
	Columns    int           `json:"columns"`
	Vectors    int           `json:"vectors"`
	Limit      int           `json:"limit"`
	Raised     int           `json:"raised"`
	LatestTime *int64        `json:"latest_time"`
	FreesTime  *int64        `json:"frees_time"` // when the oldest stops to count
}

// ScoredTable names a table.
type ScoredTable struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ScoreChange is the body of POST /openflow/v1/user/site/scores/raise and …/reset: a table by name, or a content by digest.
type ScoreChange struct {
	PartyID   Text   `json:"party_id" check:"required"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Object    string `json:"object,omitempty"`
	To        int    `json:"to,omitempty"` // in raise: the new limit; 0 takes a raised one back
}
