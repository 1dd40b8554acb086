package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/site/approval"
	"openflow/site/trust"
)

// maxBytes bounds a policy file.
const maxBytes = 64 << 10

// bounds of a value, both allowed; of a duration in nanoseconds.
type bounds struct{ least, most int64 }

// limits are the bounds of every key that is a number or a duration.
var limits = map[string]bounds{
	"psi.max_partner_ids":            {1, math.MaxInt32},
	"psi.min_intersection":           {1, math.MaxInt32},
	"coordinated_lr.rows_per_column": {1, 1_000_000},
	"coordinated_lr.score_memory":    {int64(time.Hour), int64(3650 * 24 * time.Hour)},
	"containers.max_cores":           {1, 1024},
	"containers.max_memory":          {16 << 20, 1 << 40},
	"containers.max_processes":       {16, 32768},
	"containers.max_disk":            {1 << 20, 1 << 40},
	"containers.max_log":             {1 << 20, 1 << 30},
	"containers.max_stored":          {1 << 20, 1 << 40},
}

// maxEntries bounds a list of the file.
const maxEntries = 1000

// checks say what an entry of a list, or a text, must be.
var checks = map[string]func(string) error{
	"images.registries":        approval.CheckRegistry,
	"images.digests":           approval.CheckDigest,
	"images.publishers":        approval.CheckPublisher,
	"images.vulnerabilities":   checkFolder,
	"images.accepted":          approval.CheckVulnerability,
	"containers.capabilities":  approval.CheckCapability,
	"containers.mounts":        approval.CheckMount,
	"containers.networks":      approval.CheckNetwork,
	"containers.environment":   approval.CheckVariable,
	"engines.rabbitmq":         approval.CheckBroker,
	"engines.partners":         approval.CheckPartner,
	"images.blocking_severity": severity(openflow.Severities()),
	"images.unrated":           severity(openflow.Severities()[:4]),
}

// checkFolder refuses a path that depends on where the node is started.
func checkFolder(path string) error {
	if path == "" || filepath.IsAbs(path) && filepath.Clean(path) == path {
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "%q is not the whole path of a folder", path)
}

func severity(allowed []openflow.Severity) func(string) error {
	return func(s string) error {
		if slices.Contains(allowed, openflow.Severity(s)) {
			return nil
		}
		return openflow.Errorf(openflow.CodeInvalid, "%q is no severity", openflow.Cut(s, 80)).WithHint("use one of %v", allowed)
	}
}

// File is the name of a policy file in the home folder of a node.
const File = "policy.yaml"

// Source is where a site's policy comes from.
type Source struct {
	Path  string
	Named bool // by the operator: it must be there
}

// From is the file that an operator has named, else the one in the home folder.
func From(named, home string) Source {
	if named != "" {
		return Source{named, true}
	}
	return Source{filepath.Join(home, File), false}
}

// Read reads what the owner of the site's data allows. file is empty where there is no file, so that the defaults hold.
// CodeNotFound: a file that was named is missing.
func (s Source) Read() (p openflow.SitePolicy, file string, err error) {
	p, err = Read(s.Path)
	if openflow.CodeOf(err) == openflow.CodeNotFound && !s.Named {
		return openflow.DefaultSitePolicy(), "", nil
	}
	return p, s.Path, err
}

// Key is a setting of the file.
type Key struct {
	Path    string // as in "psi.max_partner_ids"
	Default string // as it would be written
	Least   string // the bounds of a number or duration; empty for what has none
	Most    string
}

// Keys lists all settings in the order of the schema.
func Keys() []Key {
	var keys []Key
	p := openflow.DefaultSitePolicy()
	each(&p, func(path string, v reflect.Value) {
		k := Key{Path: path, Default: text(v)}
		if b, ok := limits[path]; ok {
			k.Least, k.Most = textOf(v, b.least), textOf(v, b.most)
		}
		keys = append(keys, k)
	})
	return keys
}

// each visits the settings of p.
func each(p *openflow.SitePolicy, f func(path string, v reflect.Value)) {
	eachOf(reflect.ValueOf(p).Elem(), f)
}

func eachOf(sections reflect.Value, f func(path string, v reflect.Value)) {
	for i := range sections.NumField() {
		section, field := sections.Field(i), sections.Type().Field(i)
		if field.Anonymous {
			eachOf(section, f)
			continue
		}
		for j := range section.NumField() {
			f(name(field)+"."+name(section.Type().Field(j)), section.Field(j))
		}
	}
}

// name is the key of a field.
func name(f reflect.StructField) string { return f.Tag.Get("yaml") }

// text renders a value as a policy file has it.
func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.String:
		if plain.MatchString(v.String()) {
			return v.String()
		}
		return strconv.Quote(v.String())
	case reflect.Slice:
		entries := make([]string, v.Len())
		for i := range entries {
			entries[i] = strconv.Quote(v.Index(i).String())
		}
		return "[" + strings.Join(entries, ", ") + "]"
	}
	return textOf(v, v.Int())
}

// plain are texts that need no quotes: no YAML reader takes one for anything else.
var plain = regexp.MustCompile(`^(low|medium|high|critical|never)$`)

func textOf(like reflect.Value, n int64) string {
	if like.Type() == reflect.TypeFor[openflow.Bytes]() {
		text := openflow.FormatBytes(n)
		if exact, err := openflow.ParseBytes(text); err != nil || exact != n {
			return strconv.FormatInt(n, 10)
		}
		return text
	}
	if like.Type() == reflect.TypeFor[time.Duration]() {
		return Duration(time.Duration(n))
	}
	return strconv.FormatInt(n, 10)
}

// Duration renders d as ParseDuration reads it: whole days as "30d".
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}

// ParseDuration reads "30d", or what Go writes, such as "36h30m".
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err == nil && n <= uint64(math.MaxInt64/(24*time.Hour)) {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	return 0, openflow.Errorf(openflow.CodeInvalid, "%q is not a duration", s).WithHint("write it like 30d or 36h")
}

// Format writes p as a policy file.
func Format(p openflow.SitePolicy) string {
	var b strings.Builder
	section := ""
	each(&p, func(path string, v reflect.Value) {
		of, key, _ := strings.Cut(path, ".")
		if of != section {
			section = of
			fmt.Fprintf(&b, "%s:\n", of)
		}
		fmt.Fprintf(&b, "  %s: %s\n", key, text(v))
	})
	return b.String()
}

// Read reads the policy file at path. Errors: CodeNotFound (there is none), CodePermission (other users of the machine
// could change it, or it cannot be read), CodeInvalid (its content; see Parse).
func Read(path string) (openflow.SitePolicy, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return openflow.SitePolicy{}, openflow.Errorf(openflow.CodeNotFound, "policy file %s does not exist", path)
	case err != nil:
		return openflow.SitePolicy{}, unreadable(path, err)
	case !info.Mode().IsRegular():
		return openflow.SitePolicy{}, openflow.Errorf(openflow.CodeInvalid, "policy file %s is not a file", path)
	case info.Size() > maxBytes:
		return openflow.SitePolicy{}, tooLarge(path)
	}
	if err := CheckMode(path, info); err != nil {
		return openflow.SitePolicy{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return openflow.SitePolicy{}, unreadable(path, err)
	}
	return Parse(path, data)
}

func unreadable(path string, err error) error {
	return openflow.Errorf(openflow.CodePermission, "policy file %s cannot be read: %w", path, err).
		WithHint("let the user that the node runs as read it")
}

func tooLarge(path string) error {
	return openflow.Errorf(openflow.CodeInvalid, "policy file %s is larger than %d bytes", path, maxBytes)
}

// CheckMode refuses a file that other users of the machine own or may write: they would decide what is protected.
func CheckMode(path string, info fs.FileInfo) error {
	if err := trust.CheckOwner(path, info); err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return openflow.Errorf(openflow.CodePermission, "policy file %s can be changed by other users (mode %04o)", path, perm).
			WithHint("chmod go-w %s", path)
	}
	return nil
}
