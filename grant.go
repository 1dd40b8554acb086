package openflow

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GrantID names a grant at its site.
type GrantID string

// GrantKind says what a grant allows.
type GrantKind string

// The kinds of grants. None of them follows from another.
const (
	GrantUse      GrantKind = "use"      // jobs may use components, tables and models here
	GrantInitiate GrantKind = "initiate" // jobs of the initiator are taken
	GrantSchedule GrantKind = "schedule" // the scheduler may drive jobs here
)

// Grant is what the operator of a site allows jobs of peers: who, what, what for, how often and until when. Everything that it
// says holds at once. What no grant allows is refused.
type Grant struct {
	ID        GrantID // made by the catalogue
	Kind      GrantKind
	Initiator PartyID // whose jobs; empty: of everybody who may initiate here
	Scheduler PartyID // who drives them; empty: whoever may schedule here

	// What a grant of use gives. With components and tables in one, the tables are for jobs that run nothing else here.
	Components []GrantedComponent
	Tables     []GrantedTable
	Models     []ModelRef // without a version: all of that ID

	Purpose  string           // that the job must have, word for word; empty: any
	Partners []PartyID        // who may take part besides this site and the initiator; empty: anybody
	Limits   []ParameterLimit // that all tasks of these components must keep
	Uses     int              // how many jobs may be created on it; 0: any number
	Used     int              // how many have been
	Until    time.Time        // from then on it allows nothing; zero: for ever

	By   string // user
	Made time.Time
}

// GrantsAll is what a node that grants everything allows.
const GrantsAll = "this node was started with --grant-all: every peer may initiate and schedule jobs here and use every table and component, without a grant"

// AllComponents stands for every component.
const AllComponents = "*"

// GrantedComponent is a component that jobs may run. Empty parts allow any; a digest is that of the provider's program.
type GrantedComponent struct{ Name, Provider, Version, Digest string }

// GrantedTable is a table that jobs may read. With columns, jobs get those and no others.
type GrantedTable struct {
	Name    TableName
	Columns []string
}

// ParameterLimit is what a parameter of a component must keep: a bound, or one of some values.
type ParameterLimit struct {
	Component string
	Parameter string   // "a.b" is the member b of the object a
	Relation  string   // ">=", "<=" or "="
	Values    []string // one number for a bound; otherwise what it may be, as text
}

// MaxGrantItems bounds the lists of a grant. Decisions look at all of them for every job.
const MaxGrantItems = 1000 // components, tables, models, partners, limits; columns of one table

// Check refuses a grant that says nothing, or what nothing can mean. Errors: CodeInvalid.
func (g Grant) Check() error {
	bad := func(format string, args ...any) error { return Errorf(CodeInvalid, format, args...) }
	for _, id := range append([]PartyID{g.Initiator, g.Scheduler}, g.Partners...) {
		if id != "" {
			if err := CheckIdentifier("party_id", string(id)); err != nil {
				return err
			}
		}
	}
	items := len(g.Components) + len(g.Tables) + len(g.Models)
	switch {
	case max(items, len(g.Partners), len(g.Limits)) > MaxGrantItems:
		return bad("a grant lists more than %d things", MaxGrantItems)
	case slices.Contains(g.Partners, ""):
		return bad("a grant names a partner without an ID")
	case checkPurpose(g.Purpose) != "":
		return bad("the purpose of a grant cannot be that of a job: %s", checkPurpose(g.Purpose))
	case g.Uses < 0:
		return bad("a grant cannot be used %d times", g.Uses)
	case g.Kind == GrantUse && items == 0:
		return bad("the grant names no component, table or model")
	case g.Kind == GrantInitiate && g.Initiator == "", g.Kind == GrantSchedule && g.Scheduler == "":
		return bad("the grant to %s names no party", g.Kind)
	case g.Kind != GrantUse && items+len(g.Limits) > 0:
		return bad("a grant to %s names no components, tables, models or limits", g.Kind)
	case g.Kind != GrantUse && g.Kind != GrantInitiate && g.Kind != GrantSchedule:
		return bad("unknown kind of grant %q", g.Kind)
	}
	for _, c := range g.Components {
		if err := c.check(); err != nil {
			return err
		}
	}
	for _, t := range g.Tables {
		if err := t.Name.Check(); err != nil {
			return err
		}
		if len(t.Columns) > MaxGrantItems || slices.Contains(t.Columns, "") {
			return bad("the columns of table %s are more than %d, or one has no name", t.Name, MaxGrantItems)
		}
	}
	for _, m := range g.Models {
		if err := CheckIdentifier("model", m.ID); err != nil {
			return err
		}
		if m.Version != "" {
			if err := CheckIdentifier("version of a model", m.Version); err != nil {
				return err
			}
		}
	}
	for _, l := range g.Limits {
		if err := l.check(); err != nil {
			return err
		}
	}
	return nil
}

func (c GrantedComponent) check() error {
	if c.Name != AllComponents {
		if err := CheckIdentifier("component", c.Name); err != nil {
			return err
		}
	}
	if c.Version != "" && c.Provider == "" {
		return Errorf(CodeInvalid, "component %s has a version and no provider", c.Name).WithHint("write NAME@PROVIDER:VERSION")
	}
	if digest, hashed := strings.CutPrefix(c.Digest, digestPrefix); c.Digest != "" && (!hashed || len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "") {
		return Errorf(CodeInvalid, "%q is no digest of a program", Cut(c.Digest, 80)).WithHint("openflow provider show tells it: sha256:…")
	}
	return nil
}

func (l ParameterLimit) check() error {
	if err := CheckIdentifier("component", l.Component); err != nil {
		return err
	}
	numbers := 0
	for _, v := range l.Values {
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			numbers++
		}
	}
	bound := l.Relation == ">=" || l.Relation == "<="
	if l.Parameter == "" || len(l.Values) == 0 || len(l.Values) > MaxGrantItems || !bound && l.Relation != "=" || bound && (len(l.Values) != 1 || numbers != 1) {
		return Errorf(CodeInvalid, "limit %q is none", Cut(l.String(), 200)).
			WithHint("write COMPONENT.PARAMETER>=NUMBER, COMPONENT.PARAMETER<=NUMBER, or COMPONENT.PARAMETER=VALUE|VALUE")
	}
	return nil
}

const digestPrefix = "sha256:"

// ParseGrantedComponent reads "name", "name@provider", "name@provider:version" or "name@sha256:…".
func ParseGrantedComponent(text string) (GrantedComponent, error) {
	name, from, _ := strings.Cut(text, "@")
	c := GrantedComponent{Name: name}
	if strings.HasPrefix(from, digestPrefix) {
		c.Digest = from
	} else {
		c.Provider, c.Version, _ = strings.Cut(from, ":")
	}
	return c, c.check()
}

// String is what ParseGrantedComponent reads.
func (c GrantedComponent) String() string {
	switch {
	case c.Digest != "":
		return c.Name + "@" + c.Digest
	case c.Version != "":
		return c.Name + "@" + c.Provider + ":" + c.Version
	case c.Provider != "":
		return c.Name + "@" + c.Provider
	}
	return c.Name
}

// ParseGrantedTable reads "namespace/name" or "namespace/name:column,column".
func ParseGrantedTable(text string) (GrantedTable, error) {
	namespace, rest, _ := strings.Cut(text, "/")
	name, columns, some := strings.Cut(rest, ":")
	t := GrantedTable{Name: TableName{namespace, name}}
	if err := t.Name.Check(); err != nil {
		return t, err
	}
	if some {
		t.Columns = strings.Split(columns, ",")
	}
	if slices.Contains(t.Columns, "") {
		return t, Errorf(CodeInvalid, "%q names a column without a name", Cut(text, 200)).WithHint("write NAMESPACE/NAME:COLUMN,COLUMN")
	}
	return t, nil
}

// String is what ParseGrantedTable reads.
func (t GrantedTable) String() string {
	if len(t.Columns) == 0 {
		return t.Name.String()
	}
	return t.Name.String() + ":" + strings.Join(t.Columns, ",")
}

// ParseGrantedModel reads "id" or "id/version".
func ParseGrantedModel(text string) (ModelRef, error) {
	var m ModelRef
	m.ID, m.Version, _ = strings.Cut(text, "/")
	return m, Grant{Kind: GrantUse, Models: []ModelRef{m}}.Check()
}

// ParseParameterLimit reads "component.parameter>=100", "component.parameter<=100" or "component.parameter=a|b".
func ParseParameterLimit(text string) (ParameterLimit, error) {
	var l ParameterLimit
	at := strings.IndexAny(text, "<>=")
	if at >= 0 {
		l.Component, l.Parameter, _ = strings.Cut(text[:at], ".")
		l.Relation = text[at:]
		if strings.HasPrefix(l.Relation, "=") {
			l.Relation = "="
		} else if len(l.Relation) > 2 {
			l.Relation = l.Relation[:2]
		}
		l.Values = strings.Split(text[at+len(l.Relation):], "|")
	} else {
		l.Component = text
	}
	if err := l.check(); err != nil {
		return l, Errorf(CodeInvalid, "%q is no limit of a parameter", Cut(text, 200)).
			WithHint("write COMPONENT.PARAMETER>=NUMBER, COMPONENT.PARAMETER<=NUMBER, or COMPONENT.PARAMETER=VALUE|VALUE")
	}
	return l, nil
}

// String is what ParseParameterLimit reads.
func (l ParameterLimit) String() string {
	return l.Component + "." + l.Parameter + l.Relation + strings.Join(l.Values, "|")
}

// Keeps tells whether these parameters keep the limit. One that is not among them keeps none.
func (l ParameterLimit) Keeps(p Parameters) bool {
	var v any = map[string]any(p)
	for name := range strings.SplitSeq(l.Parameter, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	text := scalar(v)
	if text == "" {
		return false
	}
	if l.Relation == "=" {
		return slices.Contains(l.Values, text)
	}
	bound, err := strconv.ParseFloat(l.Values[0], 64)
	if err != nil {
		return false
	}
	got, err := strconv.ParseFloat(text, 64)
	if _, quoted := v.(string); err != nil || quoted {
		return false
	}
	if l.Relation == ">=" {
		return got >= bound
	}
	return got <= bound
}

// scalar is a JSON value as people write it; empty for what is no text, number or truth value.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// CoversModel tells whether a grant of a model covers that one.
func (g Grant) CoversModel(m ModelRef) bool {
	return slices.ContainsFunc(g.Models, func(has ModelRef) bool { return has.ID == m.ID && (has.Version == "" || has.Version == m.Version) })
}

// Spent reports whether no further job may be created on it.
func (g Grant) Spent() bool { return g.Uses > 0 && g.Used >= g.Uses }

// Expired reports whether it allows nothing any more.
func (g Grant) Expired(now time.Time) bool { return !g.Until.IsZero() && !now.Before(g.Until) }

// NoUse is that the grant allows no further job: it is used up, or has expired. Errors: CodePermission.
func (g Grant) NoUse() error {
	why := Errorf(CodePermission, "grant %s was until %s", g.ID, moment(g.Until))
	if g.Spent() {
		why = Errorf(CodePermission, "grant %s has been used %d of %d times", g.ID, g.Used, g.Uses)
	}
	return why.WithHint("the operator of the site that refuses it can grant the same anew: %s", cmp.Or(g.Command(!g.Spent()), "openflow grant add")).
		WithPublic("%s (the operator of the site that refuses it can grant the same anew)", why.Message)
}

// Command is what an operator types to make the same grant; anew: with a later end. It is empty for a grant to schedule the jobs of
// one initiator, which no command makes.
func (g Grant) Command(anew bool) string {
	party := cmp.Or(g.Initiator, "'*'")
	words := []string{""}
	add := func(flag, value string) { words = append(words, "--"+flag+" "+ShellWord(value)) }
	switch {
	case g.Kind == GrantSchedule && g.Initiator != "":
		return ""
	case g.Kind == GrantSchedule:
		party = g.Scheduler
		words = append(words, "--schedule")
	case g.Kind == GrantInitiate:
		words = append(words, "--initiate")
	}
	for _, c := range g.Components {
		add("component", c.String())
	}
	for _, t := range g.Tables {
		add("table", t.String())
	}
	for _, m := range g.Models {
		add("model", strings.TrimSuffix(m.ID+"/"+m.Version, "/"))
	}
	if g.Scheduler != "" && g.Kind != GrantSchedule {
		add("scheduler", string(g.Scheduler))
	}
	if g.Purpose != "" {
		add("purpose", g.Purpose)
	}
	for _, p := range g.Partners {
		add("partner", string(p))
	}
	for _, l := range g.Limits {
		add("limit", l.String())
	}
	if g.Uses > 0 {
		add("uses", strconv.Itoa(g.Uses))
	}
	switch {
	case anew:
		words = append(words, "--until DATE")
	case !g.Until.IsZero():
		add("until", moment(g.Until))
	}
	return "openflow grant add " + string(party) + strings.Join(words, " ")
}

// ShellWord is a text as a shell reads it as one word.
func ShellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,@+%", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Over tells why a grant allows nothing any more; empty: it does.
func (g Grant) Over(now time.Time) string {
	switch {
	case g.Expired(now):
		return "expired"
	case g.Spent():
		return "used up"
	}
	return ""
}

// String tells in words what the grant allows: a sentence.
func (g Grant) String() string {
	whose := "everybody who may initiate here"
	if g.Initiator != "" {
		whose = "party " + string(g.Initiator)
	}
	var b strings.Builder
	switch g.Kind {
	case GrantSchedule:
		b.WriteString("Party " + string(g.Scheduler) + " may schedule jobs here")
		if g.Initiator != "" {
			b.WriteString(" that " + whose + " initiates")
		}
	case GrantInitiate:
		b.WriteString(capital(whose) + " may initiate jobs here")
	default:
		b.WriteString(capital(whose) + " may have jobs here")
	}
	if g.Scheduler != "" && g.Kind != GrantSchedule {
		b.WriteString(" that party " + string(g.Scheduler) + " schedules")
	}
	if g.Kind == GrantUse {
		b.WriteString(": " + g.what())
	}
	for _, l := range g.Limits {
		b.WriteString(", with " + l.words())
	}
	if len(g.Partners) > 0 {
		b.WriteString(", with party " + listed(texts(g.Partners), " and ") + " only")
	}
	if g.Uses > 0 {
		b.WriteString(", " + strconv.Itoa(max(g.Uses-g.Used, 0)) + " of " + strconv.Itoa(g.Uses) + " times left")
	}
	if !g.Until.IsZero() {
		b.WriteString(", until " + moment(g.Until))
	}
	if g.Purpose != "" {
		b.WriteString(", for '" + g.Purpose + "'")
	}
	return b.String()
}

// what is what a grant of use gives, in words.
func (g Grant) what() string {
	var components, tables []string
	for _, c := range g.Components {
		components = append(components, c.words())
	}
	for _, t := range g.Tables {
		if len(t.Columns) == 0 {
			tables = append(tables, "table "+t.Name.String())
			continue
		}
		noun := "columns "
		if len(t.Columns) == 1 {
			noun = "column "
		}
		tables = append(tables, noun+strings.Join(t.Columns, ", ")+" of "+t.Name.String())
	}
	for _, m := range g.Models {
		words := "model " + m.ID
		if m.Version != "" {
			words += " version " + m.Version
		}
		tables = append(tables, words)
	}
	switch {
	case len(tables) == 0:
		return listed(components, " and ")
	case len(components) == 0:
		return listed(tables, " and ") + ", with components of other grants"
	}
	return listed(components, " and ") + " on " + listed(tables, " and ")
}

func (c GrantedComponent) words() string {
	name := c.Name
	if name == AllComponents {
		name = "every component"
	}
	switch {
	case c.Digest != "":
		return name + " of the program " + c.Digest
	case c.Version != "":
		return name + " of provider " + c.Provider + " version " + c.Version
	case c.Provider != "":
		return name + " of provider " + c.Provider
	}
	return name
}

func (l ParameterLimit) words() string {
	name := l.Component + "." + l.Parameter
	switch l.Relation {
	case ">=":
		return name + " at least " + l.Values[0]
	case "<=":
		return name + " at most " + l.Values[0]
	}
	return name + " " + listed(l.Values, " or ")
}

// moment is a time as people write it, without a time of day that is midnight in UTC.
func moment(t time.Time) string {
	if t = t.UTC(); t.Truncate(24 * time.Hour).Equal(t) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// listed is "a, b and c".
func listed(list []string, last string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + last + list[len(list)-1]
}
