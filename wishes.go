package openflow

import "slices"

// Wishes are what a component asks for beyond what every container has: a place to compute, and the base layer of its node.
// The site's policy says what it gets of that; see site/approval.
//
// Spec: algorithm-image-signature §5.
type Wishes struct {
	Capabilities []string `json:"capabilities,omitempty"` // of Linux, such as NET_BIND_SERVICE
	Mounts       []string `json:"mounts,omitempty"`       // paths in the container at which it expects files of the site
	Networks     []string `json:"networks,omitempty"`     // of the site's runtime
	Environment  []string `json:"environment,omitempty"`  // names of variables whose values the site gives
	Cores        int      `json:"cores,omitzero"`         // at least; 0: what the run has
	Memory       int64    `json:"memory,omitzero"`        // bytes, at least
	Processes    int      `json:"processes,omitzero"`     // and threads, at least
	Disk         int64    `json:"disk,omitzero"`          // bytes that it writes, at least
}

// Least is how large a task has to be at least.
func (w Wishes) Least() Resources { return Resources{Cores: w.Cores, Memory: w.Memory} }

// Mount is a folder or file of a machine that a container reads.
type Mount struct {
	Host      string `json:"host"`      // whole path on the machine
	Container string `json:"container"` // whole path in the container
}

// Confinement is what a container may have, as its site's policy says.
type Confinement struct {
	Capabilities []string `json:"capabilities,omitempty"`
	Mounts       []Mount  `json:"mounts,omitempty"` // read-only
	Networks     []string `json:"networks,omitempty"`
	Environment  []string `json:"environment,omitempty"` // "NAME=value"
	Cores        int      `json:"cores,omitzero"`        // at most, like what follows; 0: no bound
	Memory       int64    `json:"memory,omitzero"`       // bytes
	Processes    int64    `json:"processes,omitzero"`
	Disk         int64    `json:"disk,omitzero"`
	Log          int64    `json:"log,omitzero"`
	LeastDisk    int64    `json:"least_disk,omitzero"` // bytes that it needs, more than its node lets others write

	Broker *BrokerUse `json:"broker,omitempty"` // nil: it uses none
}

// Papers are what is kept of a provider besides its content: who vouches for it, and what it is made of.
type Papers struct {
	Signatures []PublisherSignature
	SBOM       []byte // CycloneDX, JSON; empty: nobody knows
	Origin     string // where the SBOM comes from, for people
}

// maxSignatures is how many signatures of one provider are kept: while keys change there are two.
const maxSignatures = 8

// Beside is p with what was kept of the same content before: also its signatures, so that a key can be changed, and its SBOM
// where p has none.
func (p Papers) Beside(before Papers) Papers {
	p.Signatures = slices.Clone(p.Signatures)
	for _, s := range before.Signatures {
		if !slices.Contains(p.Signatures, s) {
			p.Signatures = append(p.Signatures, s)
		}
	}
	p.Signatures = p.Signatures[:min(len(p.Signatures), maxSignatures)]
	if len(p.SBOM) == 0 {
		p.SBOM, p.Origin = before.SBOM, before.Origin
	}
	return p
}

// PublisherSignature is a signature in minisign's form.
type PublisherSignature struct {
	Text string `json:"text"`
	File string `json:"file,omitempty"` // BLAKE2b-512 of the file that was signed; empty: the text of its digest was
}

// Vulnerability is a known weakness of something that an image or program is made of.
type Vulnerability struct {
	ID       string
	Aliases  []string // what others call it
	Package  string   // "Go golang.org/x/net", "Debian openssl", "PyPI requests"
	Version  string   // that is there
	Severity Severity // empty: nobody has rated it
	Fixed    []string // versions in which it is mended; none: nobody has yet
	Summary  string
}
