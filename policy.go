package openflow

import "time"

// Policy is what the owner of a site's data allows, whoever submits. It is enforced by the site's own node and, inside a
// run, by the component at the party whose data are exposed.
type Policy struct {
	PSI           PSIPolicy           `json:"psi" yaml:"psi"`
	CoordinatedLR CoordinatedLRPolicy `json:"coordinated_lr" yaml:"coordinated_lr"`
}

// PSIPolicy bounds what an intersection may tell.
type PSIPolicy struct {
	MaxPartnerIDs   int `json:"max_partner_ids" yaml:"max_partner_ids"`   // ids that another party may bring to one intersection
	MinIntersection int `json:"min_intersection" yaml:"min_intersection"` // rows that an intersection must have before anybody learns it
}

// CoordinatedLRPolicy bounds what training may tell about this site's rows and columns.
type CoordinatedLRPolicy struct {
	RowsPerColumn      int           `json:"rows_per_column" yaml:"rows_per_column"`           // rows of a batch for each column of any party, at least
	AllowCommonArbiter bool          `json:"allow_common_arbiter" yaml:"allow_common_arbiter"` // the arbiter may be run by another data party of the job
	ScoreMemory        time.Duration `json:"score_memory" yaml:"score_memory"`                 // how long scores given to a partner count against its budget
}

// DefaultPolicy is that of a site that has not written one.
func DefaultPolicy() Policy {
	return Policy{
		PSI:           PSIPolicy{MaxPartnerIDs: 100_000_000, MinIntersection: 1},
		CoordinatedLR: CoordinatedLRPolicy{RowsPerColumn: 10, ScoreMemory: 30 * 24 * time.Hour},
	}
}
