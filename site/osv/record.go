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
	return r.match(r.about(func(key string) bool { return key == p.Key() })[p.Key()], measured(p))
}

// match is Match by what the record says of that part's package.
func (r Record) match(about []bounds, p measure) (openflow.Vulnerability, bool) {
	v := openflow.Vulnerability{
		ID: r.ID, Aliases: r.Aliases, Package: openflow.Line(p.part.Ecosystem + " " + p.part.Name), Version: p.part.Version, Summary: openflow.Line(openflow.Cut(r.Summary, 300)),
	}
	var mended []point
	hit := false
	for _, a := range about {
		if a.release != "" && p.part.Release != "" && a.release != p.part.Release { // one that nobody knows is any
			continue
		}
		in, fixed := a.in(p)
		if !in {
			continue
		}
		hit = true
		mended = append(mended, fixed...)
		v.Severity = worse(v.Severity, worst(a.said.Severity), a.said.Ecosystem.severity(), a.said.Database.severity())
	}
	if !hit {
		return v, false
	}
	if own := worst(r.Severity); own != "" {
		v.Severity = worse(v.Severity, own)
	} else if v.Severity == "" {
		v.Severity = r.Database.severity()
	}
	compare := scales[p.part.Ecosystem].compare
	slices.SortFunc(mended, func(a, b point) int {
		if !a.ok || !b.ok {
			return strings.Compare(a.text, b.text)
		}
		return compare(a.version, b.version)
	})
	for _, f := range mended {
		if !slices.Contains(v.Fixed, f.text) {
			v.Fixed = append(v.Fixed, f.text)
		}
	}
	return v, true
}

// measure is a part whose version has been read.
type measure struct {
	part sbom.Part
	at   point
}

func measured(p sbom.Part) measure { return measure{p, pointAt(scales[p.Ecosystem], p.Version)} }

// point is a version that was read; ok is false for what is none.
type point struct {
	text    string
	version any
	ok      bool
}

func pointAt(s scale, text string) point {
	if s.read == nil {
		return point{text: text}
	}
	version, ok := s.read(text)
	return point{text, version, ok}
}

// zero is before all versions, and unbound behind all.
//
// Spec: https://ossf.github.io/osv-schema, "affected[].ranges[].events".
const (
	zero    = "0"
	unbound = "*"
)

// than orders two points that are readable.
func (p point) than(q point, s scale) int {
	switch {
	case p.text == q.text:
		return 0
	case p.text == zero || q.text == unbound:
		return -1
	case q.text == zero || p.text == unbound:
		return 1
	}
	return s.compare(p.version, q.version)
}

func (p point) readable() bool { return p.ok || p.text == zero || p.text == unbound }

// bounds are what a record says of one package, read once for all versions of it.
type bounds struct {
	said    affected
	scale   scale
	release string // of Debian; empty: of all
	listed  []point
	texts   []string
	spans   []span
}

// about reads what the record says of packages that are wanted, by the names that parts have.
func (r Record) about(wanted func(key string) bool) map[string][]bounds {
	found := map[string][]bounds{}
	if r.Withdrawn != "" {
		return found
	}
	for _, a := range r.Affected {
		ecosystem, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		s, known := scales[ecosystem]
		key := sbom.Key(ecosystem, a.Package.Name)
		if !known || !wanted(key) {
			continue
		}
		b := bounds{said: a, scale: s, release: release, texts: slices.Sorted(slices.Values(a.Versions))}
		for _, text := range a.Versions {
			if p := pointAt(s, text); p.ok {
				b.listed = append(b.listed, p)
			}
		}
		slices.SortFunc(b.listed, func(x, y point) int { return s.compare(x.version, y.version) })
		for _, said := range a.Ranges {
			if said.Type != "GIT" { // by commits, which no list of parts has
				b.spans = append(b.spans, said.span(s))
			}
		}
		found[key] = append(found[key], b)
	}
	return found
}

// in reports whether a part's version is one of those that are affected, and which later ones are not.
//
// The algorithm is that of the specification: https://ossf.github.io/osv-schema, "Evaluation".
func (b bounds) in(p measure) (in bool, fixed []point) {
	if len(b.said.Versions) == 0 && len(b.said.Ranges) == 0 { // the record speaks of the package as a whole
		return true, nil
	}
	if in = !p.at.ok; !in {
		if _, in = slices.BinarySearch(b.texts, p.part.Version); !in {
			_, in = slices.BinarySearchFunc(b.listed, p.at, func(x, y point) int { return b.scale.compare(x.version, y.version) })
		}
	}
	for _, s := range b.spans {
		hit, mended := s.in(p.at, b.scale)
		in = in || hit
		fixed = append(fixed, mended...)
	}
	return in, fixed
}

// span is a range that was read: its events in the order of versions.
type span struct {
	events   []moment
	readable bool
}

// moment is an event that was read.
type moment struct {
	said event
	at   point
}

func (v versionSpan) span(s scale) span {
	read := span{readable: true}
	for _, e := range v.Events {
		m := moment{e, pointAt(s, cmp.Or(e.Limit, e.Introduced, e.Fixed, e.LastAffected))}
		read.events = append(read.events, m)
		read.readable = read.readable && m.at.readable()
	}
	if read.readable {
		slices.SortStableFunc(read.events, func(a, b moment) int { return a.at.than(b.at, s) })
	}
	return read
}

// in evaluates the events of a range.
func (s span) in(version point, by scale) (in bool, fixed []point) {
	if !s.readable || !version.ok { // nobody can say that it is not
		for _, e := range s.events {
			if e.said.Fixed != "" {
				fixed = append(fixed, pointAt(by, e.said.Fixed))
			}
		}
		return true, fixed
	}
	limited, within := false, false
	for _, e := range s.events {
		reached := version.than(e.at, by) >= 0
		switch {
		case e.said.Limit != "":
			limited = true
			within = within || !reached
		case e.said.Introduced != "":
			in = in || reached
		case e.said.Fixed != "" && reached:
			in = false
		case e.said.Fixed != "":
			fixed = append(fixed, e.at)
		case e.said.LastAffected != "" && version.than(e.at, by) > 0:
			in = false
		}
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
