package osv

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"openflow"
	"openflow/site/sbom"
)

// MaxRecord bounds a record: the largest that people publish list every version of a package, in a few megabytes.
const MaxRecord = 16 << 20

// maxValues bounds the members and items of a record.
const maxValues = 500_000

// Record is a vulnerability in OSV's format, as far as it is read here.
type Record struct {
	ID        string     `json:"id"`
	Withdrawn string     `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Summary   string     `json:"summary"`
	Severity  []rating   `json:"severity"`
	Affected  []affected `json:"affected"`
	Database  specific   `json:"database_specific"`
}

// rating is a vector of CVSS, or a word of Ubuntu's.
type rating struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// specific is what a database says in words of its own.
type specific struct {
	Severity any `json:"severity"` // a word at GitHub's, other things elsewhere
	Urgency  any `json:"urgency"`  // a word at Debian's
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity  []rating      `json:"severity"`
	Ranges    []versionSpan `json:"ranges"`
	Versions  []string      `json:"versions"`
	Ecosystem specific      `json:"ecosystem_specific"`
	Database  specific      `json:"database_specific"`
}

// versionSpan is a range: what happens to a package in the order of its versions.
type versionSpan struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

// event is one of four; the others are empty.
type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// ParseRecord reads a record. Errors: CodeInvalid.
func ParseRecord(text []byte) (Record, error) {
	var r Record
	if len(text) > MaxRecord {
		return r, openflow.Errorf(openflow.CodeInvalid, "it has more than %d bytes", MaxRecord)
	}
	err := openflow.BoundedJSON(text, maxValues)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, openflow.Errorf(openflow.CodeInvalid, "it is not a record in OSV's format: %w", err)
	}
	if r.ID == "" || len(r.ID) > 200 || openflow.Line(r.ID) != r.ID {
		return r, openflow.Errorf(openflow.CodeInvalid, "it is not a record in OSV's format: it has no ID")
	}
	return r, nil
}

// Match says whether a part is vulnerable by this record: that lists its version, or has a range that it is in. A version that
// cannot be compared counts as vulnerable, because nobody can say that it is not. A record that was withdrawn matches nothing.
func (r Record) Match(p sbom.Part) (openflow.Vulnerability, bool) {
	v := openflow.Vulnerability{
		ID: r.ID, Aliases: r.Aliases, Package: openflow.Line(p.Ecosystem + " " + p.Name), Version: p.Version, Summary: openflow.Line(openflow.Cut(r.Summary, 300)),
	}
	compare, ok := orders[p.Ecosystem]
	if r.Withdrawn != "" || !ok {
		return v, false
	}
	hit := false
	for _, a := range r.Affected {
		if !a.of(p) {
			continue
		}
		in, fixed := a.in(p.Version, compare)
		if !in {
			continue
		}
		hit = true
		v.Fixed = append(v.Fixed, fixed...)
		v.Severity = worse(v.Severity, worst(a.Severity), a.Ecosystem.severity(), a.Database.severity())
	}
	if own := worst(r.Severity); own != "" {
		v.Severity = worse(v.Severity, own)
	} else if v.Severity == "" {
		v.Severity = r.Database.severity()
	}
	slices.SortFunc(v.Fixed, func(a, b string) int {
		n, ok := compare(a, b)
		if !ok {
			n = strings.Compare(a, b)
		}
		return n
	})
	v.Fixed = slices.Compact(v.Fixed)
	return v, hit
}

// of reports whether the record speaks of that part's package. A part of Debian whose release nobody knows is of all.
func (a affected) of(p sbom.Part) bool {
	ecosystem, release, _ := strings.Cut(a.Package.Ecosystem, ":")
	name := a.Package.Name
	if ecosystem == sbom.PyPI {
		name = sbom.Normal(name)
	}
	return ecosystem == p.Ecosystem && name == p.Name && (release == "" || p.Release == "" || release == p.Release)
}

// in reports whether a version is one of those that are affected, and which later ones are not.
//
// The algorithm is that of the specification: https://ossf.github.io/osv-schema, "Evaluation".
func (a affected) in(version string, compare order) (in bool, fixed []string) {
	in = slices.Contains(a.Versions, version) || slices.ContainsFunc(a.Versions, func(v string) bool {
		n, ok := compare(v, version)
		return ok && n == 0
	})
	if _, comparable := compare(version, version); !comparable {
		in = true
	}
	judged := len(a.Versions) > 0
	for _, span := range a.Ranges {
		judged = true
		if span.Type == "GIT" { // by commits, which no list of parts has
			continue
		}
		hit, mended := span.in(version, compare)
		in = in || hit
		fixed = append(fixed, mended...)
	}
	if !judged { // the record speaks of the package as a whole
		return true, nil
	}
	return in, fixed
}

// in evaluates the events of a range in the order of versions.
func (s versionSpan) in(version string, compare order) (in bool, fixed []string) {
	events := slices.Clone(s.Events)
	readable := true
	at := func(e event) string { return cmp.Or(e.Introduced, e.Fixed, e.LastAffected, e.Limit) }
	than := func(a, b string) int { // "0" is before all versions
		switch {
		case a == b:
			return 0
		case a == "0":
			return -1
		case b == "0":
			return 1
		}
		n, ok := compare(a, b)
		readable = readable && ok
		return n
	}
	slices.SortStableFunc(events, func(a, b event) int { return than(at(a), at(b)) })
	limited, within := false, false
	for _, e := range events {
		switch {
		case e.Limit != "":
			limited = true
			within = within || e.Limit == "*" || than(version, e.Limit) < 0
		case e.Introduced != "" && than(version, e.Introduced) >= 0:
			in = true
		case e.Fixed != "" && than(version, e.Fixed) >= 0:
			in = false
		case e.Fixed != "":
			fixed = append(fixed, e.Fixed)
		case e.LastAffected != "" && than(version, e.LastAffected) > 0:
			in = false
		}
	}
	if !readable { // nobody can say that it is not
		fixed = nil
		for _, e := range events {
			if e.Fixed != "" {
				fixed = append(fixed, e.Fixed)
			}
		}
		return true, fixed
	}
	if limited && !within {
		in = false
	}
	if !in {
		return false, nil
	}
	return true, fixed
}

// worst is the worst rating of a list.
func worst(list []rating) openflow.Severity {
	var s openflow.Severity
	for _, r := range list {
		s = worse(s, r.severity())
	}
	return s
}

func worse(list ...openflow.Severity) openflow.Severity {
	return slices.MaxFunc(list, func(a, b openflow.Severity) int { return cmp.Compare(a.Rank(), b.Rank()) })
}

// severity is what a vector of CVSS comes to, by the words that FIRST has for its numbers. Of version 2, NVD's.
func (r rating) severity() openflow.Severity {
	vector := strings.TrimSpace(r.Score)
	switch {
	case len(vector) > 1000:
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := cvss30.ParseVector(vector); err == nil {
			return word(v.BaseScore())
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := cvss31.ParseVector(vector); err == nil {
			return word(v.BaseScore())
		}
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := cvss40.ParseVector(vector); err == nil {
			return word(v.Score())
		}
	case r.Type == "CVSS_V2":
		if v, err := cvss20.ParseVector(vector); err == nil {
			return word(v.BaseScore())
		}
	default:
		return said(vector)
	}
	return ""
}

// word is the qualitative rating of a score (CVSS 3.1, section 5; CVSS 4.0, section 6). A score of 0 is the mildest there is.
func word(score float64) openflow.Severity {
	switch {
	case score >= 9:
		return openflow.SeverityCritical
	case score >= 7:
		return openflow.SeverityHigh
	case score >= 4:
		return openflow.SeverityMedium
	}
	return openflow.SeverityLow
}

// severity is what a database says in a word.
func (s specific) severity() openflow.Severity {
	text, _ := s.Severity.(string)
	urgency, _ := s.Urgency.(string)
	return worse(said(text), said(urgency))
}

// said reads the words of several databases.
func said(text string) openflow.Severity {
	switch strings.ToLower(strings.TrimRight(strings.TrimSpace(text), "*")) {
	case "critical":
		return openflow.SeverityCritical
	case "high", "important":
		return openflow.SeverityHigh
	case "medium", "moderate":
		return openflow.SeverityMedium
	case "low", "negligible", "unimportant", "none":
		return openflow.SeverityLow
	}
	return ""
}
