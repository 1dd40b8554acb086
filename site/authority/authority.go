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
	// Had is what has been read of tables already: by the job when it was created, and by earlier jobs whose outputs it reads.
	// A grant that gives less of a table does not give what was made of more.
	Had map[openflow.TableName]Extent
}

// Extent is how much of a table was read: all of it, or some columns.
type Extent struct {
	Whole   bool
	Columns []string
}

// With is both extents together; no columns are all of a table.
func (e Extent) With(columns []string) Extent {
	e.Whole = e.Whole || len(columns) == 0
	e.Columns = append(slices.Clone(e.Columns), columns...)
	slices.Sort(e.Columns)
	e.Columns = slices.Compact(e.Columns)
	return e
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
	_, err := d.decide()
	return err
}

// Enter decides whether jobs of this authority are taken at all: by grants to initiate and to schedule. It is the first look
// at a job. The site itself needs neither. Errors: CodePermission, with what is missing and the command that allows it.
func Enter(self openflow.PartyID, a openflow.Authority, grants []openflow.Grant, now time.Time) error {
	d := newDecision(Claim{Self: self, Authority: a}, grants, now)
	d.anyPurpose = true
	d.enter()
	_, err := d.decide()
	return err
}

// Still tells whether the grants on which a job was created, which are all still good, give it a task that is about to start.
// Another program than then may serve its component by now, with other defaults.
func Still(held []openflow.Grant, t TaskClaim) bool {
	given := false
	for _, g := range held {
		if g.Kind != openflow.GrantUse {
			continue
		}
		fits := names(g, t.Component) && gives(g, t).none()
		given = given || fits
		if len(g.Components) == 0 {
			fits = keeps(g, t).none()
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

// Decide tells on which grants a job may have all that it claims: of those that count their uses, on as few as will do. Grants that
// are used up come last: whether one has a use left for the job, only the catalogue knows for certain. The time that it takes grows with the job and with the grants of
// that initiator and scheduler. Errors: CodePermission, with everything that is missing and the command that allows it.
func Decide(c Claim, grants []openflow.Grant, now time.Time) (Permit, error) {
	d := newDecision(c, grants, now)
	d.enter()
	if d.by != c.Self { // what a site does with its own is its own affair, whoever drives it
		d.tasks()
		d.tables()
		d.models()
	}
	return d.decide()
}

// DecideModels is Decide for a site that allows everything but models of others.
func DecideModels(c Claim, grants []openflow.Grant, now time.Time) (Permit, error) {
	d := newDecision(c, grants, now)
	d.models()
	return d.decide()
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
	worth   int   // what a use of it is worth: see newDecision
	not     fault // why it does not give the job its tables; none: it does, if checked
	checked bool  // whether it has been asked for all tasks
}

// Worth of a use.
const (
	free    = iota // it costs nothing
	counted        // it is one of few
	spent          // there is none left
)

// fault is why a grant does not give something.
type fault struct {
	why  string
	mend func(*openflow.Grant) // makes it give that, and leaves it all else that it says; nil: nothing but another job would
	over bool                  // its time is over, and its terms are as they should be
}

func (f fault) none() bool { return f.why == "" }

// need is something that a job needs of a grant, and who gives it.
type need struct {
	from  []*judged // of those that are as good, and several only where each costs a use
	table openflow.TableName
}

type decision struct {
	Claim
	by         openflow.PartyID
	now        time.Time
	grants     []*judged
	anyPurpose bool // what for and with whom is not known yet
	needs      []need
	missing    []string
	flags      []string   // of the command that allows what no grant is meant to
	anew       []*renewal // grants that nearly give what is missing
	schedule   bool       // the scheduler needs a grant of its own
}

// renewal is a grant that is to be made again, with what it lacks.
type renewal struct {
	openflow.Grant
	over bool
}

func newDecision(c Claim, grants []openflow.Grant, now time.Time) *decision {
	d := &decision{Claim: c, by: By(c.Self, c.Authority), now: now}
	for _, g := range grants {
		if d.concerns(g) {
			d.grants = append(d.grants, &judged{Grant: g, worth: c.worth(g)})
		}
	}
	slices.SortStableFunc(d.grants, func(a, b *judged) int {
		return cmp.Or(cmp.Compare(a.worth, b.worth), a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID))
	})
	return d
}

// worth is what it costs the job to use a grant. A use is worth more than none, so what costs none comes first.
func (c Claim) worth(g openflow.Grant) int {
	switch {
	case c.spent(g):
		return spent
	case g.Uses > 0 && !slices.Contains(c.Held, g.ID):
		return counted
	}
	return free
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
func (d *decision) counts(g *judged) fault {
	switch {
	case g.Expired(d.now):
		return fault{why: "was until " + g.Until.UTC().Format(time.RFC3339), mend: func(*openflow.Grant) {}, over: true}
	case d.anyPurpose:
		return fault{}
	case g.Purpose != "" && g.Purpose != d.Authority.Purpose:
		f := fault{why: fmt.Sprintf("is for the purpose %q", g.Purpose)}
		if d.Authority.Purpose != "" { // without a purpose it would be for every one
			f.mend = func(g *openflow.Grant) { g.Purpose = d.Authority.Purpose }
		}
		return f
	case len(g.Partners) == 0:
		return fault{}
	}
	for _, p := range d.Parties {
		if p != d.Self && p != d.by && !slices.Contains(g.Partners, p) {
			return fault{why: fmt.Sprintf("is for jobs without party %s", p), mend: func(g *openflow.Grant) { g.Partners = append(slices.Clone(g.Partners), p) }}
		}
	}
	return fault{}
}

// How near a grant that does not give something is to the job.
const (
	fitting = iota // it is for such jobs
	ended          // it was
	far            // it is for another purpose, or for other partners
)

// take finds the grants of a kind that give something, of those that come first, and otherwise notes what is missing, and why the
// grants do not give it that were meant to. It tells whether any gives it.
func (d *decision) take(kind openflow.GrantKind, n need, what, flag string, meant func(*judged) bool, not func(*judged) fault) bool {
	var why []string
	var near *judged // of the grants that do not give it, the one that fits the job best, and can be mended
	var lacks fault
	best := far + 1
	for _, g := range d.grants {
		if len(n.from) == maxChoice || len(n.from) > 0 && !alike(g, n.from[0], n.table) {
			break
		}
		if g.Kind != kind || !meant(g) {
			continue
		}
		f, at := d.counts(g), far
		switch {
		case f.none():
			f, at = not(g), fitting
		case f.over:
			at = ended
		}
		if f.none() {
			n.from = append(n.from, g)
			if g.worth != counted {
				break
			}
			continue
		}
		if len(why) < maxReasons {
			why = append(why, fmt.Sprintf("grant %s %s", g.ID, f.why))
		}
		if at < best || at == best && lacks.mend == nil {
			near, lacks, best = g, f, at
		}
	}
	if len(n.from) > 0 {
		d.needs = append(d.needs, n)
		return true
	}
	if near != nil && lacks.mend != nil {
		d.renew(near.Grant, lacks)
	}
	if len(why) > 0 {
		what += " (" + strings.Join(why, "; ") + ")"
	} else {
		d.flags = append(d.flags, flag)
	}
	d.missing = append(d.missing, what)
	return false
}

// alike tells whether two grants that give something are as good: then the one is used that serves the job better.
func alike(a, b *judged, table openflow.TableName) bool {
	return a.worth == b.worth && (table == openflow.TableName{} || inPart(a.Grant, table) == inPart(b.Grant, table))
}

// renew notes that a grant would give what is missing with this mended, as well as what is mended of it for other things.
func (d *decision) renew(g openflow.Grant, f fault) {
	i := slices.IndexFunc(d.anew, func(a *renewal) bool { return a.ID == g.ID })
	if i < 0 {
		i, d.anew = len(d.anew), append(d.anew, &renewal{Grant: g})
	}
	f.mend(&d.anew[i].Grant)
	d.anew[i].over = d.anew[i].over || f.over
}

// decide is what comes of the decision.
func (d *decision) decide() (Permit, error) {
	p := Permit{Columns: map[openflow.TableName][]string{}}
	if err := d.refusal(); err != nil {
		return p, err
	}
	used := fewest(d.needs)
	for _, n := range d.needs {
		g := n.from[0]
		for _, other := range n.from {
			if used[other] {
				g = other
				break
			}
		}
		if !slices.Contains(p.Grants, g.ID) {
			p.Grants = append(p.Grants, g.ID)
		}
		if (n.table != openflow.TableName{}) && inPart(g.Grant, n.table) > 0 {
			p.Columns[n.table] = columnsOf(g.Grant, n.table)
		}
	}
	return p, nil
}

// What a refusal tells at most.
const (
	maxReasons = 3       // of one thing that is missing
	maxMissing = 20      // things
	maxAdvice  = 2 << 10 // bytes of the commands that make grants again
)

func every(*judged) bool    { return true }
func nothing(*judged) fault { return fault{} }

func (d *decision) enter() {
	if d.by != d.Self {
		d.take(openflow.GrantInitiate, need{}, "initiate jobs", "--initiate", every, nothing)
	}
	d.schedules()
}

func (d *decision) schedules() {
	if d.Authority.Scheduler == d.Self {
		return
	}
	before := len(d.flags)
	d.take(openflow.GrantSchedule, need{}, "schedule jobs", "--schedule", every, nothing)
	if d.schedule = len(d.flags) > before; d.schedule && d.by != d.Authority.Scheduler {
		d.flags = d.flags[:before] // it takes a command of its own
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
		missing[t.Component] = !d.take(openflow.GrantUse, need{}, "component "+t.Component, "--component "+t.Component, named,
			func(g *judged) fault { return gives(g.Grant, t) })
	}
}

// gives tells why a grant that names a component does not give a task.
func gives(g openflow.Grant, t TaskClaim) fault {
	var not fault
	for _, c := range g.Components {
		if c.Name != t.Component && c.Name != openflow.AllComponents {
			continue
		}
		if fits(c, t.Served) {
			return keeps(g, t)
		}
		not = fault{why: "is for " + c.String()}
		if ref, err := openflow.ParseProvider(t.Served.Provider); err == nil {
			not.mend = adds(openflow.GrantedComponent{Name: t.Component, Provider: ref.Name, Version: ref.Version})
		}
	}
	return not
}

// adds has a grant give a component too.
func adds(c openflow.GrantedComponent) func(*openflow.Grant) {
	return func(g *openflow.Grant) {
		if !slices.Contains(g.Components, c) {
			g.Components = append(slices.Clone(g.Components), c)
		}
	}
}

func fits(c openflow.GrantedComponent, by openflow.Served) bool {
	ref, err := openflow.ParseProvider(by.Provider)
	return (c.Provider == "" || err == nil && c.Provider == ref.Name) && (c.Version == "" || err == nil && c.Version == ref.Version) &&
		(c.Digest == "" || c.Digest == by.Digest)
}

// keeps tells which limit of a grant a task does not keep.
func keeps(g openflow.Grant, t TaskClaim) fault {
	for _, l := range g.Limits {
		if l.Component == t.Component && !l.Keeps(t.Parameters) && !(byDefault(l, t) && l.Keeps(t.Served.Defaults)) {
			return fault{why: "wants " + l.String()}
		}
	}
	return fault{}
}

// byDefault tells whether a job leaves a parameter to the component.
func byDefault(l openflow.ParameterLimit, t TaskClaim) bool {
	name, _, _ := strings.Cut(l.Parameter, ".")
	return t.Parameters[name] == nil
}

// whole tells why a grant does not give its tables and models to the job: it names components, and the job runs others, or it
// does not keep its limits.
func (d *decision) whole(g *judged) fault {
	if !g.checked {
		g.checked = true
		for _, t := range d.Tasks {
			if len(g.Components) == 0 {
				g.not = keeps(g.Grant, t)
			} else if g.not = gives(g.Grant, t); g.not.none() && !names(g.Grant, t.Component) {
				g.not = fault{why: "is for jobs without component " + t.Component, mend: adds(openflow.GrantedComponent{Name: t.Component})}
			}
			if !g.not.none() {
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
			return cmp.Or(cmp.Compare(a.worth/spent, b.worth/spent), cmp.Compare(inPart(a.Grant, name), inPart(b.Grant, name)))
		})
		d.take(openflow.GrantUse, need{table: name}, "table "+name.String(), "--table "+openflow.ShellWord(name.String()), every, func(g *judged) fault {
			if f := d.whole(g); !f.none() {
				return f
			}
			return d.narrow(g.Grant, name)
		})
	}
}

// narrow tells why a grant gives too little of a table: what the job has of it, or reads of what was made of it, is more.
func (d *decision) narrow(g openflow.Grant, name openflow.TableName) fault {
	if inPart(g, name) == 0 {
		return fault{}
	}
	has, had := columnsOf(g, name), d.Had[name]
	if !had.Whole && !slices.ContainsFunc(had.Columns, func(c string) bool { return !slices.Contains(has, c) }) {
		return fault{}
	}
	t := openflow.GrantedTable{Name: name}
	if !had.Whole {
		t.Columns = Extent{Columns: has}.With(had.Columns).Columns
	}
	return fault{why: "gives fewer columns of it than the job has, or than what it reads was made of", mend: func(g *openflow.Grant) {
		others := func(has openflow.GrantedTable) bool { return has.Name == name }
		g.Tables = append(slices.DeleteFunc(slices.Clone(g.Tables), others), t)
	}}
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
		d.take(openflow.GrantUse, need{}, "model "+m.ID+" version "+m.Version+", which is of others", "--model "+openflow.ShellWord(m.ID+"/"+m.Version),
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
	missing := d.missing
	if len(missing) > maxMissing {
		missing = append(slices.Clone(missing[:maxMissing]), fmt.Sprintf("and %d more", len(d.missing)-maxMissing))
	}
	e := openflow.Errorf(openflow.CodePermission, "%s may not use here: %s", who, strings.Join(missing, ", "))
	e = e.WithHint("%s", d.advice(false))
	return e.WithPublic("%s (%s)", e.Message, d.advice(true))
}

// advice is what can be done. What partners read names no column.
func (d *decision) advice(partners bool) string {
	commands := append(d.madeAgain(partners), d.commands()...)
	if len(commands) == 0 {
		return "correct the job: a grant says what it does not keep"
	}
	return fmt.Sprintf("correct the job; or, to allow it, the operator of party %s runs: %s", d.Self, strings.Join(commands, "; "))
}

// madeAgain are the commands that make grants again that nearly give what is missing, with all else that they say.
func (d *decision) madeAgain(partners bool) (commands []string) {
	length := 0
	for _, a := range d.anew {
		g := a.Grant
		if partners {
			g.Tables = slices.Clone(g.Tables)
			for i := range g.Tables {
				if len(g.Tables[i].Columns) > 0 {
					g.Tables[i].Columns = []string{"COLUMNS"}
				}
			}
		}
		text := g.Command(a.over)
		if length += len(text); text == "" || length > maxAdvice {
			text = "openflow grant add, as grant " + string(g.ID) + " says (openflow grant list), with what it lacks"
		}
		commands = append(commands, text)
	}
	return commands
}

// commands allow what is missing and no grant is meant to give.
func (d *decision) commands() (commands []string) {
	const most = 40
	flags := slices.DeleteFunc(slices.Clone(d.flags), func(f string) bool { // what a grant gives that is made again
		name, is := strings.CutPrefix(f, "--component ")
		return is && slices.ContainsFunc(d.anew, func(a *renewal) bool { return names(a.Grant, name) })
	})
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
	return commands
}
