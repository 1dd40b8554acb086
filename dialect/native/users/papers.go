package users

import (
	"encoding/json"
	"net/http"

	"openflow"
)

// Papers tell who vouches for a provider, what it is made of, and how that stands by the policy.
type Papers struct {
	Provider        string          `json:"provider"`            // name:version
	SignedBy        string          `json:"signed_by,omitempty"` // the publisher's key, by its ID and in words
	Comment         string          `json:"comment,omitempty"`   // that the publisher has signed
	Origin          string          `json:"origin,omitempty"`    // of the SBOM
	SBOM            json.RawMessage `json:"sbom,omitempty"`      // CycloneDX
	Vulnerabilities []Vulnerability `json:"vulnerabilities"`     // known ones, the worst first
	Refused         string          `json:"refused,omitempty"`   // why it may not run; empty: it may
	Warnings        []string        `json:"warnings,omitempty"`
}

// Vulnerability is a known weakness of something that a program or image is made of.
type Vulnerability struct {
	ID       string   `json:"id"`
	Package  string   `json:"package"`
	Version  string   `json:"version"`
	Severity string   `json:"severity,omitempty"` // empty: nobody has rated it
	Fixed    []string `json:"fixed,omitempty"`    // versions that mend it
	Summary  string   `json:"summary,omitempty"`
}

// papersOf are the papers that are given when something is registered.
func papersOf(b ProviderChange) openflow.Papers {
	p := openflow.Papers{SBOM: b.SBOM}
	if b.Signature != "" {
		p.Signatures = []openflow.PublisherSignature{{Text: b.Signature}}
	}
	return p
}

// showPapers tells who vouches for a provider, and what it is made of.
func (a *api) showPapers(r *http.Request) (any, error) {
	text, err := reference(r, "provider")
	if err != nil {
		return nil, err
	}
	p, _, err := a.Providers.Show(r.Context(), text)
	if err != nil {
		return nil, err
	}
	report, err := a.Vetting.Report(r.Context(), p.Ref())
	if err != nil {
		return nil, err
	}
	out := Papers{Provider: p.Ref().String(), Origin: report.Papers.Origin, SBOM: report.Papers.SBOM, Warnings: report.Verdict.Warnings}
	if signer := report.Verdict.Signer; signer.Key.String() != "" {
		out.SignedBy, out.Comment = signer.Key.Describe(), signer.Comment
	}
	if report.Against != nil {
		out.Refused = report.Against.Error()
	}
	out.Vulnerabilities = make([]Vulnerability, len(report.Found))
	for i, v := range report.Found {
		out.Vulnerabilities[i] = Vulnerability{v.ID, v.Package, v.Version, string(v.Severity), v.Fixed, v.Summary}
	}
	return out, nil
}
