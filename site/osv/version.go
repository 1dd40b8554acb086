package osv

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"openflow/site/sbom"
)

// maxVersion bounds what is compared as a version.
const maxVersion = 256

// scale orders the versions of one ecosystem. Each is read once, and compared often.
type scale struct {
	read    func(text string) (version any, ok bool) // ok is false for what is no version
	compare func(a, b any) int
}

// scales are those of the ecosystems that are compared.
var scales = map[string]scale{
	sbom.Go:     {semantic, func(a, b any) int { return semver.Compare(a.(string), b.(string)) }},
	sbom.Debian: {debian, func(a, b any) int { return compareDebian(a.([]string), b.([]string)) }},
	sbom.PyPI:   {pep440, func(a, b any) int { return comparePython(a.(python), b.(python)) }},
}

// semantic reads what semver.org has. Versions of Go's standard library may have two numbers.
func semantic(text string) (any, bool) {
	text = "v" + strings.TrimPrefix(text, "v")
	return text, len(text) <= maxVersion && semver.IsValid(text)
}

var debianForm = regexp.MustCompile(`^(?:([0-9]+):)?([0-9A-Za-z][0-9A-Za-z.+~_-]*?)(?:-([0-9A-Za-z+.~_]*))?$`)

// debian reads what dpkg has (deb-version(7)): epoch, upstream version, revision.
func debian(text string) (any, bool) {
	if len(text) > maxVersion {
		return nil, false
	}
	m := debianForm.FindStringSubmatch(text)
	return m, m != nil
}

func compareDebian(x, y []string) int {
	return cmp.Or(number(x[1], y[1]), verrevcmp(x[2], y[2]), verrevcmp(x[3], y[3]))
}

// number compares digits, however many. None are zero.
func number(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// verrevcmp compares what is not digits by dpkg's order of characters, and digits as a number, in turn.
func verrevcmp(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if n := cmp.Compare(weight(a), weight(b)); n != 0 {
				return n
			}
			a, b = behind(a), behind(b)
		}
		x, y := digits(a), digits(b)
		if n := number(a[:x], b[:y]); n != 0 {
			return n
		}
		a, b = a[x:], b[y:]
	}
	return 0
}

// weight orders a string's first character: "~" before the end, the end and digits, letters, others.
func weight(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func behind(s string) string {
	if s == "" || digit(s[0]) {
		return s
	}
	return s[1:]
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// digits is how many a string begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

// pep440Form is the form of PEP 440, appendix B.
var pep440Form = regexp.MustCompile(`(?i)^\s*v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` + // epoch, release
	`(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?([0-9]*))?` + // pre-release
	`(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]*))?` + // post-release
	`(?:[-_.]?(dev)[-_.]?([0-9]*))?` + // development release
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$`) // local version

// python is a version in the form of PEP 440, as it is compared.
type python struct {
	epoch   string
	release []string
	pre     [2]string // its letter, and number; "" before all and "~" behind all letters
	post    string    // "" without one, else "p" and the number
	dev     string
	isDev   bool
	local   []string
}

// pep440 reads what PEP 440 has, local versions included.
func pep440(text string) (any, bool) {
	if len(text) > maxVersion {
		return nil, false
	}
	m := pep440Form.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	v := python{epoch: m[1], release: strings.Split(m[2], "."), isDev: m[8] != "", dev: m[9]}
	for len(v.release) > 1 && strings.Trim(v.release[len(v.release)-1], "0") == "" {
		v.release = v.release[:len(v.release)-1]
	}
	posted := m[5] != "" || m[6] != ""
	switch letter := strings.ToLower(m[3]); letter {
	case "":
		v.pre[0] = "~"
		if v.isDev && !posted { // 1.0.dev1 comes before 1.0a1
			v.pre[0] = ""
		}
	case "alpha":
		v.pre = [2]string{"a", m[4]}
	case "beta":
		v.pre = [2]string{"b", m[4]}
	case "c", "pre", "preview":
		v.pre = [2]string{"rc", m[4]}
	default:
		v.pre = [2]string{letter, m[4]}
	}
	if posted {
		v.post = "p" + m[5] + m[7]
	}
	if m[10] != "" {
		v.local = separator.Split(strings.ToLower(m[10]), -1)
	}
	return v, true
}

var separator = regexp.MustCompile(`[-_.]`)

func comparePython(x, y python) int {
	return cmp.Or(
		number(x.epoch, y.epoch), slices.CompareFunc(x.release, y.release, number),
		strings.Compare(x.pre[0], y.pre[0]), number(x.pre[1], y.pre[1]),
		cmp.Compare(len(x.post[:min(1, len(x.post))]), len(y.post[:min(1, len(y.post))])), number(strings.TrimPrefix(x.post, "p"), strings.TrimPrefix(y.post, "p")),
		released(x, y), number(x.dev, y.dev), slices.CompareFunc(x.local, y.local, local),
	)
}

// released orders a development release before what it leads to.
func released(x, y python) int {
	switch {
	case x.isDev == y.isDev:
		return 0
	case x.isDev:
		return -1
	}
	return 1
}

// local compares a segment of local versions: numbers come behind letters.
func local(a, b string) int {
	x, y := digits(a) == len(a), digits(b) == len(b)
	switch {
	case x && y:
		return number(a, b)
	case x != y && x:
		return 1
	case x != y:
		return -1
	}
	return strings.Compare(a, b)
}
