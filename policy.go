package openflow

import (
	"slices"
	"time"
)

// SitePolicy is the whole policy of a site: what its data may be used for, and what may run here. Its fields are the sections
// of the policy file.
type SitePolicy struct {
	Policy
	Images     ImagesPolicy     `json:"images" yaml:"images"`
	Containers ContainersPolicy `json:"containers" yaml:"containers"`
	Engines    EnginesPolicy    `json:"engines" yaml:"engines"`
}

// Policy is what the owner of a site's data allows, whoever submits. It is enforced by the site's own node and, inside a
// run, by the component at the party whose data are exposed. Runs are told this part of a site's policy.
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

// ImagesPolicy says which images and programs of providers may be registered and run. What the operator registers is admitted
// by its reference or by its digest, and then needs what else is asked for. The built-in provider is not judged.
type ImagesPolicy struct {
	Registries       []string `json:"registries" yaml:"registries"`               // how references of images and paths of programs begin; "*" is any
	Digests          []string `json:"digests" yaml:"digests"`                     // "sha256:…", admitted whatever they are called
	Publishers       []string `json:"publishers" yaml:"publishers"`               // "PROVIDER KEY": whose signature counts for what that provider brings
	RequireSignature bool     `json:"require_signature" yaml:"require_signature"` // of a publisher
	RequireSBOM      bool     `json:"require_sbom" yaml:"require_sbom"`
	Vulnerabilities  string   `json:"vulnerabilities" yaml:"vulnerabilities"`     // folder of records in OSV's format; empty: nothing is matched
	BlockingSeverity Severity `json:"blocking_severity" yaml:"blocking_severity"` // of a known vulnerability, and all above it
	Unrated          Severity `json:"unrated" yaml:"unrated"`                     // what a vulnerability counts as that nobody has rated
	Accepted         []string `json:"accepted" yaml:"accepted"`                   // IDs of vulnerabilities that block nothing
}

// ContainersPolicy says what the container of a component may have. The lists name what a component gets if it wishes for it,
// each entry as "PROVIDER WHAT", where the provider may be "*". Numbers bound what every container gets.
type ContainersPolicy struct {
	Capabilities []string `json:"capabilities" yaml:"capabilities"` // of Linux, such as "acme NET_BIND_SERVICE"
	Mounts       []string `json:"mounts" yaml:"mounts"`             // "acme /srv/models:/models", read-only
	Networks     []string `json:"networks" yaml:"networks"`         // of the runtime, besides that of the base layer
	Environment  []string `json:"environment" yaml:"environment"`   // "acme NAME=value"
	MaxCores     int      `json:"max_cores" yaml:"max_cores"`
	MaxMemory    Bytes    `json:"max_memory" yaml:"max_memory"`
	MaxProcesses int      `json:"max_processes" yaml:"max_processes"` // and threads
	MaxDisk      Bytes    `json:"max_disk" yaml:"max_disk"`           // files that it writes
	MaxLog       Bytes    `json:"max_log" yaml:"max_log"`             // of its output that is kept on the machine
	MaxStored    Bytes    `json:"max_stored" yaml:"max_stored"`       // outputs that one run may store
}

// EnginesPolicy names services of the site that tasks reach through its node, and in no other way. Each entry begins with the
// provider whose tasks may, which may be "*".
type EnginesPolicy struct {
	RabbitMQ []string `json:"rabbitmq" yaml:"rabbitmq"` // "fate HOST:PORT MANAGEMENT-PORT FILE": a broker, with the file of its account
	Partners []string `json:"partners" yaml:"partners"` // "fate PARTY HOST:PORT": a partner's broker, as that of the site reaches it
}

// Bytes is an amount that people write with a unit, as ParseBytes reads it.
type Bytes int64

// Severity is how bad a known vulnerability is.
type Severity string

// The severities, the mildest first. SeverityNever is above all: with it nothing blocks.
const (
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
	SeverityNever    Severity = "never"
)

// Rank orders severities; what is none is below all.
func (s Severity) Rank() int { return slices.Index(Severities(), s) }

// Severities lists all, the mildest first.
func Severities() []Severity {
	return []Severity{SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical, SeverityNever}
}

// DefaultSitePolicy is that of a site that has not written one: what the operator registers runs, and has nothing but the base
// layer.
func DefaultSitePolicy() SitePolicy {
	return SitePolicy{
		Policy: DefaultPolicy(),
		Images: ImagesPolicy{Registries: []string{"*"}, BlockingSeverity: SeverityHigh, Unrated: SeverityHigh},
		Containers: ContainersPolicy{
			MaxCores: 1024, MaxMemory: 1 << 40, MaxProcesses: 512, MaxDisk: 1 << 40, MaxLog: 32 << 20, MaxStored: 1 << 40,
		},
	}
}
