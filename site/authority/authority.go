// Package authority decides on whose word a job may have what of a site: whether the site's grants permit it.
//
// The decisions are pure functions over plain values. Start at [Drive] and [Enter], which are cheap and come first, and
// [Decide]. [Ledger] writes down what has been decided.
package authority

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// Claim is what a job wants of a site.
type Claim struct {
	Self      openflow.PartyID // the site
	Authority openflow.Authority
	Parties   []openflow.PartyID // of the whole job, each once
	Tasks     []TaskClaim        // that run here
	Tables    []openflow.TableName
	Models    []openflow.ModelRef // of others, to read or to write
	Held      []openflow.GrantID  // which the job has used before: they cost it nothing
}

// TaskClaim is what a task wants to run.
type TaskClaim struct {
	Component string
	Served    openflow.Served // by whom; zero: nobody here
	// Parameters are those of the job. What it leaves out has the component's defaults.
	Parameters openflow.Parameters
}

// Permit is that a job may have what it wants.
type Permit struct {
	Grants []openflow.GrantID // on which; none for a job of the site itself
	// Columns are what the job gets of tables that it gets in part. Others it gets whole.
	Columns map[openflow.TableName][]string
}

// By is who counts as the initiator of a job at this site. Nobody else can claim to speak for the site itself: a job that the
// site is said to have initiated, and has neither signed nor scheduled, is its scheduler's.
func By(self openflow.PartyID, a openflow.Authority) openflow.PartyID {
	if a.Initiator == self && !a.Signed && a.Scheduler != self {
		return a.Scheduler
	}
	return a.Initiator
}

// Drive decides whether the scheduler of a job, who calls, may schedule it here. It is the first look at a job whose initiator has
// still to be proven: what that one has been granted, it does not tell. Errors: CodePermission.
func Drive(self openflow.PartyID, a openflow.Authority, grants []openflow.Grant, now time.Time) error {
	d := newDecision(Claim{Self: self, Authority: a}, grants, now)
	d.anyPurpose = true
	d.schedules()
	return d.refusal()
}

// Enter decides whether jobs of this authority are taken at all: by grants to initiate and to schedule. It is the first look
// at a job. The site itself needs neither. Errors: CodePermission, with what is missing and the command that allows it.
func Enter(self openflow.PartyID, a openflow.Authority, grants []openflow.Grant, now time.Time) error {
	d := newDecision(Claim{Self: self, Authority: a}, grants, now)
	d.anyPurpose = true
	d.enter()
	return d.refusal()
}

// Still tells whether the grants on which a job was created, which are all still good, give it a task that is about to start.
// Another program than then may serve its component by now, with other defaults.
func Still(held []openflow.Grant, t TaskClaim) bool {
	given := false
	for _, g := range held {
		if g.Kind != openflow.GrantUse {
			continue
		}
		fits := names(g, t.Component) && gives(g, t) == ""
		given = given || fits
		if len(g.Components) == 0 {
			fits = keeps(g, t) == ""
		}
		if len(g.Tables)+len(g.Models) > 0 && !fits { // what it gives is for jobs that run nothing else
			return false
		}
	}
	return given
}

// Particular tells whether what a grant gives depends on which program serves a component.
func Particular(g openflow.Grant) bool {
	return len(g.Limits) > 0 || slices.ContainsFunc(g.Components, func(c openflow.GrantedComponent) bool {
		return c != openflow.GrantedComponent{Name: c.Name}
	})
}

// Decide tells on which grants a job may have all that it claims. Grants that are used up come last: whether one has a use
// left for the job, only the catalogue knows for certain. The time that it takes grows with the job and with the grants of
// that initiator and scheduler. Errors: CodePermission, with everything that is missing and the command that allows it.
func Decide(c Claim, grants []openflow.Grant, now time.Time) (Permit, error) {
	d := newDecision(c, grants, now)
	d.enter()
	if d.by != c.Self { // what a site does with its own is its own affair, whoever drives it
		d.tasks()
		d.tables()
		d.models()
	}
	return d.permit, d.refusal()
}

// DecideModels is Decide for a site that allows everything but models of others.
func DecideModels(c Claim, grants []openflow.Grant, now time.Time) (Permit, error) {
	d := newDecision(c, grants, now)
	d.models()
	return d.permit, d.refusal()
}

// Spent finds a grant of a permit that has no use left for the job.
func (p Permit) Spent(c Claim, grants []openflow.Grant) (openflow.Grant, bool) {
	i := slices.IndexFunc(grants, func(g openflow.Grant) bool { return c.spent(g) && slices.Contains(p.Grants, g.ID) })
	if i < 0 {
		return openflow.Grant{}, false
	}
	return grants[i], true
}

// spent tells whether a grant has no use left for the job.
func (c Claim) spent(g openflow.Grant) bool { return g.Spent() && !slices.Contains(c.Held, g.ID) }

// judged is a grant whose initiator and scheduler are those of the job.
type judged struct {
	openflow.Grant
	not     string // why it does not give the job its tables; empty: it does, if checked
	checked bool   // whether it has been asked for all tasks
}

type decision struct {
	Claim
	by         openflow.PartyID
	now        time.Time
	grants     []*judged
	anyPurpose bool // what for and with whom is not known yet
	permit     Permit
	missing    []string
	flags      []string // of the command that allows what is missing
	schedule   bool     // the scheduler needs a grant of its own
}

func newDecision(c Claim, grants []openflow.Grant, now time.Time) *decision {
	d := &decision{Claim: c, by: By(c.Self, c.Authority), now: now, permit: Permit{Columns: map[openflow.TableName][]string{}}}
	for _, g := range grants {
		if d.concerns(g) {
			d.grants = append(d.grants, &judged{Grant: g})
		}
	}
	// A use is worth more than none, so what costs none comes first, and what has none left last.
	worth := func(g *judged) int {
		switch {
		case c.spent(g.Grant):
			return 2
		case g.Uses > 0 && !slices.Contains(c.Held, g.ID):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(d.grants, func(a, b *judged) int {
		return cmp.Or(cmp.Compare(worth(a), worth(b)), a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID))
	})
	return d
}

// concerns tells whether a grant is to the initiator and the scheduler of the job. Who the initiator is has been proven by
// its signature, or it has called this site itself. Otherwise a scheduler could use whatever others have been granted: then
// the grant must name it.
func (d *decision) concerns(g openflow.Grant) bool {
	proven := d.Authority.Signed || d.by == d.Authority.Scheduler || d.Authority.Scheduler == d.Self
	if g.Initiator != "" && g.Initiator != d.by || g.Scheduler != "" && g.Scheduler != d.Authority.Scheduler {
		return false
	}
	return proven || g.Scheduler != "" || g.Kind == openflow.GrantSchedule
}

// counts tells why a grant does not count for the job.
func (d *decision) counts(g *judged) string {
	switch {
	case g.Expired(d.now):
		return "was until " + g.Until.UTC().Format(time.RFC3339)
	case d.anyPurpose:
		return ""
	case g.Purpose != "" && g.Purpose != d.Authority.Purpose:
		return fmt.Sprintf("is for the purpose %q", g.Purpose)
	case len(g.Partners) == 0:
		return ""
	}
	for _, p := range d.Parties {
		if p != d.Self && p != d.by && !slices.Contains(g.Partners, p) {
			return fmt.Sprintf("is for jobs without party %s", p)
		}
	}
	return ""
}

// take takes the first grant of a kind that gives something, and otherwise notes what is missing, and why the grants do not
// give it that were meant to.
func (d *decision) take(kind openflow.GrantKind, what, flag string, meant func(*judged) bool, not func(*judged) string) *judged {
	var why []string
	for _, g := range d.grants {
		if g.Kind != kind || !meant(g) {
			continue
		}
		reason := d.counts(g)
		if reason == "" {
			reason = not(g)
		}
		if reason == "" {
			if !slices.Contains(d.permit.Grants, g.ID) {
				d.permit.Grants = append(d.permit.Grants, g.ID)
			}
			return g
		}
		if len(why) < maxReasons {
			why = append(why, fmt.Sprintf("grant %s %s", g.ID, reason))
		}
	}
	if len(why) > 0 {
		what += " (" + strings.Join(why, "; ") + ")"
	}
	d.missing, d.flags = append(d.missing, what), append(d.flags, flag)
	return nil
}

// What a refusal tells at most.
const (
	maxReasons = 3  // of one thing that is missing
	maxMissing = 20 // things
)

func every(*judged) bool     { return true }
func nothing(*judged) string { return "" }

func (d *decision) enter() {
	if d.by != d.Self {
		d.take(openflow.GrantInitiate, "initiate jobs", "--initiate", every, nothing)
	}
	d.schedules()
}

func (d *decision) schedules() {
	if d.Authority.Scheduler == d.Self {
		return
	}
	before := len(d.missing)
	d.take(openflow.GrantSchedule, "schedule jobs", "--schedule", every, nothing)
	if d.schedule = len(d.missing) > before; d.schedule && d.by != d.Authority.Scheduler {
		d.flags = d.flags[:len(d.flags)-1] // it takes a command of its own
	}
}

// tasks looks at every task, and tells of each component that is missing once.
func (d *decision) tasks() {
	missing := map[string]bool{}
	for _, t := range d.Tasks {
		if missing[t.Component] {
			continue
		}
		named := func(g *judged) bool { return names(g.Grant, t.Component) }
		missing[t.Component] = d.take(openflow.GrantUse, "component "+t.Component, "--component "+t.Component, named,
			func(g *judged) string { return gives(g.Grant, t) }) == nil
	}
}

// gives tells why a grant that names a component does not give a task.
func gives(g openflow.Grant, t TaskClaim) string {
	not := ""
	for _, c := range g.Components {
		if c.Name != t.Component && c.Name != openflow.AllComponents {
			continue
		}
		if fits(c, t.Served) {
			return keeps(g, t)
		}
		not = "is for " + c.String()
	}
	return not
}

func fits(c openflow.GrantedComponent, by openflow.Served) bool {
	ref, err := openflow.ParseProvider(by.Provider)
	return (c.Provider == "" || err == nil && c.Provider == ref.Name) && (c.Version == "" || err == nil && c.Version == ref.Version) &&
		(c.Digest == "" || c.Digest == by.Digest)
}

// keeps tells which limit of a grant a task does not keep.
func keeps(g openflow.Grant, t TaskClaim) string {
	for _, l := range g.Limits {
		if l.Component == t.Component && !l.Keeps(t.Parameters) && !(byDefault(l, t) && l.Keeps(t.Served.Defaults)) {
			return "wants " + l.String()
		}
	}
	return ""
}

// byDefault tells whether a job leaves a parameter to the component.
func byDefault(l openflow.ParameterLimit, t TaskClaim) bool {
	name, _, _ := strings.Cut(l.Parameter, ".")
	return t.Parameters[name] == nil
}

// whole tells why a grant does not give its tables and models to the job: it names components, and the job runs others, or it
// does not keep its limits.
func (d *decision) whole(g *judged) string {
	if !g.checked {
		g.checked = true
		for _, t := range d.Tasks {
			if len(g.Components) == 0 {
				g.not = keeps(g.Grant, t)
			} else if g.not = gives(g.Grant, t); g.not == "" && !names(g.Grant, t.Component) {
				g.not = "is for jobs without component " + t.Component
			}
			if g.not != "" {
				break
			}
		}
	}
	return g.not
}

// names tells whether a grant is for a component, of whichever provider.
func names(g openflow.Grant, component string) bool {
	return slices.ContainsFunc(g.Components, func(c openflow.GrantedComponent) bool { return c.Name == component || c.Name == openflow.AllComponents })
}

// tables looks at every table. Columns of several grants do not add up, since nobody has granted them together: the grant
// that gives the whole table counts before those that give columns, and of these the first.
func (d *decision) tables() {
	by := map[openflow.TableName][]*judged{}
	for _, g := range d.grants {
		for _, t := range g.Tables {
			by[t.Name] = append(by[t.Name], g)
		}
	}
	all := d.grants
	defer func() { d.grants = all }()
	seen := map[openflow.TableName]bool{}
	for _, name := range d.Tables {
		if seen[name] {
			continue
		}
		seen[name] = true
		d.grants = by[name]
		slices.SortStableFunc(d.grants, func(a, b *judged) int {
			return cmp.Or(compareBool(d.spent(a.Grant), d.spent(b.Grant)), cmp.Compare(inPart(a.Grant, name), inPart(b.Grant, name)))
		})
		g := d.take(openflow.GrantUse, "table "+name.String(), "--table "+name.String(), every, d.whole)
		if g != nil && inPart(g.Grant, name) > 0 {
			d.permit.Columns[name] = columnsOf(g.Grant, name)
		}
	}
}

// compareBool puts what is not before what is.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// inPart is 0 for a grant of a whole table, and 1 for one of columns.
func inPart(g openflow.Grant, name openflow.TableName) int {
	if slices.ContainsFunc(g.Tables, func(t openflow.GrantedTable) bool { return t.Name == name && len(t.Columns) == 0 }) {
		return 0
	}
	return 1
}

func columnsOf(g openflow.Grant, name openflow.TableName) (columns []string) {
	for _, t := range g.Tables {
		if t.Name == name {
			columns = append(columns, t.Columns...)
		}
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

func (d *decision) models() {
	seen := map[openflow.ModelRef]bool{}
	for _, m := range d.Models {
		if seen[m] {
			continue
		}
		seen[m] = true
		d.take(openflow.GrantUse, "model "+m.ID+" version "+m.Version+", which is of others", "--model "+m.ID+"/"+m.Version,
			func(g *judged) bool { return g.CoversModel(m) }, d.whole)
	}
}

// refusal is what is missing, all of it.
func (d *decision) refusal() error {
	if len(d.missing) == 0 {
		return nil
	}
	who := "party " + string(d.by)
	if d.by != d.Authority.Scheduler {
		who += ", scheduled by party " + string(d.Authority.Scheduler) + ","
	}
	missing, flags := d.missing, d.flags
	if len(missing) > maxMissing {
		missing = append(slices.Clone(missing[:maxMissing]), fmt.Sprintf("and %d more", len(d.missing)-maxMissing))
	}
	e := openflow.Errorf(openflow.CodePermission, "%s may not use here: %s", who, strings.Join(missing, ", "))
	return e.WithHint("correct the job; or, to allow it, the operator of party %s runs: %s", d.Self, d.command(flags))
}

// command allows what is missing.
func (d *decision) command(flags []string) string {
	const most = 40
	var commands []string
	if len(flags) > 0 {
		words := append([]string{"openflow grant add", string(d.by)}, flags[:min(most, len(flags))]...)
		if !d.Authority.Signed && d.by != d.Authority.Scheduler && d.Authority.Scheduler != d.Self {
			words = append(words, "--scheduler "+string(d.Authority.Scheduler))
		}
		commands = append(commands, strings.Join(words, " "))
	}
	if d.schedule && d.by != d.Authority.Scheduler {
		commands = append(commands, "openflow grant add "+string(d.Authority.Scheduler)+" --schedule")
	}
	return strings.Join(commands, "; ")
}
